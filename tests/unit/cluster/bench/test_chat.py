"""What the chat benchmark makes of answers that are refusals, of none, and of members who hear too little or too much."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from cluster.bench import chat
from cluster.bench.chat import CHANNEL, ChatLoad
from cluster.bench.returning import Returning
from cluster.bench.social_checks import chat_shortcomings
from rayrealm_client.codec import Notification
from rayrealm_client.errors import DeadlineExceeded, InvalidState, RealmError, Unavailable

MEMBERS = 3


class Channel:
    """Tells every member at once, then answers the sender; `times`: how often; `answer`: what it answers instead."""

    def __init__(self) -> None:
        self.clients: list[Member] = []
        self.times: Callable[[int, str], int] = lambda member, text: 1
        self.answer: Callable[[str], RealmError | None] = lambda text: None

    def say(self, text: str) -> dict[str, Any]:
        told = {"channel": CHANNEL, "text": text, "message_id": f"msg_{text}"}
        for number, client in enumerate(self.clients):
            for _ in range(self.times(number, text)):
                assert client.on_notice is not None
                client.on_notice(Notification("chat.message", told, 1))
        error = self.answer(text)
        if error is not None:
            raise error
        return told


class Member(Returning):
    def __init__(self, number: int, channel: Channel) -> None:
        super().__init__("http://h:1", "token", random.Random(number))
        self.sessions = [f"ses_{number}"]
        self.connects = 1
        self.channel = channel
        channel.clients.append(self)

    async def request(self, method: str, params: dict[str, Any], timeout_s: float) -> Any:
        assert method == "chat.message"
        return self.channel.say(params["text"])


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Channel:
    monkeypatch.setattr(chat, "HEAR_S", 0.0)
    return Channel()


async def run(channel: Channel) -> dict[str, Any]:
    """Twenty messages."""
    load = ChatLoad([Member(number, channel) for number in range(MEMBERS)], per_s=100.0)
    load.all_joined()
    return await load.run(0.2, {}, calm_s=0.0, warm_up_s=0.0)


async def test_everybody_hears_everything(channel: Channel) -> None:
    told = await run(channel)
    assert chat_shortcomings(told) == []
    assert (told["messages"], told["expected"], told["deliveries"]) == (20, 60, 60)
    assert (told["senders"], told["server_cpu_s_per_1k"], told["cpu_s_per_1k_by_process"]) == (MEMBERS, None, {})


@pytest.mark.parametrize(("times", "fault"), [(0, "lost"), (2, "doubled")])
async def test_one_member_hears_one_message_not_once(channel: Channel, times: int, fault: str) -> None:
    channel.times = lambda member, text: times if (member, text) == (1, "word 7") else 1
    told = await run(channel)
    assert told[fault] == 1
    assert any(problem.startswith(fault) for problem in chat_shortcomings(told))


@pytest.mark.parametrize(
    ("error", "counted", "heard"),
    [
        (DeadlineExceeded("no answer"), "unanswered", 1),
        (Unavailable(-32006, "away", {}), "unanswered", 1),
        (InvalidState(-32003, "no", {"reason": "muted"}), "refused", 0),
    ],
)
async def test_what_is_not_acknowledged_is_counted(
    channel: Channel, error: RealmError, counted: str, heard: int
) -> None:
    """It may have come to all, unless it was refused."""
    channel.times = lambda member, text: heard if text == "word 7" else 1
    channel.answer = lambda text: error if text == "word 7" else None
    told = await run(channel)
    assert (told[counted], told["messages"], told["lost"], told["foreign"]) == (1, 19, 0, 0)
    assert chat_shortcomings(told) == [f"{counted}: 1"]
