"""What the lanes ask for after each kind of answer, and what they write down."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from cluster.chaos.history import Event, History, read
from cluster.chaos.lanes import CHAT_TRIES, AttributeLane, ChatLane, StateLane
from rayrealm_client.errors import Conflict, ConnectionLost, InvalidParams, InvalidState, RateLimited, Unavailable

ENTITY = "ent_ann"


class Client:
    """Answers from a script: what is callable is called with the params, an exception is raised."""

    name = "ann"
    zone = "zon_a"

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, list[Any]] = {}

    async def request(self, method: str, params: Any = None, timeout_s: float | None = None) -> Any:
        self.asked.append((method, dict(params or {})))
        answer = self.answers[method].pop(0)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return await answer()
        return answer

    async def enter(self, character_id: str, zone: str | None) -> Any:
        return await self.request("world.enter", {"character_id": character_id, "zone": zone})

    async def leave(self) -> None:
        await self.request("world.leave")

    @property
    def chat(self) -> Client:
        return self

    async def join(self, channel: str) -> Any:
        return await self.request("chat.channel.join", {"channel": channel})


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    made = History(tmp_path / "history", lambda: 1.0)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.chaos.lanes.AGAIN_S", 0.0)
    monkeypatch.setattr("cluster.chaos.lanes.REFUSED_AGAIN_S", 0.0)


def told(history: History) -> list[Event]:
    history.close()
    return [{k: v for k, v in event.items() if k not in ("t", "bot")} for event in read(history.path)]


def snapshot(version: int, n: int | None = None) -> dict[str, Any]:
    properties = {} if n is None else {"n": n}
    return {"zone": "zon_a", "entities": [{"entity_id": ENTITY, "version": version, "properties": properties}]}


def conflict(version: int, n: int) -> Conflict:
    current = {"entity_id": ENTITY, "version": version, "properties": {"n": n}}
    return Conflict(-32005, "conflict", {"reason": "stale_version", "current": current})


def unavailable() -> Unavailable:
    return Unavailable(-32006, "unavailable", {"reason": "zone"})


def no_state(reason: str) -> InvalidState:
    return InvalidState(-32003, "invalid state", {"reason": reason})


def state_lane(client: Any, history: History) -> StateLane:
    return StateLane(client, history, Random(1), (0.0, 0.0), "chr_ann", lambda: ["zon_a", "zon_b"], 0.0)


class TestState:
    async def test_it_reads_before_it_writes(self, client: Client, history: History) -> None:
        lane = state_lane(client, history)
        client.answers = {"state.sync.request": [snapshot(1)], "state.sync.delta": [{"version": 2}, {"version": 3}]}
        for _ in range(2):
            await lane.step()
        assert [params["version"] for method, params in client.asked if method == "state.sync.delta"] == [1, 2]
        assert told(history) == [
            {"k": "state", "stay": 0, "version": 1, "n": None, "zone": "zon_a"},
            {"k": "invoked", "op": 1, "do": "state", "stay": 0, "version": 1, "n": 1},
            {"k": "acknowledged", "op": 1, "version": 2},
            {"k": "invoked", "op": 2, "do": "state", "stay": 0, "version": 2, "n": 2},
            {"k": "acknowledged", "op": 2, "version": 3},
        ]

    async def test_a_conflict_tells_what_is_there(self, client: Client, history: History) -> None:
        lane = state_lane(client, history)
        client.answers = {
            "state.sync.request": [snapshot(1)],
            "state.sync.delta": [conflict(5, 9), {"version": 6}],
        }
        for _ in range(2):
            await lane.step()
        assert client.asked[-1][1]["version"] == 5
        assert [event["k"] for event in told(history)] == [
            "state", "invoked", "failed", "state", "invoked", "acknowledged",
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (unavailable(), "unknown"),
            (ConnectionLost(1006, ""), "unknown"),
            (RateLimited(-32001, "rate limited", {}), "failed"),
        ],
    )
    async def test_after_an_error_it_reads_again(
        self, client: Client, history: History, error: Exception, kind: str
    ) -> None:
        lane = state_lane(client, history)
        client.answers = {
            "state.sync.request": [snapshot(1), unavailable(), snapshot(2, 1)],
            "state.sync.delta": [error, {"version": 3}],
        }
        for _ in range(3):
            await lane.step()
        assert [event["k"] for event in told(history)] == [
            "state", "invoked", kind, "state", "invoked", "acknowledged",
        ]  # fmt: skip

    async def test_who_does_not_read_says_so(self, client: Client, history: History) -> None:
        lane = state_lane(client, history)
        client.answers = {"state.sync.request": [unavailable(), snapshot(1)]}
        assert not await lane.read()
        assert await lane.read()

    async def test_out_and_in_again(self, client: Client, history: History) -> None:
        left: list[bool] = []
        lane = StateLane(
            client,  # type: ignore[arg-type]
            history,
            Random(2),
            (0.0, 0.0),
            "chr_ann",
            lambda: ["zon_a", "zon_b"],
            1.0,
            lambda: left.append(lane.away),
        )
        lane.away = False
        client.answers = {
            "state.sync.request": [snapshot(1), snapshot(1), snapshot(1)],
            "world.leave": [unavailable(), None],
            "world.enter": [no_state("in_world"), {}],
            "system.info": [unavailable(), {"world": None}],
        }
        await lane.step()
        assert (lane.stay, lane.returns, lane.away, left) == (2, 1, False, [True])
        kinds = [(event["k"], event.get("do"), event.get("stay")) for event in told(history)]
        assert kinds == [
            ("state", None, 0), ("state", None, 0),
            ("invoked", "leave", 0), ("unknown", None, None),
            ("invoked", "leave", 0), ("acknowledged", None, None),
            ("invoked", "enter", 1), ("failed", None, None),
            ("invoked", "enter", 2), ("acknowledged", None, None),
            ("state", None, 2),
        ]  # fmt: skip

    async def test_a_zone_that_is_gone_by_then(self, client: Client, history: History) -> None:
        """It was merged into another one: anywhere will do."""
        lane = state_lane(client, history)
        client.answers = {
            "world.enter": [InvalidParams(-32602, "no such zone", {}), {}],
            "state.sync.request": [snapshot(1)],
        }
        await lane.come_in("zon_b")
        assert [params["zone"] for method, params in client.asked if method == "world.enter"] == ["zon_b", None]
        assert not lane.away

    async def test_an_entry_that_nobody_was_told_of_is_undone(self, client: Client, history: History) -> None:
        lane = state_lane(client, history)
        client.answers = {
            "world.enter": [unavailable(), {}],
            "system.info": [{"world": {"zone": "zon_a"}}],
            "world.leave": [None],
            "state.sync.request": [snapshot(1)],
        }
        await lane.come_in("zon_a")
        assert [method for method, _ in client.asked] == [
            "world.enter", "system.info", "world.leave", "world.enter", "state.sync.request",
        ]  # fmt: skip


class TestChat:
    async def test_the_same_message_until_it_is_acknowledged(self, client: Client, history: History) -> None:
        lane = ChatLane(client, history, Random(1), (0.0, 0.0), ("all",))  # type: ignore[arg-type]
        client.answers = {"chat.message": [unavailable(), ConnectionLost(1006, ""), {"message_id": "m1"}]}
        await lane.step()
        assert {params["client_id"] for _, params in client.asked} == {"ann:1"}
        assert [event["k"] for event in told(history)] == ["invoked", "unknown"] * 2 + ["invoked", "acknowledged"]

    async def test_not_for_ever(self, client: Client, history: History) -> None:
        lane = ChatLane(client, history, Random(1), (0.0, 0.0), ("all",))  # type: ignore[arg-type]
        client.answers = {"chat.message": [unavailable()] * 100}
        await lane.step()
        assert len(client.asked) == CHAT_TRIES

    async def test_it_joins_before_it_speaks(self, client: Client, history: History) -> None:
        lane = ChatLane(client, history, Random(1), (0.0, 0.0), ("all", "few"))  # type: ignore[arg-type]
        client.answers = {"chat.channel.join": [unavailable(), {}, {}]}
        await lane.join()
        assert [params["channel"] for _, params in client.asked] == ["all", "all", "few"]


class TestALane:
    def lane(self, client: Any, history: History, pause_s: float = 0.0) -> AttributeLane:
        return AttributeLane(client, history, Random(1), (pause_s, pause_s))

    async def test_what_is_under_way_can_be_given_up(self, client: Client, history: History) -> None:
        asked = asyncio.Event()

        async def never() -> None:
            asked.set()
            await asyncio.Event().wait()

        lane = self.lane(client, history, 60.0)
        client.answers = {"session.attribute.set": [never, {"attributes": {}}]}
        running = asyncio.create_task(lane.run())
        async with asyncio.timeout(5.0):
            await asked.wait()
            next_one = asyncio.create_task(lane.acknowledged())
            await asyncio.sleep(0)
            lane.now()
            await next_one
            lane.stop()
            await running
        assert [event["k"] for event in told(history)] == ["invoked", "unknown", "invoked", "acknowledged"]

    async def test_a_stop_lets_the_last_request_end(self, client: Client, history: History) -> None:
        answer = asyncio.Event()

        async def late() -> dict[str, Any]:
            await answer.wait()
            return {}

        lane = self.lane(client, history, 60.0)
        client.answers = {"session.attribute.set": [late]}
        running = asyncio.create_task(lane.run())
        await asyncio.sleep(0)
        lane.stop()
        await asyncio.sleep(0)
        answer.set()
        async with asyncio.timeout(5.0):
            await running
        assert [event["k"] for event in told(history)] == ["invoked", "acknowledged"]

    async def test_all_attributes_are_read(self, client: Client, history: History) -> None:
        lane = self.lane(client, history)
        client.answers = {"session.attribute.list": [unavailable(), {"attributes": {"a1": 5}}]}
        assert not await lane.read()
        assert await lane.read()
        assert told(history) == [{"k": "attributes", "values": {"a1": 5}}]

    async def test_its_status_changes_now_and_then(self, client: Client, history: History) -> None:
        lane = self.lane(client, history)
        client.answers = {"session.attribute.set": [{}] * 9, "presence.update": [{}] * 3}
        for _ in range(9):
            await lane.step()
        said = [params["status"] for method, params in client.asked if method == "presence.update"]
        assert said == ["busy", "online", "away"]
