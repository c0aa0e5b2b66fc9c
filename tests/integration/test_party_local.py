"""party.* over real sockets, in both framings and on several devices; the members' chat and places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

import pytest

from rayrealm_client.codec import Framing
from tests.integration.social_rig import Device, device
from tests.local_realm import LocalRealm, local_realm

FRAMINGS: list[Framing] = ["json", "proto"]
A, B, C, D = "usr_a", "usr_b", "usr_c", "usr_d"


class Realm(Protocol):
    def __call__(self, **settings: Any) -> AbstractAsyncContextManager[LocalRealm]: ...


@pytest.fixture
def a_realm(valkey_url: str, nats_url: str, nats_token: str, namespace: str, nothing_of_ours_fails: None) -> Realm:
    def make(**settings: Any) -> AbstractAsyncContextManager[LocalRealm]:
        social = {"party_positions_s": 0.05, "requests_per_minute": 1_000, **settings.pop("social", {})}
        return local_realm(valkey_url, nats_url, nats_token, namespace, social=social, **settings)

    return make


@pytest.fixture
async def realm(a_realm: Realm) -> AsyncIterator[LocalRealm]:
    async with a_realm(session={"grace_s": 0.5}) as running:
        yield running


async def party_of(*players: Device) -> str:
    """The first one's party with all of them in it, and all of them know it."""
    first, *others = players
    party_id = str((await first.ask("party.create"))["party"]["party_id"])
    for other in others:
        await first.ask("party.invite", user_id=other.ready["user_id"])
        await other.ask("party.accept", party_id=party_id)
    for player in players:
        await player.hear("party.changed", lambda said: said["party"] and len(said["party"]["members"]) == len(players))
    return party_id


def members(party: dict[str, Any] | None) -> list[str] | None:
    return None if party is None else [member["user_id"] for member in party["members"]]


async def changed(player: Device, why: str) -> tuple[str, list[str] | None]:
    """(whom, the members) of the next `party.changed` that says so."""
    said = await player.hear("party.changed", lambda said: said["why"] == why)
    return said["user_id"], members(said["party"])


def shows(user_ids: set[str]) -> Callable[[dict[str, Any]], bool]:
    """A `party.positions` of these."""
    return lambda said: {member["user_id"] for member in said["members"]} == user_ids


async def ended(realm: LocalRealm, player: Device) -> None:
    """The session is over, not only its socket."""
    await player.leave()
    host = await realm.actors["sessions/0"]._host()
    async with asyncio.timeout(10):
        while player.session_id in host.sessions:  # noqa: ASYNC110 - sessions end in the actor's sweep
            await asyncio.sleep(0.02)


async def leave(*players: Device) -> None:
    for player in players:
        await player.leave()


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("other", FRAMINGS)
async def test_all_devices_of_all_members_are_told(realm: LocalRealm, framing: Framing, other: Framing) -> None:
    ann, ann_2 = await device(realm, A, framing, "Ann"), await device(realm, A, other)
    bob, bob_2 = await device(realm, B, other, "Bob"), await device(realm, B, framing)
    assert await ann.ask("party.get") == {"party": None, "invitations": []}
    party = (await ann.ask("party.create"))["party"]
    party_id = party["party_id"]
    for mine in (ann, ann_2):
        assert await changed(mine, "created") == (A, [A])

    invited = (await ann_2.ask("party.invite", name="BOB"))["party"]
    assert invited["invited"] == [{"user_id": B, "name": "Bob"}]
    for theirs in (bob, bob_2):
        said = await theirs.hear("party.invited")
        assert (said["party_id"], said["from"], said["name"]) == (party_id, A, "Ann")
        assert (await theirs.ask("party.get"))["invitations"] == [said]
    for mine in (ann, ann_2):
        assert await changed(mine, "invited") == (B, [A])
    assert await bob.ask("party.decline", party_id=party_id) == {"declined": True}
    for who, left in ((ann, [A]), (ann_2, [A]), (bob, None), (bob_2, None)):
        assert await changed(who, "declined") == (B, left)

    await ann.ask("party.invite", user_id=B)
    joined = (await bob_2.ask("party.accept", party_id=party_id))["party"]
    assert [member["name"] for member in joined["members"]] == ["Ann", "Bob"]
    everybody = (ann, ann_2, bob, bob_2)
    for who in everybody:
        assert await changed(who, "joined") == (B, [A, B])
    got = await bob.ask("party.get")
    assert [(m["name"], m["presence"]["status"], m["presence"]["zone"]) for m in got["party"]["members"]] == [
        ("Ann", "online", "zon_meadow"),
        ("Bob", "online", "zon_meadow"),
    ]
    assert (await ann_2.ask("party.lead", user_id=B))["party"]["leader"] == B
    for who in everybody:
        assert await changed(who, "leader") == (B, [A, B])
    assert members((await bob.ask("party.kick", user_id=A))["party"]) == [B]
    for who, left in ((ann, None), (ann_2, None), (bob, [B]), (bob_2, [B])):
        assert await changed(who, "kicked") == (A, left)
    assert await bob_2.ask("party.leave") == {"party": None}
    for theirs in (bob, bob_2):
        assert await changed(theirs, "left") == (B, None)
    assert await bob.ask("party.get") == {"party": None, "invitations": []}
    await leave(*everybody)


