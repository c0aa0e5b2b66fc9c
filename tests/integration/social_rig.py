"""Devices of users who have to do with each other: each keeps what it was told, in order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from rayrealm_client.codec import Failure, Framing
from tests.local_realm import LocalRealm
from tests.players import Player


class Device(Player):
    """`told`: (method, params) of every notification but views."""

    def __init__(self, *args: Any) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        super().__init__(*args)

    def _take(self, item: Any) -> None:
        super()._take(item)
        if self.notices and item is self.notices[-1]:
            self.told.append((item.method, cast(dict[str, Any], item.params)))

    def of(self, method: str) -> list[dict[str, Any]]:
        return [params for said, params in self.told if said == method]

    async def hear(self, method: str, true: Callable[[dict[str, Any]], bool] = lambda params: True) -> dict[str, Any]:
        """The first such notification that has not been asked for yet; what came before it is forgotten."""

        def found() -> int | None:
            return next((n for n, (said, params) in enumerate(self.told) if said == method and true(params)), None)

        await self.until(lambda: found() is not None)
        at = found()
        assert at is not None
        params = self.told[at][1]
        del self.told[: at + 1]
        return params

    async def changes(self, count: int) -> list[tuple[str, str, str]]:
        """(kind, user, name) of the next `friends.changed`."""
        await self.until(lambda: len(self.of("friends.changed")) >= count)
        found = [(p["kind"], p["user_id"], p["name"]) for p in self.of("friends.changed")]
        self.told.clear()
        return found

    async def refused(self, method: str, /, **params: Any) -> tuple[int, str]:
        """The error's code, and its reason."""
        answer = await self.ask(method, **params)
        assert isinstance(answer, Failure), answer
        data: Any = answer.data
        return answer.code, str(data.get("reason") or data["errors"][0]["reason"])


async def device(realm: LocalRealm, user_id: str, framing: Framing, name: str = "", at: float = 100.0) -> Device:
    """A new device of the user's; with a name it enters the world as a new character of that name, at x in metres."""
    made = await Device.join(realm, user_id, framing)
    if name:
        await made.enter(await realm.character(user_id, name, at=(at, 100.0)))
    return made
