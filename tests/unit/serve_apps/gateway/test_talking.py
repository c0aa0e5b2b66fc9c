"""chat.*, topics and session.ack: what is kept before its sender is told so, and what is refused (rows 1.5, 2.3 and 2.5)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from cluster.errors import Unavailable
from cluster.social_settings import TopicRule
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.gateway_app import build_router
from tests.unit.serve_apps.gateway.fakes import SUBJECTS, Gateway, Wire, a_world

CHAT = "chat:hall"


class Talk:
    """A client at a gateway with all its methods, and what its messages' topic brings."""

    def __init__(self) -> None:
        self.gateway = Gateway(build_router())
        self.client, self.wire = self.gateway.connect(world=a_world())
        self.said: list[internal_pb2.TopicMessage] = []

    async def listen(self) -> Talk:
        await self.gateway.bus.subscribe(
            SUBJECTS.topic(CHAT), lambda data: self.said.append(internal_pb2.TopicMessage.FromString(data))
        )
        return self

    async def ask(self, method: str, client: Client | None = None, wire: Wire | None = None, **params: Any) -> Any:
        """The result, or the error's code."""
        await self.gateway.say(client or self.client, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        frames = (wire or self.wire).json()
        (answer,) = [frame for frame in frames if isinstance(frame, dict) and frame.get("id") == 1]
        return answer.get("result", answer.get("error", {}).get("code"))

    async def kept(self) -> list[Any]:
        return [orjson.loads(m.params_json) for m in await self.gateway.topics.after({CHAT: ""}, 100)]


@pytest.fixture
async def talk() -> Talk:
    return await Talk().listen()


class TestChat:
    async def test_a_message_is_kept_and_then_said(self, talk: Talk) -> None:
        assert await talk.ask("chat.channel.join", channel="hall") == {"channels": ["hall"]}
        first = await talk.ask("chat.message", channel="hall", text="é")
        second = await talk.ask("chat.message", channel="hall", text="two")
        talk.gateway.bus.deliver()
        kept = await talk.kept()
        assert [m["message_id"] for m in kept] == [first["message_id"], second["message_id"]]
        assert {k: kept[0][k] for k in ("channel", "from", "name", "text")} == {
            "channel": "hall",
            "from": "usr_1",
            "name": "Ann",
            "text": "é",
        }
        assert [(m.topic, m.method, m.previous) for m in talk.said] == [
            (CHAT, "chat.message", ""),
            (CHAT, "chat.message", talk.said[0].id),
        ]
        assert [orjson.loads(m.params_json) for m in talk.said] == kept

    async def test_the_same_one_again_is_answered_as_the_first_time_and_not_said_again(self, talk: Talk) -> None:
        await talk.ask("chat.channel.join", channel="hall")
        first = await talk.ask("chat.message", channel="hall", text="once", client_id="a")
        assert await talk.ask("chat.message", channel="hall", text="once", client_id="a") == first
        other = await talk.ask("chat.message", channel="hall", text="once", client_id="b")
        assert other != first
        talk.gateway.bus.deliver()
        assert (len(talk.said), len(await talk.kept())) == (2, 2)

    async def test_another_user_s_ids_are_its_own(self, talk: Talk) -> None:
        client, wire = talk.gateway.connect(session_id="ses_2", user_id="usr_2", world=a_world(8))
        for who, at in ((talk.client, talk.wire), (client, wire)):
            await talk.ask("chat.channel.join", who, at, channel="hall")
            await talk.ask("chat.message", who, at, channel="hall", text="mine", client_id="a")
        assert [m["from"] for m in await talk.kept()] == ["usr_1", "usr_2"]

    async def test_who_has_not_joined_says_nothing(self, talk: Talk) -> None:
        assert await talk.ask("chat.message", channel="hall", text="hello") == -32003
        assert await talk.kept() == []

    async def test_a_log_that_is_away_is_said_to_be(self, talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
        await talk.ask("chat.channel.join", channel="hall")

        async def away(*_: Any, **__: Any) -> Any:
            raise Unavailable("redis")

        monkeypatch.setattr(talk.gateway.topics, "publish", away)
        assert await talk.ask("chat.message", channel="hall", text="hello") == -32006
        talk.gateway.bus.deliver()
        assert talk.said == []


class TestTopics:
    async def test_topics_and_channels_are_told_apart(self, talk: Talk) -> None:
        await talk.ask("chat.channel.join", channel="hall")
        assert await talk.ask("system.subscribe", topics=["news", "weather"]) == {"topics": ["news", "weather"]}
        assert await talk.ask("chat.channel.join", channel="den") == {"channels": ["hall", "den"]}
        assert await talk.ask("system.unsubscribe", topics=["news"]) == {"topics": ["weather"]}
        info = await talk.ask("system.info")
        assert info["topics"] == ["chat:den", CHAT, "weather"]

    @pytest.mark.parametrize("topic", [CHAT, "News", "", "x" * 65])
    async def test_channels_are_joined_as_channels_only(self, talk: Talk, topic: str) -> None:
        assert await talk.ask("system.subscribe", topics=[topic]) == -32602

    async def test_rules(self, talk: Talk) -> None:
        rules = (TopicRule(pattern="staff.*", subscribe="moderator"), TopicRule(pattern="news"))
        object.__setattr__(
            talk.gateway.services, "settings", talk.gateway.settings.model_copy(update={"topics": rules})
        )
        assert await talk.ask("system.subscribe", topics=["news"]) == {"topics": ["news"]}
        for topics in (["staff.duty"], ["nothing.such"], ["news", "staff.duty"]):
            assert await talk.ask("system.subscribe", topics=topics) == -32000
        assert talk.gateway.sessions.topics == ("news",), "all or none"
        talk.client.role = "moderator"
        assert await talk.ask("system.subscribe", topics=["staff.duty"]) == {"topics": ["news", "staff.duty"]}
        talk.client.role = "player"
        assert await talk.ask("system.unsubscribe", topics=["staff.duty"]) == {"topics": ["news"]}


class TestAcknowledging:
    @staticmethod
    def deliver(talk: Talk, count: int) -> None:
        batch = internal_pb2.ReliableBatch(actor="sessions/0", epoch=1)
        batch.bodies.add(method="system.topic", params_json=b'{"topic":"news","data":1}')
        batch.targets.add(session_id="ses_1", attach_epoch=1, first_seq=1, bodies=[0] * count)
        talk.gateway.hub.reliable.receive(batch.SerializeToString())

    async def test_up_to_what_came(self, talk: Talk) -> None:
        self.deliver(talk, 3)
        assert await talk.ask("session.ack", seq=2) == {"seq": 2}
        assert await talk.ask("session.ack", seq=1) == {"seq": 2}, "an old one is ignored"
        assert await talk.ask("session.ack", seq=3) == {"seq": 3}

    @pytest.mark.parametrize("seq", [4, 2**62, -1, 2**63, "x", 1.5, None])
    async def test_what_never_came_is_refused_and_changes_nothing(self, talk: Talk, seq: Any) -> None:
        self.deliver(talk, 3)
        assert await talk.ask("session.ack", seq=seq) == -32602
        assert talk.client.acked == 0

    async def test_system_info_says_how_far_it_is(self, talk: Talk) -> None:
        self.deliver(talk, 3)
        info = await talk.ask("system.info")
        assert (info["seq"], info["stream"]) == (3, "a1")
        assert "recovery" not in info
