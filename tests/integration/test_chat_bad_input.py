"""What clients say and must not, over real sockets: the clear error, nothing told to others, and the session goes on."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from rayrealm_client.codec import Framing
from tests.integration.chatters import (
    FRAMINGS,
    detail,
    done,
    heard,
    hears,
    join,
    leave,
    moderator,
    reason,
    refused,
    says,
)
from tests.local_realm import LocalRealm
from tests.players import Player

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.parametrize("framing", FRAMINGS)]

MARKS = "".join(chr(c) for c in range(0x0316, 0x031A))
NOBODY = "usr_nobody"


@pytest_asyncio.fixture(loop_scope="module")
async def ann(watched_realm: LocalRealm, framing: Framing) -> AsyncIterator[Player]:
    """Somebody new in a channel of her own; she must still be there afterwards."""
    player = await Player.join(watched_realm, f"usr_{secrets.token_hex(6)}", framing)
    yield player
    assert (await player.ask("system.ping", echo=1))["echo"] == 1
    await player.leave()


@pytest_asyncio.fixture(loop_scope="module")
async def hall(ann: Player) -> str:
    name = f"hall-{secrets.token_hex(6)}"
    await join(name, ann)
    return name


class TestText:
    @pytest.mark.parametrize(
        ("said", "why"),
        [
            ("", "String should have at least 1 character"),
            ("  \n", "nothing to say"),
            ("\u202e\u2066\u200b", "nothing to say"),
            (MARKS * 50, "nothing to say"),
            ("x" * 501, "more than 500 characters"),
            ("x" * 12_000, "more than 500 characters"),
            ("\u202e" * 4_000, "more than 500 characters"),
            ("<b></b>", "nothing to say"),
            ("&" + "amp;" * 20 + "lt;b>", "too much markup"),
            (7, "Input should be a valid string"),
            (None, "Input should be a valid string"),
            (["x"], "Input should be a valid string"),
        ],
    )
    async def test_refused(self, ann: Player, hall: str, said: Any, why: str) -> None:
        failure = await refused(ann, "chat.message", channel=hall, text=said)
        assert failure.code == -32602
        assert detail(failure)["errors"] == [{"field": "text", "reason": why}]
        await says(ann, hall, "the end")
        await hears(ann, "the end")

    async def test_100_kb_end_the_socket_and_nothing_is_said(
        self, watched_realm: LocalRealm, framing: Framing, ann: Player, hall: str
    ) -> None:
        """More than a frame may have (RFC 6455, 1009)."""
        bob = await Player.join(watched_realm, f"usr_{secrets.token_hex(6)}", framing)
        await join(hall, bob)
        await bob.notify("chat.message", channel=hall, text="x" * 102_400)
        assert await bob.closed() == 1009
        await says(ann, hall, "the end")
        await hears(ann, "the end")

    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            ("\u202egnp.exe\u202c", "gnp.exe"),
            ("\u2067abc\u2069", "abc"),
            ("Z" + MARKS * 20 + "o", "Z" + MARKS + "o"),
            ("<script>alert(1)</script>a < b **bold** &lt;i&gt;", "a < b **bold** "),
            ("a\x00b\x1b[2Jc", "ab[2Jc"),
            ("x" * 500 + "\u202e" * 500, "x" * 500),
        ],
    )
    async def test_cleaned(self, ann: Player, hall: str, said: str, shown: str) -> None:
        await says(ann, hall, said)
        await hears(ann, shown)
        (kept,) = (await done(ann, "chat.history", channel=hall))["messages"]
        assert kept["text"] == shown


class TestNames:
    @pytest.mark.parametrize(
        "channel",
        [
            *("", " ", "Hall", "a b", "hall\n", "ö", "x" * 49, "x" * 3_000, "../x", "chat:*>"),
            *(
                "direct",
                "direct:",
                "direct:x",
                "direct:usr_a:usr_b",
                "zone:zon_meadow",
                "party:pty_1",
                "say:",
                7,
                None,
                [],
            ),
        ],
    )
    async def test_no_channel(self, ann: Player, channel: Any) -> None:
        for method, more in (
            ("chat.channel.join", {}),
            ("chat.channel.leave", {}),
            ("chat.channel.members", {}),
            ("chat.channel.create", {}),
            ("chat.message", {"text": "x"}),
            ("chat.history", {}),
        ):
            failure = await refused(ann, method, channel=channel, **more)
            assert (failure.code, detail(failure)["errors"][0]["field"]) == (-32602, "channel"), method

    @pytest.mark.parametrize("channel", ["say", "shout", "party", f"direct:{NOBODY}"])
    async def test_what_is_not_joined(self, ann: Player, channel: str) -> None:
        for method in ("chat.channel.join", "chat.channel.leave"):
            failure = await refused(ann, method, channel=channel)
            assert (failure.code, reason(failure)) == (-32602, "is heard without joining")

    @pytest.mark.parametrize("channel", ["say", "shout", "zone", f"direct:{NOBODY}"])
    async def test_what_has_no_list_of_members(self, ann: Player, channel: str) -> None:
        assert reason(await refused(ann, "chat.channel.members", channel=channel)) == "has no list of members"

    @pytest.mark.parametrize("channel", ["global", "zone", "say", "party", f"direct:{NOBODY}"])
    async def test_what_belongs_to_nobody(self, ann: Player, channel: str) -> None:
        assert reason(await refused(ann, "chat.channel.create", channel=channel)) == "belongs to nobody"

    @pytest.mark.parametrize("channel", ["say", "shout"])
    async def test_ranges_need_a_place(self, ann: Player, channel: str) -> None:
        failure = await refused(ann, "chat.message", channel=channel, text="hello?")
        assert (failure.code, reason(failure)) == (-32003, "not_in_world")
        assert reason(await refused(ann, "chat.history", channel=channel)) == "has no history"


class TestHistory:
    async def test_cursors_that_were_never_given(self, ann: Player, hall: str) -> None:
        await says(ann, hall, "one")
        (said,) = (await done(ann, "chat.history", channel=hall))["messages"]
        cursor = said["cursor"]
        den = f"den-{secrets.token_hex(6)}"
        await join(den, ann)
        wrong = [
            (hall, each) for each in ("x", "0-0", "9999999999999-0.00000000", cursor[:-1], f"9{cursor}", "(" + cursor)
        ]
        for channel, given in (*wrong, (den, cursor)):
            failure = await refused(ann, "chat.history", channel=channel, cursor=given)
            assert failure.code == -32602
            assert detail(failure)["errors"] == [{"field": "cursor", "reason": "was not given for this channel"}]
        for given in ("", "x" * 65, 7, {}):
            failure = await refused(ann, "chat.history", channel=hall, cursor=given)
            assert (failure.code, detail(failure)["errors"][0]["field"]) == (-32602, "cursor")

    @pytest.mark.parametrize("limit", [0, -1, 101, 10**12, 1.5, "many"])
    async def test_limits(self, ann: Player, hall: str, limit: Any) -> None:
        failure = await refused(ann, "chat.history", channel=hall, limit=limit)
        assert (failure.code, detail(failure)["errors"][0]["field"]) == (-32602, "limit")

    @pytest.mark.parametrize("cursor", ["x", "-1", "1" * 19, 5])
    async def test_members_cursors(self, ann: Player, hall: str, cursor: Any) -> None:
        failure = await refused(ann, "chat.channel.members", channel=hall, cursor=cursor)
        assert (failure.code, detail(failure)["errors"][0]["field"]) == (-32602, "cursor")


class TestNotAllowed:
    async def test_others_channels(self, watched_realm: LocalRealm, framing: Framing, ann: Player) -> None:
        """The same answer for a private channel, one that belongs to somebody, and one that there is not."""
        bob = await Player.join(watched_realm, f"usr_{secrets.token_hex(6)}", framing)
        den = f"den-{secrets.token_hex(6)}"
        await done(bob, "chat.channel.create", channel=den, private=True)
        await join(den, bob)
        message_id = await says(bob, den, "secret")
        failure = await refused(ann, "chat.channel.join", channel=den)
        assert (failure.code, reason(failure)) == (-32003, "not_invited")
        for method, more in (("chat.message", {"text": "x"}), ("chat.history", {}), ("chat.channel.members", {})):
            assert reason(await refused(ann, method, channel=den, **more)) == "not_in_channel"
        for channel in (den, f"none-{secrets.token_hex(6)}", "global", f"direct:{NOBODY}", "zone", "say"):
            for method, params in (
                ("chat.mute", {"user_id": NOBODY, "seconds": 60}),
                ("chat.channel.change", {"private": False}),
                ("chat.channel.invite", {"user_id": ann.ready["user_id"]}),
            ):
                failure = await refused(ann, method, channel=channel, **params)
                assert (failure.code, reason(failure)) == (-32003, "not_allowed"), (channel, method)
        failure = await refused(ann, "chat.delete", channel=den, message_id=message_id)
        assert (failure.code, reason(failure)) == (-32003, "not_allowed")
        assert heard(ann) == []
        await bob.leave()

    async def test_moderators_read_no_direct_messages(
        self, watched_realm: LocalRealm, framing: Framing, ann: Player
    ) -> None:
        mod = await moderator(watched_realm, f"usr_{secrets.token_hex(6)}", framing)
        await says(ann, f"direct:{NOBODY}", "between us")
        channel = f"direct:{ann.ready['user_id']}"
        assert (await done(mod, "chat.history", channel=channel))["messages"] == []
        for method, more in (
            ("chat.delete", {"message_id": "msg_0123456789abcdef"}),
            ("chat.mute", {"user_id": ann.ready["user_id"], "seconds": 60}),
        ):
            assert reason(await refused(mod, method, channel=channel, **more)) == "not_allowed"
        await leave(mod)


class TestOtherParams:
    @pytest.mark.parametrize(
        ("method", "params", "field"),
        [
            ("chat.message", {"channel": "global", "text": "x", "client_id": "x" * 65}, "client_id"),
            ("chat.message", {"channel": "global", "txt": "x"}, "text"),
            ("chat.message", {"channel": "global", "text": "x" * 30_000}, "params"),
            ("chat.message", {"text": "x"}, "channel"),
            ("chat.read", {"message_ids": []}, "message_ids"),
            ("chat.read", {"message_ids": ["msg_0123456789abcdef"] * 201}, "message_ids"),
            ("chat.read", {"message_ids": ["* x"]}, "message_ids.0"),
            ("chat.inbox", {"cursor": 5}, "cursor"),
            ("chat.delete", {"channel": "global", "message_id": "msg_1"}, "message_id"),
            ("chat.mute", {"channel": "global", "user_id": "Bob", "seconds": 1}, "user_id"),
            ("chat.mute", {"channel": "global", "user_id": NOBODY, "seconds": -1}, "seconds"),
            ("chat.mute", {"channel": "global", "user_id": NOBODY, "seconds": 1e12}, "seconds"),
            ("chat.channel.create", {"channel": "den", "slow_s": -1}, "slow_s"),
            ("chat.channel.create", {"channel": "den", "slow_s": 1e9}, "slow_s"),
            ("chat.channel.create", {"channel": "den", "private": "perhaps"}, "private"),
            ("chat.channel.invite", {"channel": "den"}, "params"),
            ("chat.channel.invite", {"channel": "den", "user_id": NOBODY, "name": "Bob"}, "params"),
        ],
    )
    async def test_the_wrong_field_is_named(self, ann: Player, method: str, params: dict[str, Any], field: str) -> None:
        failure = await refused(ann, method, **params)
        assert failure.code == -32602
        assert [error["field"] for error in detail(failure)["errors"]] == [field]

    async def test_who_is_unknown(self, ann: Player) -> None:
        den = f"den-{secrets.token_hex(6)}"
        await done(ann, "chat.channel.create", channel=den, private=True)
        failure = await refused(ann, "chat.channel.invite", channel=den, name="Nobody At All")
        assert (failure.code, reason(failure)) == (-32602, "no_such_player")
        assert (
            reason(await refused(ann, "chat.channel.invite", channel=den, user_id=ann.ready["user_id"]))
            == "is yourself"
        )
        assert await done(ann, "chat.channel.invite", channel=den, user_id=NOBODY) == {
            "channel": den,
            "user_id": NOBODY,
        }

    @pytest.mark.parametrize("method", ["zone.hearers", "chat.channel.uninvite", "chat.hidden", "chat.deleted"])
    async def test_what_is_not_for_clients(self, ann: Player, method: str) -> None:
        failure = await refused(ann, method, range=1e9, most=10)
        assert failure.code == -32601

    async def test_speaking_everywhere(self, ann: Player) -> None:
        """Each channel that nobody has spoken in makes a history that is kept for days."""
        limited = []
        for _ in range(25):
            channel = f"new-{secrets.token_hex(8)}"
            await join(channel, ann)
            answer = await ann.ask("chat.message", channel=channel, text="first!")
            if not isinstance(answer, dict):
                limited.append(answer)
            await done(ann, "chat.channel.leave", channel=channel)
        assert 0 < len(limited) <= 5, "20 a minute"
        assert {(failure.code, reason(failure)) for failure in limited} == {(-32001, "new_channels")}
        assert all(0.0 < detail(failure)["retryAfter"] <= 3.0 for failure in limited)

    async def test_floods(self, ann: Player, hall: str) -> None:
        answers = [await ann.ask("chat.message", channel=hall, text=f"{n}") for n in range(15)]
        said = [answer for answer in answers if isinstance(answer, dict)]
        limited = [answer for answer in answers if not isinstance(answer, dict)]
        assert len(said) in (10, 11)
        assert {(failure.code, reason(failure)) for failure in limited} == {(-32001, "chat")}
        assert all(0.0 < detail(failure)["retryAfter"] <= 0.5 for failure in limited)
        for n in range(25):
            answer = await ann.ask("chat.channel.create", channel=f"{hall}-{n}", slow_s=1)
            if not isinstance(answer, dict) and answer.code == -32001:
                break
        else:
            pytest.fail("channels are made without a limit")
