"""friends.* over real sockets, in both framings and on several devices (row 3.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from rayrealm_client.codec import Framing
from tests.integration.social_rig import Device, device
from tests.local_realm import LocalRealm, local_realm

FRAMINGS: list[Framing] = ["json", "proto"]
A, B, C = "usr_a", "usr_b", "usr_c"
METHODS = ("request", "accept", "decline", "cancel", "remove", "block", "unblock")


class Realm(Protocol):
    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[LocalRealm]: ...


@pytest.fixture
def a_realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str, nothing_of_ours_fails: None) -> Realm:
    def make(**settings: Any) -> AbstractAsyncContextManager[LocalRealm]:
        return local_realm(valkey_url, nats_url, nats_token, namespace, **settings)

    return make


@pytest.fixture
async def realm(a_realm: Realm) -> AsyncIterator[LocalRealm]:
    async with a_realm(session={"grace_s": 0.5}) as running:
        yield running


async def gone(realm: LocalRealm, player: Device) -> None:
    """The session is over, not only its socket."""
    await player.leave()
    host = await realm.actors["sessions/0"]._host()
    async with asyncio.timeout(10):
        while player.session_id in host.sessions:  # noqa: ASYNC110 - sessions end in the actor's sweep
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("other", FRAMINGS)
async def test_every_change_reaches_all_devices_of_both(realm: LocalRealm, framing: Framing, other: Framing) -> None:
    ann, ann_2 = await device(realm, A, framing, "Ann"), await device(realm, A, other)
    bob, bob_2 = await device(realm, B, other, "Bob"), await device(realm, B, framing)
    everybody = ((ann, B, "Bob"), (ann_2, B, "Bob"), (bob, A, "Ann"), (bob_2, A, "Ann"))

    async def both(kind: str, of_bob: str = "") -> None:
        for who, user_id, name in everybody:
            kinds = await who.changes(1)
            assert kinds == [(of_bob or kind if who in (bob, bob_2) else kind, user_id, name)]

    assert await ann.ask("friends.request", name="bob") == {"user_id": B, "result": "requested"}
    await both("asked", "request")
    assert [(link["user_id"], link["name"]) for link in (await bob_2.ask("friends.list"))["incoming"]] == [(A, "Ann")]
    assert await ann.ask("friends.cancel", user_id=B) == {"user_id": B, "changed": True}
    await both("cancelled")
    await ann.ask("friends.request", name="Bob")
    await both("asked", "request")
    assert await bob_2.ask("friends.decline", user_id=A) == {"user_id": A, "changed": True}
    await both("declined")
    await ann.ask("friends.request", name="Bob")
    await both("asked", "request")
    assert await bob.ask("friends.accept", user_id=A) == {"user_id": A, "changed": True}
    await both("friends")
    (friend,) = (await ann_2.ask("friends.list"))["friends"]
    presence = friend["presence"]
    assert (friend["user_id"], friend["name"]) == (B, "Bob")
    assert (presence["user_id"], presence["status"], presence["zone"]) == (B, "online", "zon_meadow")
    assert await ann.ask("friends.remove", user_id=B) == {"user_id": B, "changed": True}
    await both("removed")
    assert await ann.ask("friends.block", name="BOB") == {"user_id": B, "changed": True}
    for mine in (ann, ann_2):
        assert await mine.changes(1) == [("blocked", B, "Bob")]
    assert [link["user_id"] for link in (await ann_2.ask("friends.list"))["blocked"]] == [B]
    assert await ann.ask("friends.unblock", user_id=B) == {"user_id": B, "changed": True}
    for mine in (ann, ann_2):
        assert await mine.changes(1) == [("unblocked", B, "Bob")]
    assert bob.of("friends.changed") == bob_2.of("friends.changed") == []
    for who, _, _ in everybody:
        assert await who.ask("friends.list") == {"friends": [], "incoming": [], "outgoing": [], "blocked": []}
        await who.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_two_who_ask_each_other_are_friends(realm: LocalRealm, framing: Framing) -> None:
    ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, "json", "Bob")
    await ann.ask("friends.request", user_id=B)
    assert (await bob.ask("friends.request", name="Ann"))["result"] == "friends"
    assert await ann.changes(2) == [("asked", B, ""), ("friends", B, "Bob")]
    assert await bob.changes(2) == [("request", A, "Ann"), ("friends", A, "Ann")]
    assert (await ann.ask("friends.request", user_id=B))["result"] == "already_friends"
    for who in (ann, bob):
        await who.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_who_is_away_learns_of_it(realm: LocalRealm, framing: Framing) -> None:
    """Within the grace period by what the session kept, and after that by the list."""
    ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, framing, "Bob")
    token, last = bob.ready["recovery"]["token"], f"{bob.ready['stream']}.{bob.ready['seq']}"
    bob.ws.transport.abort()
    await bob.closed()
    await ann.ask("friends.request", user_id=B)
    again = await Device.open(f"{realm.url}?recovery={token}&last={last}", framing)
    assert again.ready["recovered"] is True
    assert await again.changes(1) == [("request", A, "Ann")]
    await gone(realm, again)

    await ann.ask("friends.cancel", user_id=B)
    await ann.ask("friends.request", user_id=B)
    late = await device(realm, B, framing)
    (asked,) = (await late.ask("friends.list"))["incoming"]
    assert (asked["user_id"], asked["name"]) == (A, "Ann")
    await late.ask("friends.accept", user_id=A)
    assert (await ann.hear("friends.changed", lambda said: said["kind"] == "friends"))["name"] == "Bob"
    await ann.ask("presence.subscribe", user_ids=[B])
    await gone(realm, late)
    await ann.hear("presence.changed", lambda said: said["status"] == "offline")
    (friend,) = (await ann.ask("friends.list"))["friends"]
    assert (friend["name"], friend["presence"]["status"], friend["presence"]["zone"]) == ("Bob", "offline", "")
    assert friend["presence"]["last_online"] > asked["at"]
    await ann.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_nobody_learns_who_exists_or_who_blocks(realm: LocalRealm, framing: Framing) -> None:
    ann, bob, cat = [
        await device(realm, user_id, framing, name) for user_id, name in ((A, "Ann"), (B, "Bob"), (C, "Cat"))
    ]
    await bob.ask("friends.block", name="Ann")
    await bob.changes(1)
    others = (B, C, "usr_nobody")

    async def notices() -> list[dict[str, Any]]:
        """The next one about each of the others, whole, but for when it was."""
        await ann.until(lambda: len(ann.of("friends.changed")) >= len(others))
        said = ann.of("friends.changed")
        ann.told.clear()
        assert all(each.pop("at") > 0 for each in said)
        return said

    for other in others:
        assert await ann.ask("friends.request", user_id=other) == {"user_id": other, "result": "requested"}
        assert await ann.ask("friends.request", user_id=other) == {"user_id": other, "result": "already_requested"}
    assert await notices() == [{"kind": "asked", "user_id": other, "name": ""} for other in others]
    outgoing = (await ann.ask("friends.list"))["outgoing"]
    assert all(link.pop("at") > 0 for link in outgoing)
    assert outgoing == [{"user_id": other, "name": ""} for other in others]
    assert await cat.changes(1) == [("request", A, "Ann")]
    assert (await bob.ask("friends.list"))["incoming"] == []
    for method, kind in (("cancel", "cancelled"), ("block", "blocked"), ("unblock", "unblocked")):
        for other in others:
            assert await ann.ask(f"friends.{method}", user_id=other) == {"user_id": other, "changed": True}
        assert await notices() == [{"kind": kind, "user_id": other, "name": ""} for other in others]
        blocked = (await ann.ask("friends.list"))["blocked"]
        assert all(link.pop("at") > 0 for link in blocked)
        assert blocked == ([{"user_id": other, "name": ""} for other in others] if method == "block" else [])
    assert await cat.changes(1) == [("cancelled", A, "Ann")]
    await bob.ask("system.ping")
    assert bob.of("friends.changed") == []
    assert await ann.refused("friends.accept", user_id=B) == (-32602, "no_such_request")
    assert await ann.refused("friends.accept", user_id="usr_nobody") == (-32602, "no_such_request")
    for who in (ann, bob, cat):
        await who.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_request_that_was_hidden_is_told_of_when_it_is_shown(realm: LocalRealm, framing: Framing) -> None:
    ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, framing, "Bob")
    await bob.ask("friends.block", user_id=A)
    await ann.ask("friends.request", name="bob")
    hidden = await ann.ask("friends.request", user_id=B)
    assert await ann.changes(1) == [("asked", B, "Bob")]
    await bob.ask("friends.unblock", user_id=A)
    await bob.changes(2)
    assert await ann.ask("friends.request", user_id=B) == hidden == {"user_id": B, "result": "already_requested"}
    assert await bob.changes(1) == [("request", A, "Ann")]
    (asked,) = (await bob.ask("friends.list"))["incoming"]
    await bob.ask("friends.accept", user_id=A)
    assert await ann.changes(1) == [("friends", B, "Bob")], "and nothing before that"
    assert asked["name"] == "Ann"
    for who in (ann, bob):
        await who.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_block_ends_what_was_and_hides_both(realm: LocalRealm, framing: Framing) -> None:
    ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, "proto", "Bob")
    await ann.ask("friends.request", user_id=B)
    await bob.ask("friends.accept", user_id=A)
    await ann.changes(2), await bob.changes(2)
    await bob.ask("presence.subscribe", user_ids=[A])
    await ann.ask("friends.block", user_id=B)
    assert await bob.changes(1) == [("removed", A, "Ann")]
    for who, other in ((ann, B), (bob, A)):
        (presence,) = (await who.ask("presence.get", user_ids=[other]))["presences"]
        assert (presence["status"], presence["zone"], presence["name"]) == ("offline", "", "")
    assert await ann.refused("friends.request", user_id=B) == (-32003, "blocked")
    await ann.ask("friends.unblock", user_id=B)
    (presence,) = (await bob.ask("presence.get", user_ids=[A]))["presences"]
    assert presence["status"] == "online"
    for who in (ann, bob):
        await who.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_flood_of_requests(a_realm: Realm, framing: Framing) -> None:
    async with a_realm(social={"requests_per_minute": 5}) as realm:
        ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, framing, "Bob")
        answers = [await ann.ask("friends.request", user_id=f"usr_{n}") for n in range(20)]
        assert [answer["result"] for answer in answers[:5]] == ["requested"] * 5
        for refused in answers[5:]:
            assert (refused.code, refused.data["reason"]) == (-32001, "requests")
            assert 0 < refused.data["retryAfter"] <= 12
        assert await ann.refused("friends.request", name="Bob") == (-32001, "requests")
        assert (await bob.ask("friends.request", user_id=A))["result"] == "requested"
        assert (await ann.ask("friends.accept", user_id=B))["changed"] is True, "other things it may do"
        for who in (ann, bob):
            await who.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_limits(a_realm: Realm, framing: Framing) -> None:
    async with a_realm(social={"max_friends": 1, "max_outgoing": 2, "max_incoming": 1, "max_blocked": 1}) as realm:
        ann, bob, cat = [
            await device(realm, user_id, framing, name) for user_id, name in ((A, "Ann"), (B, "Bob"), (C, "Cat"))
        ]
        for n in range(2):
            await ann.ask("friends.request", user_id=f"usr_{n}")
        assert await ann.refused("friends.request", user_id=B) == (-32005, "too_many_requests")
        assert (await bob.ask("friends.request", user_id=A))["result"] == "requested"
        assert (await cat.ask("friends.request", user_id=A))["result"] == "requested", "a full inbox does not show"
        assert [link["user_id"] for link in (await ann.ask("friends.list"))["incoming"]] == [B]
        await ann.ask("friends.accept", user_id=B)
        assert await cat.refused("friends.accept", user_id=A) == (-32602, "no_such_request")
        assert await ann.refused("friends.request", user_id=C) == (-32005, "too_many_friends")
        await ann.ask("friends.block", user_id="usr_0")
        assert await ann.refused("friends.block", user_id="usr_1") == (-32005, "too_many_blocked")
        for who in (ann, bob, cat):
            await who.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_bad_params(realm: LocalRealm, framing: Framing) -> None:
    ann = await device(realm, A, framing, "Ann")
    for method in METHODS:
        assert await ann.refused(f"friends.{method}", user_id=A) == (-32602, "is yourself")
    for bad in (
        {},
        {"user_id": "bob"},
        {"user_id": "usr_" + "x" * 61},
        {"user_id": 7},
        {"user_id": ["b"] * 3_000},
        {"name": ["b"] * 3_000},
        {"name": ""},
        {"name": "x" * 65},
        {"name": "Nobody at all"},
        {"user_id": B, "name": "Bob"},
        {"user_id": "bob", "colour": "red"},  # what is not known is ignored, and excuses nothing
    ):
        for method in ("friends.request", "friends.block"):
            assert (await ann.refused(method, **bad))[0] == -32602, bad
    assert await ann.refused("friends.request", name="Nobody at all") == (-32602, "no_such_player")
    assert await ann.refused("friends.request", name="ann") == (-32602, "is yourself")
    assert await ann.ask("friends.list", user_id=B) == {"friends": [], "incoming": [], "outgoing": [], "blocked": []}
    await ann.leave()


async def test_many_changes_at_once_leave_both_sides_of_one_mind(realm: LocalRealm) -> None:
    """Two devices of each do all there is, at the same time."""
    ones = [await device(realm, A, "json", "Ann"), await device(realm, A, "proto")]
    others = [await device(realm, B, "json", "Bob"), await device(realm, B, "proto")]

    async def act(who: Device, other: str, turn: int) -> None:
        for method in METHODS[turn:] + METHODS[:turn]:
            await who.ask(f"friends.{method}", user_id=other)

    await asyncio.gather(
        *(act(who, B, 2 * n) for n, who in enumerate(ones)), *(act(who, A, n) for n, who in enumerate(others))
    )
    mine, theirs = await ones[0].ask("friends.list"), await others[1].ask("friends.list")

    def ids(body: dict[str, Any], name: str) -> list[str]:
        return [link["user_id"] for link in body[name]]

    assert (ids(mine, "friends") == [B]) == (ids(theirs, "friends") == [A])
    assert (B in ids(mine, "incoming")) <= (A in ids(theirs, "outgoing"))
    assert (A in ids(theirs, "incoming")) <= (B in ids(mine, "outgoing"))
    if ids(mine, "friends"):
        assert ids(mine, "incoming") == ids(mine, "outgoing") == ids(mine, "blocked") == ids(theirs, "blocked") == []
    for who in (*ones, *others):
        await who.leave()