class TestLeaving:
    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_the_longest_member_leads_then(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob, cat = [
            await device(realm, user, framing, name) for user, name in ((A, "Ann"), (B, "Bob"), (C, "Cat"))
        ]
        await party_of(ann, bob, cat)
        await ann.ask("party.leave")
        assert await changed(cat, "left") == (A, [B, C])
        assert (await cat.ask("party.get"))["party"]["leader"] == B
        assert await cat.refused("party.kick", user_id=B) == (-32003, "not_leader")
        await leave(ann, bob, cat)

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_a_party_survives_its_members_sockets_and_sessions(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, framing, "Bob", 104.0)
        party_id = await party_of(ann, bob)
        token, last = ann.ready["recovery"]["token"], f"{ann.ready['stream']}.{ann.ready['seq']}"
        ann.ws.transport.abort()
        await ann.closed()
        again = await Device.open(f"{realm.url}?recovery={token}&last={last}", framing)
        assert (await again.ask("party.get"))["party"]["party_id"] == party_id
        await again.hear("party.positions", shows({B}))

        await ended(realm, again)  # the leader, for good
        await bob.hear("party.positions", shows(set()))
        party = (await bob.ask("party.get"))["party"]
        assert (party["leader"], members(party)) == (A, [A, B])
        later = await device(realm, A, framing)
        assert (await later.ask("party.get"))["party"]["leader"] == A
        await later.ask("party.lead", user_id=B)
        assert await changed(bob, "leader") == (B, [A, B])
        await leave(later, bob)


class TestInvitations:
    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_who_is_away_finds_it(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, framing, "Bob")
        await ended(realm, bob)
        party_id = (await ann.ask("party.create"))["party"]["party_id"]
        await ann.ask("party.invite", name="Bob")
        bob = await device(realm, B, framing)
        (invitation,) = (await bob.ask("party.get"))["invitations"]
        assert (invitation["party_id"], invitation["name"]) == (party_id, "Ann")
        joined = (await bob.ask("party.accept", party_id=party_id))["party"]
        assert [member["name"] for member in joined["members"]] == ["Ann", "Bob"]
        await leave(ann, bob)

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_they_end(self, a_realm: Realm, framing: Framing) -> None:
        async with a_realm(social={"party_invitation_s": 0.3}) as realm:
            ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, framing, "Bob")
            party_id = (await ann.ask("party.create"))["party"]["party_id"]
            await ann.ask("party.invite", user_id=B)
            async with asyncio.timeout(10):
                while (await bob.ask("party.get"))["invitations"]:  # noqa: ASYNC110 - nobody is told when one ends
                    await asyncio.sleep(0.02)
            assert await bob.refused("party.accept", party_id=party_id) == (-32602, "no_such_invitation")
            assert await bob.ask("party.decline", party_id=party_id) == {"declined": False}
            assert (await ann.ask("party.get"))["party"]["invited"] == []
            await leave(ann, bob)

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_nobody_learns_who_exists_or_who_blocks(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob, cat = [
            await device(realm, user, framing, name) for user, name in ((A, "Ann"), (B, "Bob"), (C, "Cat"))
        ]
        await ann.ask("party.create")
        await bob.ask("friends.block", user_id=A)
        rows: list[dict[str, str]] = []
        for other in (B, C, "usr_nobody"):
            party = (await ann.ask("party.invite", user_id=other))["party"]
            rows.append({"user_id": other, "name": ""})
            assert party["invited"] == rows
            said = await ann.hear("party.changed", lambda said: said["why"] == "invited")
            assert (said["party"], said["user_id"], said["version"]) == (party, other, party["version"])
        assert (await ann.ask("party.get"))["party"]["invited"] == rows
        await cat.hear("party.invited")
        assert (await bob.ask("party.get"))["invitations"] == []
        assert bob.of("party.invited") == []
        assert await bob.refused("party.invite", user_id=A) == (-32003, "blocked")
        await leave(ann, bob, cat)

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_eight_are_a_full_party(self, realm: LocalRealm, framing: Framing) -> None:
        ann = await device(realm, A, framing, "Ann")
        others = [await device(realm, f"usr_{n}", framing) for n in range(8)]
        party_id = (await ann.ask("party.create"))["party"]["party_id"]
        for n in range(8):
            await ann.ask("party.invite", user_id=f"usr_{n}")
        *seven, late = others
        answers = await asyncio.gather(*(other.ask("party.accept", party_id=party_id) for other in seven))
        assert sorted(len(answer["party"]["members"]) for answer in answers) == list(range(2, 9))
        assert await late.refused("party.accept", party_id=party_id) == (-32005, "party_full")
        assert await ann.refused("party.invite", user_id=B) == (-32005, "party_full")
        await seven[0].ask("party.leave")
        assert len((await late.ask("party.accept", party_id=party_id))["party"]["members"]) == 8
        await leave(ann, *others)

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_a_flood_of_them(self, a_realm: Realm, framing: Framing) -> None:
        async with a_realm(social={"requests_per_minute": 3, "party_invited": 2}) as realm:
            ann = await device(realm, A, framing, "Ann")
            await ann.ask("party.create")
            for n in range(2):
                assert "party" in await ann.ask("party.invite", user_id=f"usr_{n}")
            assert await ann.refused("party.invite", user_id=B) == (-32005, "too_many_invitations")
            for _ in range(3):
                refused = await ann.ask("party.invite", user_id=B)
                assert (refused.code, refused.data["reason"]) == (-32001, "requests")
                assert 0 < refused.data["retryAfter"] <= 20
            await leave(ann)


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_bad_input(realm: LocalRealm, framing: Framing) -> None:
    ann, bob = await device(realm, A, framing, "Ann"), await device(realm, B, framing, "Bob")
    for method in ("invite", "kick", "lead"):
        assert await ann.refused(f"party.{method}", user_id=A) == (-32602, "is yourself")
        assert await ann.refused(f"party.{method}", user_id=B) == (-32003, "not_in_party")
    assert await ann.refused("party.accept", party_id="pty_0123456789") == (-32602, "no_such_invitation")
    assert await ann.ask("party.leave") == {"party": None}
    party_id = await party_of(ann, bob)
    assert await ann.refused("party.create") == (-32005, "in_a_party")
    assert await ann.refused("party.invite", user_id=B) == (-32005, "already_member")
    assert await ann.refused("party.invite", name="Nobody at all") == (-32602, "no_such_player")
    assert await ann.refused("party.kick", user_id=C) == (-32602, "no_such_member")
    assert await bob.refused("party.lead", user_id=A) == (-32003, "not_leader")
    for method, params in (
        ("party.invite", {}),
        ("party.invite", {"user_id": ["c"] * 3_000}),
        ("party.invite", {"name": ["c"] * 3_000}),
        ("party.invite", {"user_id": C, "name": "Cat"}),
        ("party.accept", {}),
        ("party.accept", {"party_id": ""}),
        ("party.accept", {"party_id": "pty_" + "x" * 41}),
        ("party.accept", {"party_id": "pty_*"}),
        ("party.decline", {"party_id": [party_id] * 1_000}),
        ("party.kick", {"name": "Bob"}),
    ):
        assert (await ann.refused(method, **params))[0] == -32602, (method, params)
    assert await ann.refused("party.create", name="Ours") == (-32005, "in_a_party"), "what is not known is ignored"
    assert members((await ann.ask("party.get"))["party"]) == [A, B]
    await leave(ann, bob)


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_members_and_nobody_else_hear_the_party_s_chat(realm: LocalRealm, framing: Framing) -> None:
    ann, bob, cat = [await device(realm, user, framing, name) for user, name in ((A, "Ann"), (B, "Bob"), (C, "Cat"))]
    await party_of(ann, bob)

    async def heard(text: str, *by: Device) -> None:
        for who in by:
            said = await who.hear("chat.message", lambda said: said["text"] == text)
            assert (said["channel"], said["from"], said["name"]) == ("party", A, "Ann")

    assert "message_id" in await ann.ask("chat.message", channel="party", text="this way")
    await heard("this way", ann, bob)
    assert (await cat.refused("chat.message", channel="party", text="hello"))[0] == -32003
    await ann.ask("party.invite", user_id=C)
    await cat.ask("party.accept", party_id=(await cat.hear("party.invited"))["party_id"])
    await changed(cat, "joined")
    await ann.ask("chat.message", channel="party", text="welcome")
    await heard("welcome", ann, bob, cat)
    await ann.ask("party.kick", user_id=B)
    await changed(bob, "kicked")
    await ann.ask("chat.message", channel="party", text="at last")
    await heard("at last", ann, cat)
    assert (await bob.refused("chat.message", channel="party", text="hello"))[0] == -32003
    assert bob.of("chat.message") == []
    await leave(ann, bob, cat)


class TestPlaces:
    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_members_are_shown_where_the_others_are(self, realm: LocalRealm, framing: Framing) -> None:
        """Over zones; as their zones have judged; and nobody else is."""
        ann, bob = await device(realm, A, framing, "Ann", 100.0), await device(realm, B, "proto")
        await bob.enter(await realm.character(B, "Bob"), zone="zon_harbour")
        cat, dan = await device(realm, C, "json"), await device(realm, D, framing, "Dan", 103.0)
        await party_of(ann, bob, cat)

        def where(said: dict[str, Any], user_id: str) -> tuple[str, str, float, float] | None:
            return next(
                (((m["name"]), m["zone"], m["x"], m["z"]) for m in said["members"] if m["user_id"] == user_id), None
            )

        at = bob.world["position"]
        harbour = ("Bob", "zon_harbour", round(at["x"], 1), round(at["z"], 1))
        for who in (ann, cat):
            await who.hear("party.positions", lambda said: where(said, B) == harbour)
        await bob.hear("party.positions", lambda said: where(said, A) == ("Ann", "zon_meadow", 100.0, 100.0))
        x = 100.0
        for _ in range(5):
            x += 0.3
            await ann.move(x, 100.0)
        for who in (bob, cat):
            await who.hear("party.positions", lambda said: where(said, A) == ("Ann", "zon_meadow", 101.5, 100.0))
        sequence = await ann.move(199.0, 100.0)
        await ann.until(lambda: bool(ann.corrections))
        assert ann.corrections[-1].sequence == sequence
        await ann.move(101.8, 100.0)
        said = await bob.hear("party.positions", lambda said: where(said, A) != ("Ann", "zon_meadow", 101.5, 100.0))
        assert where(said, A) == ("Ann", "zon_meadow", 101.8, 100.0), "a refused move is not where one is"
        await ann.ask("world.leave")
        await bob.hear("party.positions", shows(set()))
        assert dan.of("party.positions") == []
        await leave(ann, bob, cat, dan)

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_members_who_block_each_other_are_not_shown_to_each_other(
        self, realm: LocalRealm, framing: Framing
    ) -> None:
        """Everybody else is, whatever they show to those outside."""
        ann, bob = await device(realm, A, framing, "Ann", 100.0), await device(realm, B, framing, "Bob", 104.0)
        cat = await device(realm, C, framing, "Cat", 108.0)
        await cat.ask("presence.privacy", zone="nobody")
        await cat.ask("presence.update", status="invisible")
        await party_of(ann, bob, cat)
        for who, others in ((ann, {B, C}), (bob, {A, C}), (cat, {A, B})):
            await who.hear("party.positions", shows(others))
        await bob.ask("friends.block", user_id=A)
        for who in (ann, bob):
            await who.hear("party.positions", shows({C}))
            who.told.clear()
        await ann.move(100.3, 100.0)
        await cat.hear("party.positions", lambda said: said["members"][0]["x"] == 100.3)
        for who in (ann, bob):
            await who.ask("system.ping")
            assert all(shows({C})(said) for said in who.of("party.positions"))
        await bob.ask("friends.unblock", user_id=A)
        for who, others in ((ann, {B, C}), (bob, {A, C})):
            await who.hear("party.positions", shows(others))
        await leave(ann, bob, cat)

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_who_has_left_is_shown_nothing_any_more(self, realm: LocalRealm, framing: Framing) -> None:
        ann, bob = await device(realm, A, framing, "Ann", 100.0), await device(realm, B, framing, "Bob", 104.0)
        cat = await device(realm, C, framing, "Cat", 108.0)
        await party_of(ann, bob, cat)
        for who, others in ((ann, {B, C}), (bob, {A, C}), (cat, {A, B})):
            await who.hear("party.positions", shows(others))
        await ann.ask("party.kick", user_id=B)
        await changed(bob, "kicked")
        for who, other in ((ann, C), (cat, A)):
            await who.hear("party.positions", shows({other}))
        bob.told.clear()
        await ann.move(100.5, 100.0)
        await cat.hear("party.positions", lambda said: said["members"][0]["x"] == 100.5)
        await bob.ask("system.ping")
        assert bob.of("party.positions") == []
        await leave(ann, bob, cat)
