"""How the realm is, and what is wrong with it: from beats, the supervisor and the store."""

from __future__ import annotations

import time
from typing import Any

from cluster.adapters.memory.bus import MemoryBus
from cluster.beats import Beat, Beats
from cluster.errors import Unavailable
from cluster.operations import realm
from cluster.operations.desk import Desk
from cluster.operations.model import Nothing, Operator, Role
from cluster.ports.audit import AuditEntry
from cluster.ports.protection import Maintenance
from cluster.security.requests import LIST_KEYS, ROTATE_KEYS
from cluster.subjects import Subjects
from cluster.world_control import responder
from tests.unit.cluster.operator_rig import SPACE, make_desk

ADA = Operator("operator:ada", Role.ADMIN, "console")


class Job:
    id = "job_0123456789abcdef"
    operator = ADA

    async def tell(self, step: str, done: float = 0.0) -> None:
        """Nobody listens."""


def beat(kind: str, name: str, at: float = 100.0, version: str = "1.0", node: str = "n1", **values: Any) -> bytes:
    return Beat(kind, name, 1, "host", node, version, 50.0, at, 1e6, 0.0, 0, 0.0, (0, 1), values).dump()


def healthy(beats: Beats, at: float = 100.0, **gateway: Any) -> None:
    said = {"sockets": 10, "capacity": 100, "degraded": [], "messages_in": 10 * at, "messages_out": 20 * at, **gateway}
    for data in (
        beat("gateway", "gtw_a", at, **said),
        beat("web", "web", at),
        beat("presence", "presence/0", at, users=9),
        beat("sessions", "sessions/0", at, sessions=11),
        beat("zone", "zone/zon_a", at, zone="zon_a", role="owner", tick_ms_p95=3.5, overruns=at / 10),
        beat("zone", "zone/zon_a/1", at, zone="zon_a", role="following", tick_ms_p95=99.0),
    ):
        beats.heard(data)


def desk_of(zones: list[str] | None, beats: Beats, nodes: tuple[str, ...] = ("n1",), **parts: Any) -> Desk:
    async def ask_world(method: str, params: dict[str, Any]) -> Any:
        if zones is None:
            raise Unavailable("world")
        return {
            "zones": [{"zone": zone} for zone in zones],
            "nodes": [{"node": node, "host": f"host of {node}"} for node in nodes],
        }

    return make_desk(beats=beats, ask_world=ask_world, **parts)


def texts(seen: realm.Overview) -> list[tuple[str, str, str]]:
    return [(problem.severity, problem.text, problem.link) for problem in seen.problems]


async def test_a_realm_that_is_well() -> None:
    beats = Beats(time.monotonic)
    healthy(beats, 100.0)
    healthy(beats, 102.0)
    seen = await realm.overview(desk_of(["zon_a"], beats), Nothing())
    assert texts(seen) == []
    assert (seen.players, seen.sessions, seen.sockets, seen.gateways, seen.zones, seen.nodes) == (9, 11, 10, 1, 1, 1)
    assert (seen.messages_per_s, seen.tick_ms_p95_worst, seen.zones_away) == (30.0, 3.5, [])
    assert (seen.versions, seen.started_at, seen.maintenance["on"]) == (["1.0"], 50.0, False)


async def test_everything_that_can_be_wrong() -> None:
    beats = Beats(time.monotonic)
    for at in (100.0, 102.0):
        healthy(beats, at, sockets=95, degraded=["redis", "zone:zon_a"])
        beats.heard(beat("gateway", "gtw_b", at, "1.1", sockets=100, capacity=100))
        beats.heard(beat("zone", "zone/zon_late", at, zone="zon_late", role="owner", overruns=5 * at))
    desk = desk_of(["zon_a", "zon_away", "zon_late"], beats, ("n1", "n2"))
    await desk.protection.maintain(Maintenance(1.0, "operator:ada", "new ground"), 1.0)
    seen = await realm.overview(desk, Nothing())
    assert texts(seen) == [
        ("critical", "nobody owns the zone zon_away", "zones/zon_away"),
        ("critical", "gtw_b is full: 100 sockets", "gateways"),
        ("warning", "nothing is heard from host of n2: no process of the realm runs there, or it is cut off", "nodes"),
        ("warning", "zon_late is late with 5.0 ticks a second", "zones/zon_late"),
        ("warning", "gtw_a gets no answers of redis", "gateways"),
        ("warning", "gtw_a gets no answers of zone:zon_a", "gateways"),
        ("warning", "gtw_a is nearly full: 95 of 100 sockets", "gateways"),
        ("info", "processes of 2 versions run: 1.0, 1.1", "processes"),
        ("info", "the realm is closed for maintenance: new ground", "maintenance"),
    ]
    assert seen.degraded == ["redis", "zone:zon_a"]
    assert (seen.zones_away, seen.maintenance["by"]) == (["zon_away"], "operator:ada")


async def test_nobody_is_heard() -> None:
    seen = await realm.overview(desk_of(None, Beats(time.monotonic)), Nothing())
    assert [severity for severity, _, _ in texts(seen)] == ["critical"] * 3 + ["warning"]
    assert (seen.zones, seen.nodes, seen.zones_away, seen.started_at) == (None, None, [], None)


class Web:
    """The web process: it rotates whenever it is asked."""

    def __init__(self) -> None:
        self.keys = [{"kid": "k1", "created_at": 10.0, "not_after": None, "state": "signs"}]

    async def list(self) -> Any:
        return self.keys

    async def rotate(self, compromised: bool) -> Any:
        kid = f"k{len(self.keys) + 1}"
        self.keys = [{"kid": kid, "created_at": 1_000.5, "not_after": None, "state": "signs"}, *self.keys]
        return {"kid": kid, "signs_in_s": 0.0 if compromised else 30.0, "keys": self.keys}


async def test_keys_are_rotated_once_for_a_job() -> None:
    bus, web = MemoryBus(), Web()
    await bus.respond(Subjects(SPACE).accounts(), responder({LIST_KEYS: web.list, ROTATE_KEYS: web.rotate}))
    desk = make_desk(bus)
    begun = AuditEntry(1_000.0, ADA.name, "keys.rotate", "keys", "", "begun", {"job": Job.id})
    await desk.audit.add(begun)
    made = await realm.rotate(desk, realm.Rotate(), Job())
    assert (made.kid, made.signs_in_s, len(made.keys)) == ("k2", 30.0, 2)
    await desk.audit.add(begun)  # whoever carried it out died
    assert (await realm.rotate(desk, realm.Rotate(), Job())).kid == "k2"
    assert len(web.keys) == 2
    assert [key["kid"] for key in (await realm.list_keys(desk, Nothing())).keys] == ["k2", "k1"]
