"""`realm.upgrade`: who is started again, in which order, and what happens when somebody does not come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from cluster.beats import Beat, Beats
from cluster.errors import Conflict, Unavailable
from cluster.operations import upgrade
from cluster.operations.model import Operator, Role
from cluster.operations.upgrade import Upgrade
from cluster.subjects import Subjects
from realm_proto import internal_pb2

BEGAN = 1_000.0
OLD, NEW = "1", "2"


def beat(kind: str, name: str, pid: int, **values: Any) -> Beat:
    return Beat(
        kind, name, pid, "here", "", OLD, BEGAN - 100.0, BEGAN, 2.0, 0.0, 1, 0.0, (1, 2), values or {"well": True}
    )


@dataclass
class Realm:
    """Processes that start again when they are asked to, except the `stubborn`; time passes only when somebody waits."""

    beats: list[Beat]
    stubborn: frozenset[str] = frozenset()
    deaf: frozenset[str] = frozenset()
    busy: int = 0  # so many times another plan runs
    clock: float = 0.0
    asked: list[str] = field(default_factory=list)
    last: dict[str, Any] | None = None
    steps: list[str] = field(default_factory=list)

    id = "job_0123456789abcdef"
    operator = Operator("operator:ada", Role.ADMIN, "command")
    began_at = BEGAN

    def desk(self) -> Any:
        heard = Beats(lambda: self.clock)
        heard.living = lambda kind="": [b for b in self.beats if not kind or b.kind == kind]  # type: ignore[method-assign]
        return SimpleNamespace(
            bus=self, beats=heard, subjects=Subjects("t"), clock=lambda: self.clock, now=lambda: BEGAN, pause=self.pause,
            ask_world=self.ask_world,
        )  # fmt: skip

    async def pause(self, seconds: float) -> None:
        self.clock += seconds

    async def tell(self, step: str, done: float = 0.0) -> None:
        self.steps.append(step)

    async def request(
        self, _subject: str, data: bytes, _timeout_s: float, headers: Mapping[str, str] | None = None
    ) -> bytes:
        said = orjson.loads(data)
        assert said["method"] == "restart"
        if said["only"] in self.deaf:
            raise Unavailable(said["only"])
        self.asked.append(said["only"])
        if said["only"] not in self.stubborn:
            self._again(lambda b: b.name == said["only"])
        return orjson.dumps({"process": said["only"], "result": True})

    def publish(self, subject: str, data: bytes, headers: Mapping[str, str] | None = None) -> None:
        order, name = internal_pb2.GatewayControl.FromString(data).WhichOneof("what"), subject.split(".")[2]
        assert order in ("drain", "stay")
        self.asked.append(f"{order} {name}")
        draining = order == "drain"
        self._change(lambda b: b.name == name, lambda b: beat(b.kind, b.name, b.pid, draining=draining, sockets=0))

    async def ask_world(self, method: str, params: dict[str, Any]) -> Any:
        if method == "state":
            return {"plan": None, "last": self.last}
        if self.busy:
            self.busy -= 1
            raise Conflict("another_plan_runs", {})
        (zone,) = params["args"]
        self.asked.append(f"{params['kind']} {zone}")
        self.last = {
            "id": params["plan_id"],
            "outcome": "rolled back" if zone in self.stubborn else "done",
            "why": "it is so",
        }
        self._again(lambda b: b.values.get("zone") == zone)
        return ""

    def _again(self, chosen: Callable[[Beat], bool]) -> None:
        def newer(old: Beat) -> Beat:
            name = old.name.replace("gtw_", "gtw_new_") if old.kind == "gateway" else old.name
            values = {**old.values, "draining": False}
            return Beat(
                old.kind, name, old.pid + 1_000, "here", "", NEW, BEGAN + 1.0, BEGAN, 2.0, 0.0, 1, 0.0, (1, 2), values
            )

        self._change(chosen, newer)

    def _change(self, chosen: Callable[[Beat], bool], change: Callable[[Beat], Beat]) -> None:
        self.beats = [change(b) if chosen(b) and b.version == OLD else b for b in self.beats]


def everything(**more: Any) -> Realm:
    return Realm(
        [
            beat("console", "console", 9),
            beat("gateway", "gtw_a", 1, sockets=4, draining=False),
            beat("gateway", "gtw_b", 2, sockets=4, draining=False),
            beat("web", "web", 3),
            beat("zone", "zone/zon_a", 4, zone="zon_a", role="owner"),
            beat("zone", "zone/zon_a/1", 5, zone="zon_a", role="following"),
            beat("sessions", "sessions/0", 6),
            beat("supervisor", "supervisor", 7),
            beat("launcher", "launcher", 8),
        ],
        **more,
    )


async def test_everything_once_in_order() -> None:
    realm = everything()
    done = await upgrade.run(realm.desk(), Upgrade(), realm)
    assert realm.asked == [
        "supervisor", "sessions/0", "restart zon_a", "drain gtw_a", "gtw_a", "drain gtw_b", "gtw_b", "web", "console",
    ]  # fmt: skip
    assert done.versions == {NEW: 8, OLD: 1}
    again = await upgrade.run(realm.desk(), Upgrade(), realm)
    assert again.restarted == []


async def test_only_some() -> None:
    realm = everything()
    await upgrade.run(realm.desk(), Upgrade(kinds=("web", "sessions")), realm)
    assert realm.asked == ["sessions/0", "web"]


async def test_a_zone_waits_for_the_plan_of_another() -> None:
    realm = everything(busy=3)
    await upgrade.run(realm.desk(), Upgrade(kinds=("zone",)), realm)
    assert realm.asked == ["restart zon_a"]
    assert realm.clock >= 3 * upgrade.PAUSE_S


@pytest.mark.parametrize("stubborn", ["sessions/0", "zon_a", "gtw_a"])
async def test_it_stops_at_who_does_not_come_back(stubborn: str) -> None:
    realm = everything(stubborn=frozenset({stubborn}))
    with pytest.raises(Unavailable):
        await upgrade.run(realm.desk(), Upgrade(), realm)
    assert "web" not in realm.asked
    assert realm.clock < upgrade.PLAN_S + 10.0
    realm.stubborn = frozenset()
    realm.last = None
    await upgrade.run(realm.desk(), Upgrade(), realm)
    assert {b.version for b in realm.beats if b.kind != "launcher"} == {NEW}


async def test_the_plan_says_what_players_notice() -> None:
    realm = everything()
    preview = await upgrade.plan(realm.desk(), Upgrade())
    assert next(step.split(",")[0] for step in preview.steps) == "start the world's supervisor again"
    assert "gtw_a, gtw_b" in preview.steps[3]
    assert len(preview.warnings) == 1
    realm.beats = [b for b in realm.beats if b.name != "gtw_b"]
    assert "one gateway" in (await upgrade.plan(realm.desk(), Upgrade())).warnings[0]
    assert realm.asked == []


@pytest.mark.parametrize("how", ["deaf", "stubborn"])
async def test_a_gateway_that_cannot_be_ended_takes_clients_again(how: str) -> None:
    """It may be the only one: without it nobody could connect until somebody looks."""
    realm = everything(**{how: frozenset({"gtw_a"})})
    realm.beats = [b for b in realm.beats if b.name != "gtw_b"]
    with pytest.raises(Unavailable):
        await upgrade.run(realm.desk(), Upgrade(kinds=("gateway",)), realm)
    assert realm.asked[0] == "drain gtw_a"
    assert realm.asked[-1] == "stay gtw_a"
    (gateway,) = [b for b in realm.beats if b.kind == "gateway"]
    assert not gateway.values["draining"]
    realm.deaf = realm.stubborn = frozenset()
    assert (await upgrade.run(realm.desk(), Upgrade(kinds=("gateway",)), realm)).restarted == ["gtw_a"]
