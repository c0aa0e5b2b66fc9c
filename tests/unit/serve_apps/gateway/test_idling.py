"""Automatic away: clients that do nothing, and what is no deed (row 3.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from actors.zone.rows import pack_move_in
from cluster.errors import Conflict, RealmError, Unavailable
from serve_apps.gateway import idling
from serve_apps.gateway.client import Client
from serve_apps.gateway.idling import Idling
from serve_apps.gateway.messages import Call, Code, Decoded, Fault

AFTER_S = 300.0


class Gateway:
    """Clients, and their session actors; `told` is what those heard. `answer` is what they do next."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []
        self.answer: list[RealmError] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.room = True
        self.idling = Idling(self, self._spawn, AFTER_S, 5.0)

    async def call(self, actor: str, method: str, *args: Any, deadline_s: float, idempotent: bool = False) -> None:
        session_id, attach_epoch, idle = args
        assert (actor, method, attach_epoch, deadline_s, idempotent) == ("sessions/0", "set_idle", 1, 5.0, True)
        if self.answer:
            raise self.answer.pop(0)
        self.told.append((session_id, idle))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> bool:
        if self.room:
            self.tasks.append(asyncio.create_task(work))
        else:
            work.close()
        return self.room

    async def rest(self) -> None:
        await asyncio.gather(*self.tasks)

    async def sweep(self, now: float, *clients: Any) -> None:
        self.idling.sweep(clients, now)
        await self.rest()


class Person(Client):
    """A client as far as this module knows it."""

    def __init__(self, name: str = "a", idle: bool = False) -> None:  # without a connection
        self.actor, self.session_id, self.attach_epoch = "sessions/0", f"ses_{name}", 1
        self.deed_at, self.idle, self.closed, self.last_move = 0.0, idle, False, b""


def frame(*methods: str) -> Decoded:
    return Decoded(tuple(Call(method, {}, number) for number, method in enumerate(methods)), len(methods) > 1)


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


async def test_who_does_nothing_is_idle_and_told_once(gateway: Gateway) -> None:
    ann = Person()
    await gateway.sweep(AFTER_S - 1, ann)
    assert gateway.told == []
    await gateway.sweep(AFTER_S, ann)
    await gateway.sweep(AFTER_S + 1, ann)
    assert (gateway.told, ann.idle) == ([("ses_a", True)], True)


async def test_the_next_deed_ends_it_at_once(gateway: Gateway) -> None:
    ann = Person(idle=True)
    gateway.idling.said(ann, frame("chat.message"), AFTER_S + 5)
    await gateway.rest()
    assert (gateway.told, ann.idle, ann.deed_at) == ([("ses_a", False)], False, AFTER_S + 5)


@pytest.mark.parametrize("methods", [("system.ping",), ("session.ack",), ("session.ack", "system.ping")])
async def test_what_a_library_says_is_no_deed(gateway: Gateway, methods: tuple[str, ...]) -> None:
    ann = Person(idle=True)
    gateway.idling.said(ann, frame(*methods), 400.0)
    await gateway.rest()
    assert (gateway.told, ann.deed_at) == ([], 0.0)


async def test_what_comes_with_it_is(gateway: Gateway) -> None:
    ann, bob = Person("a"), Person("b")
    gateway.idling.said(ann, frame("system.ping", "presence.get"), 400.0)
    gateway.idling.said(bob, Decoded((Fault(Code.PARSE_ERROR),), False), 400.0)
    assert (ann.deed_at, bob.deed_at) == (400.0, 400.0)


async def test_a_move_is_one_if_it_goes_somewhere(gateway: Gateway) -> None:
    ann = Person(idle=True)
    ann.last_move = pack_move_in(7, 1, 1.0, 0.0, 2.0, 0.0)
    gateway.idling.moved(ann, pack_move_in(7, 2, 1.0, 0.0, 2.0, 0.0), 10.0)
    assert ann.deed_at == 0.0
    gateway.idling.moved(ann, pack_move_in(7, 3, 1.0, 0.0, 2.0, 0.5), 11.0)
    await gateway.rest()
    assert (ann.deed_at, gateway.told) == (11.0, [("ses_a", False)])


async def test_what_could_not_be_told_is_told_by_a_later_sweep(gateway: Gateway) -> None:
    ann = Person()
    gateway.answer = [Unavailable("sessions")]
    await gateway.sweep(AFTER_S, ann)
    assert (gateway.told, ann.idle) == ([], False)
    await gateway.sweep(AFTER_S + 1, ann)
    assert (gateway.told, ann.idle) == ([("ses_a", True)], True)


async def test_a_session_that_is_anothers_by_now_is_left_alone(gateway: Gateway) -> None:
    ann = Person()
    gateway.answer = [Conflict("newer_attach")]
    await gateway.sweep(AFTER_S, ann)
    await gateway.sweep(AFTER_S + 1, ann)
    assert gateway.told == []


async def test_a_deed_while_it_is_being_told_counts(gateway: Gateway) -> None:
    ann = Person()
    gateway.idling.sweep([ann], AFTER_S)
    gateway.idling.said(ann, frame("chat.message"), AFTER_S + 0.1)
    await gateway.rest()
    await gateway.sweep(AFTER_S + 1, ann)
    assert (gateway.told, ann.idle) == ([("ses_a", True), ("ses_a", False)], False)


async def test_many_are_told_in_turn(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idling, "AT_ONCE", 2)
    people = [Person(str(number)) for number in range(3)]
    await gateway.sweep(AFTER_S, *people)
    assert len(gateway.told) == 2
    await gateway.sweep(AFTER_S + 1, *people)
    assert sorted(gateway.told) == [("ses_0", True), ("ses_1", True), ("ses_2", True)]


async def test_where_there_is_no_room_a_later_sweep_finds_it(gateway: Gateway) -> None:
    ann = Person()
    gateway.room = False
    await gateway.sweep(AFTER_S, ann)
    gateway.room = True
    await gateway.sweep(AFTER_S + 1, ann)
    assert gateway.told == [("ses_a", True)]


async def test_who_is_gone_is_not_told_of(gateway: Gateway) -> None:
    ann = Person()
    ann.closed = True
    await gateway.sweep(AFTER_S, ann)
    assert gateway.told == []
