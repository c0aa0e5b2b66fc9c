"""Players who talk, for the tests of chat: both framings, and what each has heard."""

from __future__ import annotations

from typing import Any

from rayrealm_client.codec import Failure, Framing
from tests.local_realm import LocalRealm
from tests.players import Player

FRAMINGS: list[Framing] = ["json", "proto"]


def other(framing: Framing) -> Framing:
    return FRAMINGS[1 - FRAMINGS.index(framing)]


async def in_world(realm: LocalRealm, user_id: str, framing: Framing, x: float = 100.0, name: str = "") -> Player:
    player = await Player.join(realm, user_id, framing)
    await player.enter(await realm.character(user_id, name, at=(x, 100.0)))
    return player


async def moderator(realm: LocalRealm, user_id: str, framing: Framing) -> Player:
    token = realm.token(user_id, role="moderator")
    return await Player.open(realm.url, framing, {"Authorization": f"Bearer {token}"})


def heard(player: Player, channel: str | None = None, method: str = "chat.message") -> list[dict[str, Any]]:
    """What came so far, of one channel or of all."""
    params = [notice.params for notice in player.notices if notice.method == method]
    return [each for each in params if isinstance(each, dict) and channel in (None, each["channel"])]


def texts(player: Player, channel: str | None = None) -> list[str]:
    return [said["text"] for said in heard(player, channel)]


async def hears(player: Player, *expected: str, channel: str | None = None) -> list[dict[str, Any]]:
    """Waits until exactly these were heard, in this order. What would come too much is looked for by a later message."""
    await player.until(lambda: len(texts(player, channel)) >= len(expected))
    assert texts(player, channel) == list(expected)
    return heard(player, channel)


async def done(player: Player, method: str, **params: Any) -> dict[str, Any]:
    """The result of what must not be refused."""
    answer = await player.ask(method, **params)
    assert isinstance(answer, dict), answer
    return answer


async def says(player: Player, channel: str, text: str, **more: Any) -> str:
    """The message's id."""
    message_id: str = (await done(player, "chat.message", channel=channel, text=text, **more))["message_id"]
    return message_id


async def refused(player: Player, method: str, **params: Any) -> Failure:
    answer = await player.ask(method, **params)
    assert isinstance(answer, Failure), answer
    return answer


def detail(failure: Failure) -> dict[str, Any]:
    assert isinstance(failure.data, dict)
    return failure.data


def reason(failure: Failure) -> str:
    """The word for programs; for bad params the first field's."""
    data = detail(failure)
    return str(data["errors"][0]["reason"] if "errors" in data else data["reason"])


async def join(channel: str, *players: Player) -> None:
    for player in players:
        assert channel in (await done(player, "chat.channel.join", channel=channel))["channels"]


async def leave(*players: Player) -> None:
    for player in players:
        assert player.code is None
        await player.leave()
