"""Requests to zones over the bus: said again when lost, never done twice, and they go where the character goes."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from cluster.errors import Conflict, Ours, RateLimited, Unavailable
from cluster.refusals import to_refusal
from realm_proto import internal_pb2
from serve_apps.gateway import zone_calls
from serve_apps.gateway.client import Client
from serve_apps.gateway.zone_calls import ZoneCalls
from tests.unit.serve_apps.gateway.fakes import a_client, a_world

DEADLINE_S = 0.3
What = dict[str, Any]
Zone = Callable[[internal_pb2.ZoneCall], "What | Exception | str | None"]


class Link:
    """A `zone_calls.Carrier` to zones that are functions: a result, an error, `elsewhere ZONE`, or None for silence."""

    def __init__(self) -> None:
        self.epochs: dict[str, int] = {"zon_a": 3, "zon_b": 5}
        self.zones: dict[str, Zone] = {}
        self.said: list[tuple[str, internal_pb2.ZoneCall]] = []
        self.calls = ZoneCalls(self, lambda: asyncio.get_running_loop().time(), DEADLINE_S, seed=1)

    def epoch(self, zone_id: str) -> int:
        return self.epochs.get(zone_id, 0)

    def call(self, zone_id: str, call: internal_pb2.ZoneCall) -> None:
        copy = internal_pb2.ZoneCall()
        copy.CopyFrom(call)
        self.said.append((zone_id, copy))
        zone = self.zones.get(zone_id)
        what = zone(copy) if zone is not None else None
        if what is not None:
            asyncio.get_running_loop().call_soon(self.answer, zone_id, copy.id, what)

    def answer(self, zone_id: str, number: int, what: What | Exception | str, epoch: int = 0) -> None:
        answer = internal_pb2.ZoneAnswer(id=number)
        if isinstance(what, Exception):
            answer.refusal.CopyFrom(to_refusal(what))
        elif isinstance(what, str):
            answer.elsewhere = what.removeprefix("elsewhere ").strip()
        else:
            answer.result_json = orjson.dumps(what)
        epoch = epoch or self.epoch(zone_id)
        self.calls.receive(internal_pb2.ZoneAnswers(zone_id=zone_id, epoch=epoch, answers=[answer]))

    async def ask(self, client: Client, idempotent: bool = False) -> What:
        return await self.calls.call(client, "game.message", {"type": "x"}, idempotent)

    @property
    def where(self) -> list[str]:
        return [zone_id for zone_id, _ in self.said]


@pytest.fixture
def link(monkeypatch: pytest.MonkeyPatch) -> Link:
    monkeypatch.setattr(zone_calls, "REPEAT_S", 0.02)
    monkeypatch.setattr(zone_calls, "PAUSE_S", 0.01)
    return Link()


@pytest.fixture
def client() -> Client:
    client, _ = a_client(world=a_world(zone="zon_a"), attach_epoch=4)
    return client


async def test_a_call_and_its_answer(link: Link, client: Client) -> None:
    link.zones["zon_a"] = lambda call: {"heard": orjson.loads(call.params_json)}
    assert await link.ask(client) == {"heard": {"type": "x"}}
    [(zone_id, call)] = link.said
    assert (zone_id, call.session_id, call.attach_epoch, call.method, call.epoch) == (
        "zon_a",
        "ses_1",
        4,
        "game.message",
        0,
    )
    assert len(link.calls) == 0


async def test_errors_are_the_zones(link: Link, client: Client) -> None:
    link.zones["zon_a"] = lambda call: Conflict("stale_version", {"version": 3})
    with pytest.raises(Conflict) as refused:
        await link.ask(client)
    assert refused.value.current == {"version": 3}


async def test_a_large_result(link: Link, client: Client) -> None:
    task = asyncio.create_task(link.ask(client))
    await asyncio.sleep(0)
    number = link.said[0][1].id
    answer = internal_pb2.ZoneAnswer(id=number, result_zlib=zlib.compress(orjson.dumps({"x": "y" * 100_000})))
    link.calls.receive(internal_pb2.ZoneAnswers(zone_id="zon_a", epoch=3, answers=[answer]))
    assert (await task)["x"] == "y" * 100_000


async def test_an_answer_that_says_nothing(link: Link, client: Client) -> None:
    task = asyncio.create_task(link.ask(client))
    await asyncio.sleep(0)
    answer = internal_pb2.ZoneAnswer(id=link.said[0][1].id)
    link.calls.receive(internal_pb2.ZoneAnswers(zone_id="zon_a", epoch=3, answers=[answer]))
    with pytest.raises(Ours):
        await task


class TestLost:
    async def test_said_again_under_its_number_and_with_the_incarnation(self, link: Link, client: Client) -> None:
        link.zones["zon_a"] = lambda call: {"n": len(link.said)} if len(link.said) == 3 else None
        assert await link.ask(client) == {"n": 3}
        assert {call.id for _, call in link.said} == {1}
        assert [call.epoch for _, call in link.said] == [0, 3, 3]
        assert link.calls.repeated == 2

    async def test_what_may_be_done_twice_goes_to_any_incarnation(self, link: Link, client: Client) -> None:
        link.zones["zon_a"] = lambda call: {} if len(link.said) == 2 else None
        await link.ask(client, idempotent=True)
        assert [call.epoch for _, call in link.said] == [0, 0]

    async def test_not_said_again_to_who_knows_which(self, link: Link, client: Client) -> None:
        link.epochs.clear()
        with pytest.raises(Unavailable):
            await link.ask(client)
        assert len(link.said) == 1

    async def test_the_deadline(self, link: Link, client: Client) -> None:
        began = asyncio.get_running_loop().time()
        with pytest.raises(Unavailable, match="zon_a"):
            await link.ask(client)
        assert DEADLINE_S <= asyncio.get_running_loop().time() - began < DEADLINE_S + 0.2
        assert len(link.calls) == 0

    async def test_who_stops_waiting_leaves_nothing(self, link: Link, client: Client) -> None:
        task = asyncio.create_task(link.ask(client))
        await asyncio.sleep(0)
        assert len(link.calls) == 1
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(link.calls) == 0
        link.answer("zon_a", 1, {})
        assert link.calls.strays == 1


class TestElsewhere:
    async def test_it_is_followed_at_once(self, link: Link, client: Client) -> None:
        link.zones |= {"zon_a": lambda call: "elsewhere zon_b", "zon_b": lambda call: {"here": True}}
        assert await link.ask(client) == {"here": True}
        assert link.where == ["zon_a", "zon_b"]
        first, second = (call.id for _, call in link.said)
        assert first != second, "another call: the first one was not done"

    async def test_where_nobody_knows_it_waits_for_the_clients_zone(self, link: Link, client: Client) -> None:
        def lost(call: internal_pb2.ZoneCall) -> str:
            if len(link.said) == 3:
                client.world = a_world(zone="zon_b")
            return "elsewhere "

        link.zones |= {"zon_a": lost, "zon_b": lambda call: {"here": True}}
        assert await link.ask(client) == {"here": True}
        assert link.where == ["zon_a"] * 3 + ["zon_b"]

    async def test_two_that_name_each_other(self, link: Link, client: Client) -> None:
        link.zones |= {"zon_a": lambda call: "elsewhere zon_b", "zon_b": lambda call: "elsewhere zon_a"}
        with pytest.raises(Unavailable):
            await link.ask(client)
        assert 4 <= len(link.said) <= 2 * DEADLINE_S / (0.5 * 0.01) + 2, "with pauses between"

    async def test_one_that_names_itself(self, link: Link, client: Client) -> None:
        link.zones["zon_a"] = lambda call: "elsewhere zon_a" if len(link.said) < 3 else {"here": True}
        assert await link.ask(client) == {"here": True}

    async def test_what_may_be_done_twice_leaves_a_zone_that_is_silent(self, link: Link, client: Client) -> None:
        def silent(call: internal_pb2.ZoneCall) -> None:
            client.world = a_world(zone="zon_b")

        link.zones |= {"zon_a": silent, "zon_b": lambda call: {"here": True}}
        assert await link.ask(client, idempotent=True) == {"here": True}
        client.world = a_world(zone="zon_a")
        with pytest.raises(Unavailable):
            await link.ask(client)

    async def test_who_has_left_the_world_meanwhile(self, link: Link, client: Client) -> None:
        def gone(call: internal_pb2.ZoneCall) -> str:
            client.world = None
            return "elsewhere "

        link.zones["zon_a"] = gone
        with pytest.raises(Unavailable):
            await link.ask(client)


class TestBelief:
    async def test_an_older_incarnation_is_not_believed(self, link: Link, client: Client) -> None:
        task = asyncio.create_task(link.ask(client))
        await asyncio.sleep(0)
        link.answer("zon_a", 1, {"old": True}, epoch=2)
        assert link.calls.stale == 1
        link.answer("zon_a", 1, {"old": False})
        assert await task == {"old": False}

    async def test_nor_a_zone_that_was_not_asked(self, link: Link, client: Client) -> None:
        task = asyncio.create_task(link.ask(client))
        await asyncio.sleep(0)
        link.answer("zon_b", 1, {"wrong": True})
        link.answer("zon_a", 1, {"wrong": False})
        link.answer("zon_a", 1, {"wrong": True})
        assert await task == {"wrong": False}
        assert link.calls.strays == 2

    async def test_the_first_answer_counts(self, link: Link, client: Client) -> None:
        link.zones["zon_a"] = lambda call: {"n": 1}
        one, two = await asyncio.gather(link.ask(client), link.ask(client))
        assert one == two == {"n": 1}
        assert {call.id for _, call in link.said} == {1, 2}


async def test_it_is_bounded(link: Link, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zone_calls, "MOST_PENDING", 2)
    waiting = [asyncio.create_task(link.ask(client)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await link.ask(client)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
