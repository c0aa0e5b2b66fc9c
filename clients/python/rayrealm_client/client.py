"""A player's connection to a realm: accounts over HTTP, everything else over one WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable
from dataclasses import replace
from typing import Self

import httpx

from rayrealm_client.accounts import Accounts
from rayrealm_client.anys import Json, Params
from rayrealm_client.asking import number_of, object_of, strings_of, text_of
from rayrealm_client.calls import Calls
from rayrealm_client.codec import Framing, Notification, OwnMove
from rayrealm_client.errors import (
    ConnectionEnded,
    ConnectionLost,
    DeadlineExceeded,
    InvalidState,
    NotConnected,
)
from rayrealm_client.keeper import Keeper, Loss
from rayrealm_client.link import Link, Trace
from rayrealm_client.models import Character, MoveOver, Ready, RecoveryToken, Tokens, World
from rayrealm_client.policy import Backoff, Random, Reconnect
from rayrealm_client.prediction import Prediction
from rayrealm_client.recovery import Opening
from rayrealm_client.reliable import Reliable
from rayrealm_client.view import Position, View
from rayrealm_client.wishes import Ask, ask_again, insist

log = logging.getLogger("rayrealm_client")

HEEDED = frozenset({"auth.expiring", "session.gap", "session.reconnect", "session.token", "system.degraded"})
MOVE_WAIT_S = 2.0  # the old link may take SETTLE_S to be left


class RealmClient(Calls):
    """One player. Use it as `async with RealmClient("http://127.0.0.1:8000") as client:`.

    The socket opens with the first call that needs it and is kept open: after a loss the client connects
    again with its session, and where that is gone it sets up what it had (topics, channels, watches, its
    character in the world). Every call has a deadline of `timeout_s` and raises a RealmError; see `errors`.

    `entities`: number -> Entity, what is in view right now; `own`: the own character as its zone states it; `tick`: of the newest
    view. `world`: what the character is in, or None; `zone`: the id of its zone, which changes when it walks over a border.
    `position`, `yaw`, `sequence`: the own character as last moved or corrected; `acked`: the newest own move that the zone has
    judged; `prediction` has all of them. `accounts`: the calls that need no socket, and the tokens. `reliable`: counts of the
    numbered notifications, among them `gaps`, which stays 0. `degraded`: parts of the realm that do not answer at the moment.
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
        sign: bool = False,
        trace: Trace | None = None,
    ) -> None:
        """`give_up_s`: seconds of failed reconnects after which the client ends; None never does.

        `sign`: all messages are signed, both ways. A realm that does not sign ends the client (4505), as does a wrong signature.

        `http`: an `accounts.pool` that several clients share. `trace`: the traceparent (W3C Trace Context) of what the caller does,
        or "": asked for each upgrade and request, so that the realm's spans belong to that trace.
        """
        super().__init__(timeout_s, backoff or Backoff(), rng or random.SystemRandom())
        self.world: World | None = None
        self.zone: str | None = None
        self.session_ready: Ready | None = None
        self.prediction = Prediction()
        self.corrections = 0
        self.reconnects = 0
        self.degraded: frozenset[str] = frozenset()
        self._takes_views = False
        self._asking_anew = False
        self.accounts = Accounts(base_url, timeout_s, http)

        async def open_link(token: str | None, opening: Opening) -> Link:
            return await Link.open(base_url, token, opening, framing, self._deliver, timeout_s, sign, trace)

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
        for group in (self.presence, self.friends, self.chat, self.party, self.sealed, self._topics):
            group.close()

    # --- accounts ----------------------------------------------------------------------------------------

    @property
    def tokens(self) -> Tokens | None:
        """Of whoever is logged in; may be set, to go on with tokens that were kept."""
        return self.accounts.tokens

    @tokens.setter
    def tokens(self, tokens: Tokens | None) -> None:
        self.accounts.tokens = tokens
        if tokens is not None:
            self._signed_in(tokens)

    async def register(self, username: str, password: str) -> Tokens:
        """Makes the account and logs in. Raises HttpProblem, among others `username_taken`."""
        return self._signed_in(await self.accounts.register(username, password))

    async def login(self, username: str, password: str) -> Tokens:
        """Raises HttpProblem, among others `bad_credentials`."""
        return self._signed_in(await self.accounts.login(username, password))

    def _signed_in(self, tokens: Tokens) -> Tokens:
        if self.session_ready is not None and self.session_ready.user_id != tokens.user_id:
            self._keeper.recovery.reset()  # someone else's
        return tokens

    async def logout(self) -> None:
        self._keeper.recovery.forget_token()
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
        return self._keeper.recovery.session_id

    @property
    def reliable(self) -> Reliable:
        return self._keeper.reliable

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

    async def renew(self, access_token: str) -> None:
        """Show the socket a newer access token, from wherever; those of this realm are renewed without a call."""
        await self.request("auth.renew", {"access_token": access_token})

    # --- the world ---------------------------------------------------------------------------------------

    @property
    def position(self) -> Position:
        return self.prediction.position

    @property
    def yaw(self) -> float:
        return self.prediction.yaw

    @property
    def sequence(self) -> int:
        return self.prediction.sequence

    @property
    def acked(self) -> int:
        return self.prediction.acked

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

        Raises NotConnected while there is no world to move in: such a move is old by the time there is one. Only while the client
        moves over to another gateway, as the realm asked, a move waits for it (MOVE_WAIT_S).
        """
        link = self._keeper.link
        if link is None and self._keeper.moving_over:
            with contextlib.suppress(DeadlineExceeded, ConnectionEnded):
                link = await self._keeper.connected(MOVE_WAIT_S)
        if link is None or self.world is None:
            self._keeper.want()
            raise NotConnected("not in the world")
        sequence = self.prediction.move(x, y, z, yaw)
        try:
            await self._within(link.send(OwnMove(x, y, z, yaw, sequence)))
        except ConnectionLost as error:
            raise NotConnected(str(error)) from error
        return sequence

    async def _enter(self, link: Link, character_id: str, zone: str | None) -> World:
        self._takes_views = True
        params = {"character_id": character_id} | ({} if zone is None else {"zone": zone})
        world = World.of(object_of(await link.request("world.enter", params, self._timeout_s)))
        self._adopt_world(world)
        return world

    def _adopt_world(self, world: World) -> None:
        self.world = world
        self.prediction.rebase(world.position, world.yaw, world.sequence)
        self._takes_views = True
        self._be_in(world.zone)
        self._listeners.call("world", world)

    def _forget_world(self) -> None:
        self.world = self.zone = None
        self._takes_views = False
        self._forget_entities()

    def _be_in(self, zone: str) -> None:
        if zone != self.zone:
            self.zone = zone
            self._listeners.call("zone", zone)

    # --- what arrives ------------------------------------------------------------------------------------

    def _deliver(self, item: View | Notification) -> None:
        if isinstance(item, Notification):
            if item.seq is None or self._keeper.take(item.seq):
                self._heed(item)
                self._tell(item)
        elif self._takes_views:  # else it was on its way while the character left
            changes = self._scene.apply(item)
            if item.correction is not None:
                self.corrections += 1
                self.prediction.correct(item.correction)
            self.prediction.acknowledge(item.ack)
            if item.reset is not None:
                if self.world is not None:
                    self.world = replace(self.world, zone=item.reset.zone, number=item.reset.number)
                self._be_in(item.reset.zone)
            self._show(item, changes)

    def _heed(self, notice: Notification) -> None:
        """What the client itself does about a notification. Raises CodecError for one that has not the agreed shape."""
        if notice.method not in HEEDED:
            return
        params = object_of(notice.params)
        match notice.method:
            case "session.token":
                newer = RecoveryToken.of(params)
                self._keeper.recovery.renewed(newer.token, newer.expires_in, time.monotonic())
            case "session.reconnect":
                self._keeper.move_over(MoveOver.of(params))
            case "auth.expiring":
                self._keeper.renew(number_of(params, "expires_in"))
            case "session.gap":
                self._listeners.call("gap", text_of(params, "topic"))
                self._ask_anew()
            case _:
                self._set_degraded(frozenset(strings_of(params, "parts")))

    def _set_degraded(self, parts: frozenset[str]) -> None:
        if parts != self.degraded:
            self.degraded = parts
            self._listeners.call("degraded", parts)

    def _ask_anew(self) -> None:
        """How those are who are watched: changes of it may have been missed."""
        link = self._keeper.link
        if link is None or self._asking_anew or not self._wishes.watched:
            return
        self._asking_anew = True
        self._keeper.beside(self._ask_presences(link))

    async def _ask_presences(self, link: Link) -> None:
        async def ask(method: str, params: dict[str, Json]) -> Json:
            return await link.request(method, params, self._timeout_s)

        async def call() -> None:
            self._asking_anew = False  # a gap from now on asks once more
            await self.presence.watch_again(ask)

        refusal = await insist(call, self._backoff, self._rng)
        if refusal is not None:
            log.warning("presences were not granted again: %s", refusal)

    # --- what the keeper tells (keeper.Host) -------------------------------------------------------------

    def adopt(self, ready: Ready, missed: bool) -> None:
        if self.session_ready is not None:
            self.reconnects += 1
        self.session_ready = ready
        if ready.world is None:
            self._forget_world()
        else:
            self._adopt_world(ready.world)
        self._asking_anew = False
        self._listeners.call("ready", ready)
        self._set_degraded(ready.degraded)
        if missed:
            self._listeners.call("gap", None)

    async def restore(self, link: Link, ready: Ready, missed: bool) -> None:
        async def ask(method: str, params: dict[str, Json]) -> Json:
            result = await link.request(method, params, self._timeout_s)
            if method == "presence.subscribe":
                self.presence.told(result)
            return result

        async def enter_again() -> None:
            character_id = self._wishes.character_id
            if character_id is None:  # left meanwhile
                return
            try:
                await self._enter(link, character_id, None)
            except InvalidState:
                world = object_of(await ask("system.info", {})).get("world")
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
        elif missed:
            self._ask_anew()
        if missed or not ready.recovered:
            await self._ask_inbox(ask)

    async def _ask_inbox(self, ask: Ask) -> None:
        """Direct messages wait until they are read, so what was missed is among them."""
        refusal = await insist(lambda: self.chat.fetch_inbox(ask), self._backoff, self._rng)
        if refusal is None:
            refusal = await insist(lambda: self.sealed.fetch_inbox(ask), self._backoff, self._rng)
        if refusal is not None:
            log.warning("the inbox was not given: %s", refusal)

    def lost(self, loss: Loss) -> None:
        self._listeners.call("loss", loss)

    async def _within(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await sending
        except TimeoutError as error:
            raise DeadlineExceeded(f"not sent in {self._timeout_s} s") from error
