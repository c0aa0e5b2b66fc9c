"""chat.* at a gateway: what happens when a step of it fails, and what is kept where (rows 2.3 and 3.3)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from actors.chat.filtering import Contained, MaskedWords, load_filter
from cluster.errors import InvalidInput, Unavailable
from cluster.ports.chat import Channel, Presence
from cluster.ports.social import Limits
from serve_apps.gateway.client import Client
from serve_apps.gateway.routes import chat as chat_routes
from serve_apps.gateway.services import Services
from tests.unit.serve_apps.gateway.fakes import WALL
from tests.unit.serve_apps.gateway.people_rig import People

LIMITS = Limits(100, 100, 100, 100)
HALL, DIRECT = "chat:hall", "chat:direct:usr_a:usr_b"


@pytest.fixture
async def people() -> People:
    people = People()
    for user_id, name in (("usr_a", "Ann"), ("usr_b", "Bob")):
        people.come(user_id, name)
        await people.character(user_id, name)
    return people


async def kept(people: People, topic: str) -> list[tuple[str, str]]:
    """(method, text) of the topic's log."""
    found = await people.services.topics.after({topic: ""}, 1_000)
    return [(m.method, orjson.loads(m.params_json).get("text", "")) for m in found]


async def history(people: People, user_id: str, channel: str, **more: Any) -> tuple[list[str], str | None]:
    page = await people.ask(user_id, "chat.history", channel=channel, **more)
    return [said["text"] for said in page["messages"]], page["cursor"]


class Nothing:
    """A word filter that lets nothing through."""

    def filter(self, text: str, channel: str) -> str | None:
        return None


