"""A player's connection to a realm: accounts over HTTP, everything else over one WebSocket."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Iterable
from typing import Any, Self

import httpx

from rayrealm_client.accounts import Accounts
from rayrealm_client.anys import Json, Params
from rayrealm_client.codec import Framing, Notification, OwnMove
from rayrealm_client.errors import (
    CodecError,
    ConnectionEnded,
    ConnectionLost,
    DeadlineExceeded,
    InvalidState,
    NotConnected,
)
from rayrealm_client.keeper import Keeper, Loss
from rayrealm_client.link import Link
from rayrealm_client.models import Character, Presence, Ready, Tokens, World, Zone
from rayrealm_client.policy import Backoff, Random, Reconnect
from rayrealm_client.view import ORIGIN, Position, View
from rayrealm_client.watching import Watching
from rayrealm_client.wishes import Wishes, ask_again, insist

log = logging.getLogger("rayrealm_client")


class RealmClient(Watching):
    """One player. Use it as `async with RealmClient("http://127.0.0.1:8000") as client:`.

    The socket opens with the first call that needs it and is kept open: after a loss the client connects
    again with its session, and where that is gone it sets up what it had (topics, channels, watches, its
    character in the world). Every call has a deadline of `timeout_s` and raises a RealmError; see `errors`.

    `entities`: number -> Entity, what is in view right now. `world`: the zone the character is in, or None.
    `position`, `yaw`, `sequence`: the own character as last moved or corrected; `acked`: the newest own move
    that the zone has judged. `accounts`: the calls that need no socket, and the tokens.
    """

    def __init__(
        self,
        base_url: str,
        *,
        framing: Framing = "proto",
        timeout_s: float = 10.0,
        reconnect: bool = True,
        backoff: Backoff | None = None,
        give_up_s: float | None = 600.0,
        rng: Random | None = None,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        """`give_up_s`: seconds of failed reconnects after which the client ends; None never does.

        `http`: an `accounts.pool` that several clients share.
        """
        super().__init__()
        self.world: World | None = None
        self.session_ready: Ready | None = None
        self.position: Position = ORIGIN
        self.yaw = 0.0
        self.sequence = 0
        self.acked = 0
        self.corrections = 0
        self.reconnects = 0
        self._timeout_s = timeout_s
        self._backoff = backoff or Backoff()
        self._rng = rng or random.SystemRandom()
        self._wishes = Wishes()
        self._takes_views = False
        self.accounts = Accounts(base_url, timeout_s, http)

        async def open_link(token: str, session_id: str | None) -> Link:
            return await Link.open(base_url, token, session_id, framing, self._deliver, timeout_s)

        policy = Reconnect(self._backoff, give_up_s=give_up_s) if reconnect else None
        self._keeper = Keeper(self.accounts, open_link, self, policy, self._rng, timeout_s)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Leave the realm: the session is given up at the end of its grace period."""
        await self._keeper.close()
        await self.accounts.close()
        self._end_watching()

    # --- accounts ----------------------------------------------------------------------------------------

    @property
    def tokens(self) -> Tokens | None:
        """Of whoever is logged in; may be set, to go on with tokens that were kept."""
        return self.accounts.tokens

    @tokens.setter
    def tokens(self, tokens: Tokens | None) -> None:
        self.accounts.tokens = tokens

    async def register(self, username: str, password: str) -> Tokens:
        """Makes the account and logs in. Raises HttpProblem, among others `username_taken`."""
        return self._signed_in(await self.accounts.register(username, password))

    async def login(self, username: str, password: str) -> Tokens:
        """Raises HttpProblem, among others `bad_credentials`."""
        return self._signed_in(await self.accounts.login(username, password))

    def _signed_in(self, tokens: Tokens) -> Tokens:
        if self.session_ready is not None and self.session_ready.user_id != tokens.user_id:
            self._keeper.session_id = None  # someone else's
        return tokens

    async def logout(self) -> None:
        await self.accounts.logout()

    async def characters(self) -> list[Character]:
        return await self.accounts.characters()

    async def create_character(self, name: str) -> Character:
        return await self.accounts.create_character(name)

    async def delete_character(self, character_id: str) -> None:
        await self.accounts.delete_character(character_id)

    # --- the connection ----------------------------------------------------------------------------------

    async def connect(self, timeout_s: float | None = None) -> Ready:
        """Open the socket, or wait until it is open again. After an end, start over.

        Raises Refused or ConnectionEnded when the realm does not want this client, DeadlineExceeded.
        """
        await self._keeper.connected(timeout_s or self._timeout_s, again=True)
        if self.session_ready is None:
            raise NotConnected("closed meanwhile")
        return self.session_ready

    @property
    def connected(self) -> bool:
        return self._keeper.link is not None

    @property
    def ended(self) -> ConnectionEnded | None:
        """Why the client has stopped connecting, if it has."""
        return self._keeper.ended

    @property
    def session_id(self) -> str | None:
        return self._keeper.session_id

    async def request(self, method: str, params: Params = None, timeout_s: float | None = None) -> Json:
        """Any method of PROTOCOL.md.

        Raises an RpcError, DeadlineExceeded, ConnectionLost (it may have been done) or ConnectionEnded.
        """
        limit = timeout_s or self._timeout_s
        started = asyncio.get_running_loop().time()
        link = await self._keeper.connected(limit)
        left = limit - (asyncio.get_running_loop().time() - started)
        return await link.request(method, params, left)

    async def notify(self, method: str, params: Params = None) -> None:
        """The same without an answer."""
        link = await self._keeper.connected(self._timeout_s)
        await self._within(link.send(Notification(method, params)))

    async def ping(self) -> float:
        """Seconds there and back, through the gateway's own code."""
        started = asyncio.get_running_loop().time()
        await self.request("system.ping")
        return asyncio.get_running_loop().time() - started

    async def subscribe(self, topics: Iterable[str]) -> list[str]:
        """All topics of the session then."""
        return await self._topics_after("system.subscribe", list(topics))

    async def unsubscribe(self, topics: Iterable[str]) -> list[str]:
        return await self._topics_after("system.unsubscribe", list(topics))

    async def _topics_after(self, method: str, topics: list[str]) -> list[str]:
        now = _strings(await self.request(method, {"topics": topics}), "topics")
        self._wishes.topics = set(now)
        return now

    # --- the world ---------------------------------------------------------------------------------------

    async def zones(self) -> list[Zone]:
        body = _object(await self.request("world.zones"))
        return [Zone.of(item) for item in body.get("zones", [])]

    async def enter(self, character_id: str, zone: str | None = None) -> World:
        """Bring a character into the world; it comes back there after every reconnect, until `leave`."""
        link = await self._keeper.connected(self._timeout_s)
        world = await self._enter(link, character_id, zone)
        self._wishes.character_id = character_id
        return world

    async def leave(self) -> None:
        """Out of the world; the session stays."""
        self._wishes.character_id = None
        await self.request("world.leave")
        self._forget_world()

    async def move(self, x: float, y: float, z: float, yaw: float = 0.0) -> int:
        """Say where the character is now. Returns the move's sequence.

        Raises NotConnected while there is no world to move in: such a move is old by the time there is one.
        """
        link = self._keeper.link
        if link is None or self.world is None:
            self._keeper.want()
            raise NotConnected("not in the world")
        self.sequence += 1
        self.position, self.yaw = Position(x, y, z), yaw
        sequence = self.sequence
        try:
            await self._within(link.send(OwnMove(x, y, z, yaw, sequence)))
        except ConnectionLost as error:
            raise NotConnected(str(error)) from error
        return sequence

    async def _enter(self, link: Link, character_id: str, zone: str | None) -> World:
        self._takes_views = True
        params = {"character_id": character_id} | ({} if zone is None else {"zone": zone})
        world = World.of(_object(await link.request("world.enter", params, self._timeout_s)))
        self._adopt_world(world)
        return world

    def _adopt_world(self, world: World) -> None:
        self.world = world
        self.position, self.yaw = world.position, world.yaw
        self.sequence = max(self.sequence, world.sequence)
        self.acked = max(self.acked, world.sequence)
        self._takes_views = True
        self._listeners.call("world", world)

    def _forget_world(self) -> None:
        self.world = None
        self._takes_views = False
        self._forget_entities()

    # --- people ------------------------------------------------------------------------------------------

    async def presence_update(self, status: str) -> str:
        """`status`: online, away, busy or invisible."""
        body = _object(await self.request("presence.update", {"status": status}))
        self._wishes.status = status
        return str(body.get("status", status))

    async def presence_subscribe(self, user_ids: Iterable[str]) -> list[Presence]:
        """How these users are now; changes come to `on_presence`."""
        wanted = list(user_ids)
        body = _object(await self.request("presence.subscribe", {"user_ids": wanted}))
        self._wishes.watched.update(wanted)
        return [Presence.of(item) for item in body.get("presences", [])]

    async def presence_unsubscribe(self, user_ids: Iterable[str]) -> int:
        """How many are still watched."""
        unwanted = list(user_ids)
        body = _object(await self.request("presence.unsubscribe", {"user_ids": unwanted}))
        self._wishes.watched.difference_update(unwanted)
        return int(body.get("watching", 0))

    async def chat_join(self, channel: str) -> list[str]:
        """All channels of the session then."""
        return await self._channels_after("chat.channel.join", channel)

    async def chat_leave(self, channel: str) -> list[str]:
        return await self._channels_after("chat.channel.leave", channel)

    async def chat_send(self, channel: str, text: str) -> str:
        """The message's id."""
        body = _object(await self.request("chat.message", {"channel": channel, "text": text}))
        return str(body.get("message_id", ""))

    async def _channels_after(self, method: str, channel: str) -> list[str]:
        now = _strings(await self.request(method, {"channel": channel}), "channels")
        self._wishes.channels = set(now)
        return now

    # --- what arrives ------------------------------------------------------------------------------------

    def _deliver(self, item: View | Notification) -> None:
        if isinstance(item, Notification):
            self._tell(item)
        elif self._takes_views:  # else it was on its way while the character left
            self.acked = max(self.acked, item.ack)
            if item.correction is not None:
                self.corrections += 1
                self.position, self.yaw = item.correction.position, item.correction.yaw
            self._show(item)

    # --- what the keeper tells (keeper.Host) -------------------------------------------------------------

    def adopt(self, ready: Ready) -> None:
        if self.session_ready is not None:
            self.reconnects += 1
        self.session_ready = ready
        if ready.world is None:
            self._forget_world()
        else:
            self._adopt_world(ready.world)
        self._listeners.call("ready", ready)

    async def restore(self, link: Link, ready: Ready) -> None:
        async def ask(method: str, params: dict[str, Json]) -> Json:
            return await link.request(method, params, self._timeout_s)

        async def enter_again() -> None:
            character_id = self._wishes.character_id
            if character_id is None:  # left meanwhile
                return
            try:
                await self._enter(link, character_id, None)
            except InvalidState:
                world = _object(await ask("system.info", {})).get("world")
                if not isinstance(world, dict):
                    raise
                self._adopt_world(World.of(world))  # it is there: an enter whose answer got lost

        if ready.world is None and self._wishes.character_id is not None:
            refusal = await insist(enter_again, self._backoff, self._rng)
            if refusal is not None:
                log.warning("the character could not enter again: %s", refusal)
                self._wishes.character_id = None
        if not ready.resumed:
            await ask_again(self._wishes, ask, self._backoff, self._rng)

    def lost(self, loss: Loss) -> None:
        self._listeners.call("loss", loss)

    async def _within(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await sending
        except TimeoutError as error:
            raise DeadlineExceeded(f"not sent in {self._timeout_s} s") from error


def _object(body: Json) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise CodecError("the result is no object")
    return body


def _strings(body: Json, member: str) -> list[str]:
    items = _object(body).get(member, [])
    if not isinstance(items, list):
        raise CodecError(f"{member} is no list")
    return [str(item) for item in items]
