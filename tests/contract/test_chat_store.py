"""What every adapter of the chat's store does: channels, and who may speak (cluster/ports/chat.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from cluster.errors import Conflict, InvalidState, NotFound, RateLimited
from cluster.ports.chat import Channel, Gate, Passed, Presence
from tests.contract.chat_stores import ANN, BOB, DAY, GATE_OF_TESTS, HALL, OPEN, OTHER, Rig, rig_of, who


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    async with rig_of(request, namespace) as made:
        yield made


class TestChannels:
    async def test_made_and_known(self, rig: Rig) -> None:
        assert await rig.store.channel(HALL) is None
        made = await rig.create(private=True, slow_s=2.5)
        assert await rig.store.channel(HALL) == made
        assert await rig.store.channel(OTHER) is None

    async def test_made_twice(self, rig: Rig) -> None:
        made = await rig.create()
        await rig.create()
        for other in (replace(made, owner=BOB), replace(made, private=True), replace(made, slow_s=1.0)):
            with pytest.raises(Conflict, match="channel taken"):
                await rig.store.create(other, 10, DAY)
        assert await rig.store.channel(HALL) == made

    @pytest.mark.parametrize("status", ["online", "invisible"])
    async def test_where_somebody_listens_already(self, rig: Rig, status: str) -> None:
        """Also unseen: a squatter must not hear what its owner says in a private channel."""
        await rig.session("ses_gone", "online")
        await rig.session("ses_1", status)
        for session_id in ("ses_gone", "ses_1"):
            await rig.store.joined(HALL, Presence(session_id, BOB, ""))
        await rig.end("ses_gone")
        for private in (True, False):
            with pytest.raises(Conflict, match="channel taken"):
                await rig.create(private=private)
        await rig.store.create(Channel(OTHER, ANN, True, 0.0, 1.0), 1, DAY)  # nothing was used up
        assert await rig.store.channel(HALL) is None
        await rig.store.create(Channel(HALL, "", False, 0.0, 1.0), 0, DAY)  # what stays everybody's

    async def test_where_those_who_listened_are_gone(self, rig: Rig) -> None:
        await rig.session("ses_1", "online")
        await rig.store.joined(HALL, who(1))
        await rig.end("ses_1")
        made = await rig.create(private=True)
        await rig.session("ses_2", "online")
        await rig.store.joined(HALL, who(2))
        await rig.store.create(made, 10, DAY)  # the same again

    async def test_so_many_of_one_owner(self, rig: Rig) -> None:
        for name in (HALL, OTHER):
            await rig.store.create(Channel(name, ANN, False, 0.0, 1.0), 2, DAY)
        with pytest.raises(Conflict, match="too many channels"):
            await rig.store.create(Channel("third", ANN, False, 0.0, 1.0), 2, DAY)
        await rig.store.create(Channel("third", BOB, False, 0.0, 1.0), 2, DAY)
        await rig.store.create(Channel(HALL, ANN, False, 0.0, 1.0), 2, DAY)  # again

    async def test_none_may_be_made(self, rig: Rig) -> None:
        with pytest.raises(Conflict, match="too many channels"):
            await rig.store.create(Channel(HALL, ANN, False, 0.0, 1.0), 0, DAY)

    async def test_they_end_when_nobody_speaks(self, rig: Rig) -> None:
        await rig.store.create(Channel(HALL, ANN, False, 0.0, 1.0), 1, 0.03)
        await asyncio.sleep(0.05)  # what ends by itself has to be waited for
        assert await rig.store.channel(HALL) is None
        await rig.store.create(Channel(OTHER, ANN, False, 0.0, 1.0), 1, DAY)

    async def test_a_message_keeps_them(self, rig: Rig) -> None:
        await rig.store.create(Channel(HALL, ANN, True, 0.0, 1.0), 1, 0.05)
        await rig.store.invite(HALL, BOB, 10)
        await rig.passes("k")
        await asyncio.sleep(0.08)
        assert await rig.store.channel(HALL) is not None
        assert await rig.store.invited(HALL, BOB)

    async def test_changed(self, rig: Rig) -> None:
        made = await rig.create()
        assert await rig.store.change(HALL, None, 3.0, 10) == replace(made, slow_s=3.0)
        assert await rig.store.change(HALL, True, None, 10) == replace(made, slow_s=3.0, private=True)
        assert await rig.store.change(HALL, False, 0.0, 10) == made
        assert await rig.store.change(HALL, None, None, 10) == made == await rig.store.channel(HALL)
        with pytest.raises(NotFound, match="no such channel"):
            await rig.store.change(OTHER, True, None, 10)
        assert await rig.store.channel(OTHER) is None

    async def test_who_listens_is_invited_into_what_becomes_private(self, rig: Rig) -> None:
        await rig.create()
        for number, status in enumerate(("online", "invisible", "online")):
            await rig.session(f"ses_{number}", status)
            await rig.store.joined(HALL, who(number))
        await rig.session("ses_owner", "online")
        await rig.store.joined(HALL, Presence("ses_owner", ANN, ""))
        await rig.session("ses_second", "online")
        await rig.store.joined(HALL, Presence("ses_second", "usr_0", ""))
        await rig.end("ses_2")
        for most in (0, 1):
            with pytest.raises(Conflict, match="too many invited"):
                await rig.store.change(HALL, True, 5.0, most)
        unchanged = await rig.store.channel(HALL)
        assert unchanged is not None
        assert (unchanged.private, unchanged.slow_s) == (False, 0.0)
        assert not await rig.store.invited(HALL, "usr_0")
        for _ in range(2):
            assert (await rig.store.change(HALL, True, None, 2)).private
        assert [await rig.store.invited(HALL, f"usr_{number}") for number in range(3)] == [True, True, False]
        await rig.passes("k", user="usr_1")
        with pytest.raises(InvalidState, match="not invited"):
            await rig.passes("l", user="usr_2")

    async def test_what_belongs_to_nobody(self, rig: Rig) -> None:
        for name in (HALL, OTHER):
            await rig.store.create(Channel(name, "", False, 0.0, 1.0), 0, DAY)
        made = await rig.store.change(HALL, None, 60.0, 10)
        assert made == Channel(HALL, "", False, 60.0, 1.0) == await rig.store.channel(HALL)
        await rig.passes("a", user=BOB)
        with pytest.raises(RateLimited, match="slow mode"):
            await rig.passes("b", user=BOB)
        await rig.passes("c", user=BOB, gate=replace(OPEN, moderator=True))

    async def test_invitations(self, rig: Rig) -> None:
        await rig.create(private=True)
        assert not await rig.store.invited(HALL, BOB)
        for _ in range(2):
            await rig.store.invite(HALL, BOB, 1)
        assert await rig.store.invited(HALL, BOB)
        assert not await rig.store.invited(HALL, "usr_c")
        with pytest.raises(Conflict, match="too many invited"):
            await rig.store.invite(HALL, "usr_c", 1)
        with pytest.raises(NotFound, match="no such channel"):
            await rig.store.invite(OTHER, BOB, 1)


class TestGate:
    async def test_so_many_at_once(self, rig: Rig) -> None:
        for n in range(3):
            assert await rig.passes(f"{n}", gate=GATE_OF_TESTS) == Passed(f"msg_of_{n}", False)
        for _ in range(2):
            with pytest.raises(RateLimited, match="chat") as refused:
                await rig.passes("more", gate=GATE_OF_TESTS)
            assert 90.0 < refused.value.retry_after_s <= 100.0
        await rig.passes("other channel", OTHER, gate=GATE_OF_TESTS)
        await rig.passes("other user", user=BOB, gate=GATE_OF_TESTS)

    async def test_in_the_long_run(self, rig: Rig) -> None:
        gate = Gate(rate_per_s=50.0, burst=1, keep_s=DAY)
        await rig.passes("a", gate=gate)
        with pytest.raises(RateLimited) as refused:
            await rig.passes("b", gate=gate)
        assert 0.0 < refused.value.retry_after_s <= 0.02
        await asyncio.sleep(refused.value.retry_after_s + 0.002)
        await rig.passes("b", gate=gate)

    async def test_many_at_once_are_not_more(self, rig: Rig) -> None:
        results = await asyncio.gather(
            *(rig.passes(f"{n}", gate=GATE_OF_TESTS) for n in range(20)), return_exceptions=True
        )
        assert sum(isinstance(result, Passed) for result in results) == 3
        assert sum(isinstance(result, RateLimited) for result in results) == 17

    async def test_a_key_that_passed_uses_nothing_up(self, rig: Rig) -> None:
        for n in range(3):
            await rig.passes(f"{n}", gate=GATE_OF_TESTS)
        for n in range(3):
            again = await rig.store.pass_gate(HALL, ANN, GATE_OF_TESTS, f"{n}", "msg_another")
            assert again == Passed(f"msg_of_{n}", False)

    async def test_what_was_published_is_done(self, rig: Rig) -> None:
        gate = replace(GATE_OF_TESTS, burst=1)
        passed = await rig.passes("k", gate=gate)
        await rig.topics.publish("chat:hall", "chat.message", b"{}", 100, "k", passed.message_id)
        assert await rig.store.pass_gate(HALL, ANN, gate, "k", "msg_another") == Passed("msg_of_k", True)
        await rig.store.mute(HALL, ANN, rig.now() + 60.0)
        assert await rig.store.pass_gate(HALL, ANN, gate, "k", "msg_another") == Passed("msg_of_k", True)

    async def test_slow_mode(self, rig: Rig) -> None:
        await rig.create(slow_s=60.0)
        await rig.passes("a", user=BOB)
        with pytest.raises(RateLimited, match="slow mode") as refused:
            await rig.passes("b", user=BOB)
        assert 55.0 < refused.value.retry_after_s <= 60.0
        assert await rig.passes("a", user=BOB) == Passed("msg_of_a", False)
        await rig.passes("c", user="usr_c")
        await rig.passes("d", OTHER, user=BOB)

    async def test_who_is_not_slowed(self, rig: Rig) -> None:
        await rig.create(slow_s=60.0)
        for n in range(3):
            await rig.passes(f"owner {n}", user=ANN)
            await rig.passes(f"moderator {n}", user=BOB, gate=replace(OPEN, moderator=True))

    async def test_slow_mode_that_came_later(self, rig: Rig) -> None:
        await rig.create()
        await rig.passes("a", user=BOB)
        await rig.store.change(HALL, None, 60.0, 10)
        with pytest.raises(RateLimited, match="slow mode"):
            await rig.passes("b", user=BOB)
        await rig.store.change(HALL, None, 0.0, 10)
        await rig.passes("b", user=BOB)

    async def test_who_speaks_where_nobody_has_spoken_is_limited(self, rig: Rig) -> None:
        """Over all channels: each would be a log that we keep for days."""
        for n in range(3):
            gate = replace(OPEN, topic=f"chat:new {n}", new_per_minute=3)
            await rig.passes(f"{n}", f"new {n}", gate=gate)
            assert await rig.passes(f"{n}", f"new {n}", gate=gate) == Passed(f"msg_of_{n}", False)
            await rig.topics.publish(gate.topic, "chat.message", b"{}", 100)
        new = replace(OPEN, topic="chat:new 3", new_per_minute=3)
        for _ in range(2):
            with pytest.raises(RateLimited, match="new channels") as refused:
                await rig.passes("4", "new 3", gate=new)
            assert 15.0 < refused.value.retry_after_s <= 20.0
        for n in range(3):
            await rig.passes(f"again {n}", f"new {n}", gate=replace(new, topic=f"chat:new {n}"))
        await rig.passes("range", "say", gate=replace(new, topic=""))
        await rig.passes("other user", "new 3", BOB, new)
        await rig.topics.publish("chat:new 3", "chat.message", b"{}", 100)
        await rig.passes("4", "new 3", gate=new)

    async def test_muted(self, rig: Rig) -> None:
        await rig.store.mute(HALL, ANN, rig.now() + 60.0)
        with pytest.raises(InvalidState, match="muted"):
            await rig.passes("a")
        await rig.passes("b", OTHER)
        await rig.passes("c", user=BOB)
        await rig.passes("d", gate=replace(OPEN, moderator=True))
        await rig.store.mute(HALL, ANN, 0.0)
        assert await rig.passes("a") == Passed("msg_of_a", False)

    async def test_a_mute_ends(self, rig: Rig) -> None:
        await rig.store.mute(HALL, ANN, rig.now() + 60.0)
        await rig.store.mute(HALL, ANN, rig.now() + 0.03)
        await asyncio.sleep(0.05)
        await rig.passes("a")
        await rig.store.mute(HALL, ANN, rig.now() - 5.0)
        await rig.passes("b")

    async def test_a_private_channel(self, rig: Rig) -> None:
        await rig.create(private=True)
        await rig.passes("a", user=ANN)
        await rig.passes("b", user=BOB, gate=replace(OPEN, moderator=True))
        with pytest.raises(InvalidState, match="not invited"):
            await rig.passes("c", user=BOB)
        await rig.store.invite(HALL, BOB, 10)
        await rig.passes("c", user=BOB)

    async def test_who_was_refused_has_used_nothing(self, rig: Rig) -> None:
        gate = replace(GATE_OF_TESTS, burst=1)
        await rig.store.mute(HALL, ANN, rig.now() + 60.0)
        with pytest.raises(InvalidState):
            await rig.passes("a", gate=gate)
        await rig.store.mute(HALL, ANN, 0.0)
        await rig.passes("a", gate=gate)


class TestDeleted:
    async def test_marked(self, rig: Rig) -> None:
        assert await rig.store.deleted("chat:hall", ["m1", "m2"]) == set()
        assert await rig.store.delete("chat:hall", "m1", 10, DAY)
        assert not await rig.store.delete("chat:hall", "m1", 10, DAY)
        assert await rig.store.deleted("chat:hall", ["m1", "m2"]) == {"m1"}
        assert await rig.store.deleted("chat:other", ["m1", "m2"]) == set()
        assert await rig.store.deleted("chat:hall", []) == set()

    async def test_the_newest_are_remembered(self, rig: Rig) -> None:
        for n in range(5):
            await rig.store.delete("chat:hall", f"m{n}", 3, DAY)
            await asyncio.sleep(0.002)  # they are ordered by milliseconds
        assert await rig.store.deleted("chat:hall", [f"m{n}" for n in range(5)]) == {"m2", "m3", "m4"}

    async def test_they_end(self, rig: Rig) -> None:
        await rig.store.delete("chat:hall", "m1", 3, 0.02)
        await asyncio.sleep(0.04)
        assert await rig.store.deleted("chat:hall", ["m1"]) == set()