def fails(monkeypatch: pytest.MonkeyPatch, store: Any, method: str, times: int = 1) -> None:
    """The next so many calls are not answered, and have done nothing."""
    real, left = getattr(store, method), [times]

    async def away(*args: Any, **kwargs: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise Unavailable("redis")
        return await real(*args, **kwargs)

    monkeypatch.setattr(store, method, away)


async def test_a_direct_message_is_kept_as_history_in_its_channel_alone(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short history must not take from users' topics what their devices have not been given, nor a long one fill them."""
    real: Any = people.services.topics.publish_many
    kept_as: dict[str, tuple[int, float]] = {}

    async def spy(topics: list[str], method: str, params: Any, limit: list[int], *args: Any, **more: Any) -> Any:
        kept_as.update(zip(topics, zip(limit, more["keep_s"], strict=True), strict=True))
        return await real(topics, method, params, limit, *args, **more)

    monkeypatch.setattr(people.services.topics, "publish_many", spy)
    settings = people.services.settings
    monkeypatch.setitem(settings.chat.__dict__, "history", 10)
    await people.ask("usr_a", "chat.message", channel="direct:usr_b", text="hello")
    users = (settings.session.topic_log, 3_600.0)
    assert kept_as == {
        DIRECT: (10, settings.chat.history_s),
        "user:usr_a": users,
        "user:usr_b": users,
    }


class TestJoining:
    """Somebody makes the channel a private one while another joins: whoever comes first, nobody hears it uninvited."""

    @pytest.mark.parametrize("step", ["before it is on the list", "when it is on the list"])
    async def test_a_channel_that_is_made_meanwhile(
        self, people: People, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        real, made = people.services.chat.joined, []

        async def make() -> None:
            made.append(await people.ask("usr_b", "chat.channel.create", channel="guild", private=True))

        async def joined(channel: str, who: Presence) -> None:
            if step == "before it is on the list":
                await make()
            await real(channel, who)
            if step == "when it is on the list":
                await make()

        monkeypatch.setattr(people.services.chat, "joined", joined)
        if step == "before it is on the list":
            assert await people.refused("usr_a", "chat.channel.join", channel="guild") == (-32003, "not_invited")
            assert made[0]["owner"] == "usr_b"
            assert people.gateway.sessions.topics == ()
            assert await people.services.chat.members("guild", 0, 10) == ([], 0)
        else:
            assert await people.ask("usr_a", "chat.channel.join", channel="guild") == {"channels": ["guild"]}
            assert made[0]["code"] == -32005

    async def test_a_record_that_is_there_only_when_it_listens(
        self, people: People, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whatever it was that the second look did not see: the last one, while it listens, sees it."""
        chat, left = people.services.chat, []
        real, calls = chat.channel, []

        async def channel(name: str) -> Channel | None:
            calls.append(people.gateway.sessions.topics)
            private = Channel("guild", "usr_b", True, 0.0, WALL)
            return private if calls[-1] else await real(name)

        async def leaves(name: str, session_id: str) -> None:
            left.append((name, session_id))

        monkeypatch.setattr(chat, "channel", channel)
        monkeypatch.setattr(chat, "left", leaves)
        assert await people.refused("usr_a", "chat.channel.join", channel="guild") == (-32003, "not_invited")
        assert calls == [(), (), ("chat:guild",)]
        assert (people.gateway.sessions.topics, left) == ((), [("guild", "ses_1")])
        assert await people.refused("usr_a", "chat.message", channel="guild", text="x") == (-32003, "not_in_channel")


class TestStepsThatFail:
    @pytest.mark.parametrize("step", ["keep", "publish_many"])
    async def test_a_direct_message_is_there_once_however_far_the_first_try_came(
        self, people: People, monkeypatch: pytest.MonkeyPatch, step: str
    ) -> None:
        fails(monkeypatch, people.services.chat if step == "keep" else people.services.topics, step)
        said = {"channel": "direct:usr_b", "text": "hello", "client_id": "1"}
        assert (await people.refused("usr_a", "chat.message", **said))[0] == -32006
        answer = await people.ask("usr_a", "chat.message", **said)
        assert await people.ask("usr_a", "chat.message", **said) == answer
        assert await kept(people, DIRECT) == [("chat.message", "hello")]
        for user_id in ("usr_a", "usr_b"):
            assert [each["message_id"] for each in await people.told(user_id)] == [answer["message_id"]]
        inbox = (await people.ask("usr_b", "chat.inbox"))["messages"]
        assert [each["message_id"] for each in inbox] == [answer["message_id"]]

    async def test_the_second_try_uses_nothing_up(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        await people.ask("usr_a", "chat.channel.join", channel="hall")
        burst = people.services.settings.chat.burst
        fails(monkeypatch, people.services.topics, "publish_many", times=30)
        for _ in range(30):
            code, _ = await people.refused("usr_a", "chat.message", channel="hall", text="hello", client_id="1")
            assert code == -32006
        for n in range(1, burst + 1):
            assert "message_id" in await people.ask("usr_a", "chat.message", channel="hall", text="x", client_id=f"{n}")
        assert await people.refused("usr_a", "chat.message", channel="hall", text="x") == (-32001, "chat")

    async def test_a_blocked_one_that_tries_again(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        await people.services.social.block("usr_b", "usr_a", LIMITS, WALL)
        said = {"channel": "direct:usr_b", "text": "hello", "client_id": "1"}
        real, calls = people.services.topics.publish_many, []

        async def second_fails(*args: Any, **kwargs: Any) -> Any:
            calls.append(args[0])
            if len(calls) == 2:
                raise Unavailable("redis")
            return await real(*args, **kwargs)

        monkeypatch.setattr(people.services.topics, "publish_many", second_fails)
        assert (await people.refused("usr_a", "chat.message", **said))[0] == -32006
        answer = await people.ask("usr_a", "chat.message", **said)
        assert await people.ask("usr_a", "chat.message", **said) == answer
        assert await kept(people, DIRECT) == [("chat.hidden", "hello")]
        assert [each["message_id"] for each in await people.told("usr_a")] == [answer["message_id"]]
        assert await people.told("usr_b") == []
        assert (await people.ask("usr_b", "chat.inbox"))["messages"] == []
        assert await history(people, "usr_a", "direct:usr_b") == (["hello"], None)
        assert await history(people, "usr_b", "direct:usr_a") == ([], None)


class TestWhatIsSaid:
    async def test_bad_text_and_muted_ones_use_nothing_up(self, people: People) -> None:
        await people.ask("usr_a", "chat.channel.join", channel="hall")
        for _ in range(30):
            code, why = await people.refused("usr_a", "chat.message", channel="hall", text="\u202e")
            assert (code, why) == (-32602, "nothing to say")
        assert "message_id" in await people.ask("usr_a", "chat.message", channel="hall", text="x")

    async def test_words_are_masked_and_a_filter_may_refuse(self, people: People) -> None:
        await people.ask("usr_a", "chat.channel.join", channel="hall")
        client, _ = people.clients["usr_a"]
        default = load_filter("", ["darn"], 500)
        said = chat_routes.Message(channel="hall", text="DARN it")
        await chat_routes.message(replace(people.services, words=default), client, said)
        services = replace(people.services, words=Contained(Nothing(), MaskedWords([]), 500))
        for _ in range(30):
            with pytest.raises(InvalidInput, match="not allowed"):
                await chat_routes.message(services, client, said)
        assert await kept(people, HALL) == [("chat.message", "**** it")]

    async def test_who_plays_nobody_has_the_name_of_the_last_character(self, people: People) -> None:
        people.come("usr_c")
        await people.ask("usr_c", "chat.channel.join", channel="hall")
        await people.ask("usr_c", "chat.message", channel="hall", text="1")
        await people.services.social.seen("usr_c", WALL, "Cat")
        await people.ask("usr_c", "chat.message", channel="hall", text="2")
        found = await people.services.topics.after({HALL: ""}, 10)
        assert [orjson.loads(m.params_json)["name"] for m in found] == ["", "Cat"]
        assert {m.sender for m in found} == {"usr_c"}

    async def test_at_most_five_are_mentioned(self, people: People) -> None:
        for n in range(7):
            await people.character(f"usr_{n}", f"Name {n}")
        await people.ask("usr_a", "chat.channel.join", channel="hall")
        text = ", ".join(f"@name {n}" for n in range(7)) + ", @nobody"
        await people.ask("usr_a", "chat.message", channel="hall", text=text)
        (found,) = await people.services.topics.after({HALL: ""}, 10)
        mentions = orjson.loads(found.params_json)["mentions"]
        assert mentions == [{"user_id": f"usr_{n}", "name": f"Name {n}"} for n in range(5)]


class TestHistory:
    @pytest.fixture(autouse=True)
    async def _joined(self, people: People) -> None:
        for user_id in ("usr_a", "usr_b"):
            await people.ask(user_id, "chat.channel.join", channel="hall")

    @staticmethod
    async def say(people: People, user_id: str, text: str, sent_at: float = WALL) -> str:
        """Into the log, without a gate."""
        message_id = f"msg_{text.encode().hex():0>16}"
        said = {"message_id": message_id, "channel": "hall", "from": user_id, "text": text, "sent_at": sent_at}
        await people.services.publish(HALL, "chat.message", orjson.dumps(said), text, sender=user_id)
        return message_id

    async def test_what_is_left_out_makes_pages_shorter_but_none_empty(self, people: People) -> None:
        for n in range(60):
            await self.say(people, "usr_a" if n % 6 else "usr_b", f"{n}")
        await people.services.social.block("usr_b", "usr_a", LIMITS, WALL)
        found, cursor = await history(people, "usr_b", "hall", limit=5)
        assert found == ["36", "42", "48", "54"], "as much as five looks into the log bring"
        assert cursor is not None
        assert (await history(people, "usr_b", "hall", limit=5, cursor=cursor))[0] == ["12", "18", "24", "30"]

    async def test_what_is_too_old(self, people: People) -> None:
        old = WALL - people.services.settings.chat.history_s
        await self.say(people, "usr_a", "older", old - 1.0)
        await self.say(people, "usr_a", "old", old + 1.0)
        await self.say(people, "usr_a", "new")
        assert await history(people, "usr_a", "hall") == (["old", "new"], None)

    async def test_other_methods_of_the_topic(self, people: People) -> None:
        await self.say(people, "usr_a", "1")
        await people.services.publish(HALL, "party.changed", b'{"text":"none of ours"}', "k")
        await self.say(people, "usr_a", "2")
        assert await history(people, "usr_a", "hall") == (["1", "2"], None)

    async def test_an_inbox_loses_those_who_are_blocked_meanwhile(self, people: People) -> None:
        people.come("usr_c", "Cat")
        for user_id in ("usr_a", "usr_c", "usr_a"):
            await people.ask(user_id, "chat.message", channel="direct:usr_b", text=user_id)
        await people.services.social.block("usr_b", "usr_a", LIMITS, WALL)
        inbox = await people.ask("usr_b", "chat.inbox")
        assert ([each["text"] for each in inbox["messages"]], inbox["more"]) == (["usr_c"], False)
        assert len((await people.services.chat.unread("usr_b", 10))[0]) == 1


class TestWhoJoinsWhileItBecomesPrivate:
    """On the list first, and then listening: nobody can come in between."""

    @pytest.mark.parametrize("before", [True, False])
    async def test_is_either_invited_or_out(
        self, people: People, monkeypatch: pytest.MonkeyPatch, before: bool
    ) -> None:
        store, heard = people.services.chat, []
        await people.ask("usr_a", "chat.channel.create", channel="den")
        listed, session = store.joined, Services.session

        async def joined(channel: str, who: Presence) -> None:
            if before:
                await store.change(channel, True, None, 10)
            await listed(channel, who)
            if not before:
                await store.change(channel, True, None, 10)

        async def listen(services: Services, client: Client, method: str, *args: Any) -> Any:
            heard.append(method)
            return await session(services, client, method, *args)

        monkeypatch.setattr(store, "joined", joined)
        monkeypatch.setattr(Services, "session", listen)
        if before:
            assert await people.refused("usr_b", "chat.channel.join", channel="den") == (-32003, "not_invited")
        else:
            await people.ask("usr_b", "chat.channel.join", channel="den")
        assert await store.invited("den", "usr_b") is not before
        assert heard == ([] if before else ["subscribe"])
        members, _ = await store.members("den", 0, 10)
        assert [each.user_id for each in members] == ([] if before else ["usr_b"])
