"""To one session's socket, with a confirmation (row 4.3), over memory adapters."""

from __future__ import annotations

import pickle
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.epochs import MemoryEpochStore
from cluster.adapters.memory.sessions import MemorySessionStore
from cluster.errors import InvalidInput, NotFound, Unavailable
from cluster.ports.sessions import Fence, SessionRecord
from cluster.session_route import DELIVER, NOT_HERE, NobodyAnswers, SessionRoute, check_notice
from cluster.subjects import Subjects
from cluster.world_control import responder

FENCE = Fence("sessions/0", 1)
SUBJECTS = Subjects("test")
SAID = {"text": "hello"}

Deliver = Callable[..., Awaitable[None]]


class Realm:
    """A session store and gateways that do what they are told to."""

    def __init__(self) -> None:
        self.epochs = MemoryEpochStore()
        self.sessions = MemorySessionStore(self.epochs)
        self.bus = MemoryBus()
        self.route = SessionRoute(self.sessions, self.bus, SUBJECTS, answer_s=0.05)
        self.got: list[tuple[str, str, int, str, Any]] = []  # gateway, session, attach epoch, notice, params

    async def attach(self, gateway_id: str, attach_epoch: int = 1) -> None:
        if await self.sessions.get("ses_1") is None:
            await self.epochs.take("sessions", FENCE.actor)
            await self.sessions.register_actor(FENCE)
            await self.sessions.place("", "ses_1", "usr_1", 5, 5, 60.0, 1.0)
        record = SessionRecord("ses_1", "usr_1", FENCE.actor, "authenticated", gateway_id, attach_epoch)
        await self.sessions.write(record, FENCE, ["connected", "authenticated"], 60.0)

    async def gateway(self, gateway_id: str, deliver: Deliver | None = None) -> None:
        async def take(session_id: str, attach_epoch: int, notice: str, params: Any) -> None:
            self.got.append((gateway_id, session_id, attach_epoch, notice, params))
            if deliver is not None:
                await deliver()

        await self.bus.respond(SUBJECTS.gateway_session(gateway_id, "*"), responder({DELIVER: take}))


@pytest.fixture
def realm() -> Realm:
    return Realm()


async def test_it_is_delivered_where_the_record_says(realm: Realm) -> None:
    await realm.attach("gtw_b", 7)
    for gateway_id in ("gtw_a", "gtw_b"):
        await realm.gateway(gateway_id)
    await realm.route.deliver("ses_1", "system.message", SAID)
    assert realm.got == [("gtw_b", "ses_1", 7, "system.message", SAID)]


@pytest.mark.parametrize("session_id", ["ses_2", "", "*", ">", "ses_1.x", "ses 1", "\udcff", "x" * 65])
async def test_nobody_has_that_session(realm: Realm, session_id: str) -> None:
    await realm.attach("gtw_a")
    await realm.gateway("gtw_a")
    with pytest.raises(NotFound) as raised:
        await realm.route.deliver(session_id, "system.message", SAID)
    assert raised.value.reason == "no_such_session"
    assert realm.got == []


async def test_a_session_without_a_socket(realm: Realm) -> None:
    await realm.attach("")
    with pytest.raises(NobodyAnswers, match="has no connection at the moment") as raised:
        await realm.route.deliver("ses_1", "system.message", SAID)
    assert raised.value.what == "nobody_answers"


async def test_a_gateway_that_is_gone(realm: Realm) -> None:
    await realm.attach("gtw_gone")
    with pytest.raises(NobodyAnswers, match="gtw_gone, which has the socket of ses_1, is silent"):
        await realm.route.deliver("ses_1", "system.message", SAID)


async def test_a_session_that_moved_is_followed(realm: Realm) -> None:
    await realm.attach("gtw_a", 1)

    async def moved() -> None:
        await realm.attach("gtw_b", 2)
        raise NotFound(NOT_HERE)

    await realm.gateway("gtw_a", moved)
    await realm.gateway("gtw_b")
    await realm.route.deliver("ses_1", "system.message", SAID)
    assert [(gateway, epoch) for gateway, _, epoch, _, _ in realm.got] == [("gtw_a", 1), ("gtw_b", 2)]


async def test_it_is_not_followed_for_ever(realm: Realm) -> None:
    epochs = iter(range(1, 100))

    async def moved() -> None:
        await realm.attach("gtw_a", next(epochs))
        raise NotFound(NOT_HERE)

    await realm.attach("gtw_a", 0)
    await realm.gateway("gtw_a", moved)
    with pytest.raises(NobodyAnswers, match="gtw_a does not have ses_1 any more"):
        await realm.route.deliver("ses_1", "system.message", SAID)
    assert len(realm.got) == 3


async def test_a_gateway_that_does_not_have_it_is_asked_once(realm: Realm) -> None:
    async def not_here() -> None:
        raise NotFound(NOT_HERE)

    await realm.attach("gtw_a")
    await realm.gateway("gtw_a", not_here)
    with pytest.raises(NobodyAnswers, match="does not have ses_1 any more"):
        await realm.route.deliver("ses_1", "system.message", SAID)
    assert len(realm.got) == 1


@pytest.mark.parametrize(
    "error", [InvalidInput([("params", "must be at most 1 bytes")]), Unavailable("the connection"), NotFound("other")]
)
async def test_what_the_gateway_says_is_raised_and_nothing_is_repeated(realm: Realm, error: Exception) -> None:
    async def refuse() -> None:
        raise error

    await realm.attach("gtw_a")
    await realm.gateway("gtw_a", refuse)
    with pytest.raises(type(error)) as raised:
        await realm.route.deliver("ses_1", "system.message", SAID)
    assert str(raised.value) == str(error)
    assert not isinstance(raised.value, NobodyAnswers)
    assert len(realm.got) == 1


def test_the_error_survives_a_process_border() -> None:
    again = pickle.loads(pickle.dumps(NobodyAnswers("gtw_a is silent")))  # noqa: S301 - our own
    assert (again.why, str(again)) == ("gtw_a is silent", "nobody answers: gtw_a is silent")
    assert isinstance(again, Unavailable)


@pytest.mark.parametrize("method", ["system.message", "chat.channel.join"])
def test_names_of_notifications(method: str) -> None:
    check_notice(method, {})


@pytest.mark.parametrize(
    "method", ["", "message", "system.", ".message", "System.message", "a b.c", 7, None, "a." + "b" * 64]
)
def test_what_is_no_name(method: Any) -> None:
    with pytest.raises(InvalidInput):
        check_notice(method, {})


def test_params_are_an_object() -> None:
    with pytest.raises(InvalidInput):
        check_notice("system.message", ["text"])


def test_a_subject_of_one_session_is_under_the_gateway_s_wildcard() -> None:
    one, all_of_them = SUBJECTS.gateway_session("gtw_a", "ses_1"), SUBJECTS.gateway_session("gtw_a", "*")
    assert one.rpartition(".")[0] == all_of_them.rpartition(".")[0]
    assert replace(SUBJECTS, namespace="other").gateway_session("gtw_a", "ses_1") != one
