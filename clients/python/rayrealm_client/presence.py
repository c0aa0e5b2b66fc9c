"""`client.presence`: how the user is, and how others are (row 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rayrealm_client.anys import Json
from rayrealm_client.asking import Asking, object_of
from rayrealm_client.buffers import NoticeBuffer
from rayrealm_client.feed import Feed, Remove
from rayrealm_client.people import OwnPresence, Presence, Privacy, many
from rayrealm_client.wishes import Ask, Wishes


class Presences:
    """`known`: user id -> Presence, the newest that was heard of each who is watched.

    An answer and a notification may overtake each other; `version` says which is newer, and what is older is not told.
    """

    def __init__(self, asking: Asking, wishes: Wishes) -> None:
        self.known: dict[str, Presence] = {}
        self._asking = asking
        self._wishes = wishes
        self._changes = Feed("presence", Presence.of)

    async def update(
        self, status: str | None = None, *, text: str | None = None, metadata: Mapping[str, str] | None = None
    ) -> OwnPresence:
        """Change what is given. `status`: online, away, busy or invisible. A session that takes the place of a lost one
        gets it again."""
        chosen: dict[str, Json] = {
            "status": status,
            "text": text,
            "metadata": None if metadata is None else dict(metadata),
        }
        params = {name: value for name, value in chosen.items() if value is not None}
        own = OwnPresence.of(object_of(await self._asking.request("presence.update", params)))
        self._wishes.presence |= params
        return own

    async def privacy(self, *, zone: str | None = None, character: str | None = None) -> Privacy:
        """Who may see the zone, and the character: all, friends or nobody. What is left out stays; what holds then."""
        params = {name: value for name, value in (("zone", zone), ("character", character)) if value is not None}
        return Privacy.of(object_of(await self._asking.request("presence.privacy", params)))

    async def get(self, user_ids: Iterable[str]) -> list[Presence]:
        """How these users are now, without watching them; up to 500."""
        body = object_of(await self._asking.request("presence.get", {"user_ids": list(user_ids)}))
        return list(many(Presence.of, body.get("presences")))

    async def subscribe(self, user_ids: Iterable[str]) -> list[Presence]:
        """How these users are now; changes come to `on_change`. Raises SubscriptionLimit beyond 200 in all."""
        wanted = list(user_ids)
        body = object_of(await self._asking.request("presence.subscribe", {"user_ids": wanted}))
        self._wishes.watched.update(wanted)
        answered = many(Presence.of, body.get("presences"))
        return [self._newest(presence)[0] for presence in answered]

    async def unsubscribe(self, user_ids: Iterable[str]) -> int:
        """How many are still watched."""
        unwanted = list(user_ids)
        body = object_of(await self._asking.request("presence.unsubscribe", {"user_ids": unwanted}))
        self._wishes.watched.difference_update(unwanted)
        for user_id in unwanted:
            self.known.pop(user_id, None)
        return int(body.get("watching", 0))

    def on_change(self, callback: Callable[[Presence], object]) -> Remove:
        """Changes of who is watched; and what has become of them, where changes may have been missed."""
        return self._changes.on(callback)

    def changes(self, limit: int = 256) -> NoticeBuffer[Presence]:
        """The same as an iterator."""
        return self._changes.stream(limit)

    async def watch_again(self, ask: Ask) -> None:
        """Changes may have been missed: ask how those are who are watched, and tell."""
        params: dict[str, Json] = {"user_ids": sorted(self._wishes.watched)}
        self.told(await ask("presence.subscribe", params))

    def told(self, answer: Json) -> None:
        """The answer of a `presence.subscribe` that nobody waits for."""
        for item in object_of(answer).get("presences") or []:
            self.take(item)

    def take(self, params: object) -> None:
        """One presence, as it was told."""
        presence = self._changes.read(params)
        if presence is not None:
            newest, is_new = self._newest(presence)
            if is_new:
                self._changes.tell(newest)

    def close(self) -> None:
        self._changes.close()

    def _newest(self, presence: Presence) -> tuple[Presence, bool]:
        """Of this one and what is known; and whether this one says something new."""
        known = self.known.get(presence.user_id)
        if known is not None and presence.version and (presence.version < known.version or presence == known):
            return known, False
        if presence.user_id in self._wishes.watched:
            self.known[presence.user_id] = presence
        return presence, True
