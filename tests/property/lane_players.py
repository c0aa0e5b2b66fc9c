"""Gateways with the real reliable link, and players who hold them to PROTOCOL.md: "Reliable notifications" and "Recovery"."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from actors.session.attaching import Attach, Attached
from cluster.errors import InvalidInput, RealmError, Unauthorized, Unavailable
from cluster.settings import GatewaySettings
from rayrealm_client import codec
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Connection
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.outgoing import Outgoing, Priority
from serve_apps.gateway.reliable import ReliableLink
from tests.property.lane_world import ACTOR, SUBJECTS, World
from tests.unit.serve_apps.gateway.fakes import Wire

LIMITS = GatewaySettings()
ASKED = 10_000  # turns, for one change of membership


class Gateway:
    """`clients`: as it knows them, those whose sockets it does not know to be dead among them. `muted`: nobody hears of it."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.alive = True
        self.muted = False
        self.clients: dict[str, Client] = {}
        self.sockets: dict[Client, Socket] = {}
        self.link = ReliableLink(name, world.bus, SUBJECTS, self.clients, self._write, world.clock)  # type: ignore[arg-type]

    async def listen(self) -> None:
        await self.world.bus.subscribe(SUBJECTS.gateway_reliable(self.name), self._receive)
        await self.world.bus.subscribe(SUBJECTS.gateway_control(self.name), self._control)

    def _receive(self, data: bytes) -> None:
        if self.alive:
            self.link.receive(data)

    def _control(self, data: bytes) -> None:
        order = internal_pb2.GatewayClose.FromString(data)
        client = self.clients.get(order.session_id)
        if self.alive and client is not None and client.attach_epoch <= order.attach_epoch:
            self.close(client)

    def _write(self, client: Client, frame: bytes, _priority: Priority) -> None:
        self.sockets[client].inflight.append(frame)

    def open(self, attached: Attached, framing: Framing) -> Socket:
        """As Hub.connect does."""
        connection, now = Connection(framing, LIMITS, self.world.now), self.world.now
        outgoing = Outgoing(framing, LIMITS.slow_consumer_bytes, LIMITS.slow_consumer_s)
        client = Client(attached, ACTOR, connection, outgoing, Wire(), now, Identity(attached.user_id))
        socket = self.sockets[client] = Socket(self, client, attached)
        other = self.clients.get(client.session_id)
        if other is not None and other.attach_epoch > client.attach_epoch:
            self.close(client)
            return socket
        if other is not None:
            self.close(other)
        self.clients[client.session_id] = client
        self.link.opened(client, attached.missed)
        return socket

    def close(self, client: Client) -> None:
        """The gateway closes a socket, or finds that it is dead; what was written is still on its way."""
        client.closed = True
        socket = self.sockets[client]
        socket.ending = True
        if self.clients.get(client.session_id) is client:
            del self.clients[client.session_id]
        self.world.spawn(self._detach(client.session_id, client.attach_epoch))

    async def _detach(self, session_id: str, attach_epoch: int) -> None:
        while self.alive:
            try:
                await self.world.call("host", "detach", session_id, attach_epoch)
                return
            except Unavailable:
                await self.world.turns(9)
                if not self.world.rough:
                    return  # the roster finds it

    def abandoned(self, attached: Attached) -> None:
        self.world.spawn(self._detach(attached.session_id, attached.attach_epoch))

    def tick(self) -> None:
        """A heartbeat, and now and then what is here."""
        if not self.alive or self.muted:
            return
        for actor in (self.world.actor, *self.world.zombies):
            if actor.ready:
                actor.host.heard(self.name)
        if self.world.rng.random() < 0.1:
            self.link.roster(self.clients.values())

    def kill(self) -> None:
        self.alive = False
        for client in list(self.clients.values()):
            self.sockets[client].dead = True
        self.clients.clear()


@dataclass(eq=False)
class Socket:
    """`ending`: closed by the gateway, which the player sees after what is in flight. `dead`: nothing comes any more."""

    gateway: Gateway
    client: Client
    ready: Attached
    inflight: deque[bytes] = field(default_factory=deque)
    ending: bool = False
    dead: bool = False
    greeted: bool = False


class Player:
    """`got`: everything it was told, (seq, method, params). `missed`: (first, last) that it was told are missed."""

    def __init__(self, world: World, session_id: str) -> None:
        self.world = world
        self.session_id = session_id
        self.user_id = f"usr_{session_id}"
        self.stream = ""
        self.last = 0
        self.token_epoch: int | None = None
        self.socket: Socket | None = None
        self.connecting = False
        self.got: list[tuple[int, str, dict[str, Any]]] = []
        self.missed: list[tuple[int, int]] = []
        self.wanted: dict[str, bool] = {}
        self.busy = False

    # --- connecting ---------------------------------------------------------------------------------------------

    def drop(self) -> None:
        """The network is cut: the gateway does not know."""
        if self.socket is not None:
            self.socket.dead = True
            self.socket = None

    async def connect(self, gateway: Gateway) -> None:
        world, rng = self.world, self.world.rng
        try:
            self.drop()
            stream, last, token_epoch = self.stream, self.last, self.token_epoch
            if rng.random() < 0.1:
                token_epoch = None  # by an access token
            wanted = Attach(self.session_id, self.user_id, gateway.name, token_epoch, stream, last)
            try:
                attached = await world.attach(wanted)
            except Unauthorized as error:
                world.counts[error.reason] += 1  # recovery_superseded: the next one is by an access token
                self.token_epoch = None
                return
            except Unavailable:
                world.counts["attach failed"] += 1
                return
            self._judge(attached, stream, last)
            if not gateway.alive:
                return
            if world.rough and rng.random() < 0.1:
                gateway.abandoned(attached)
                return
            self.socket = gateway.open(attached, rng.choice(list(Framing)))
        finally:
            self.connecting = False

    def _judge(self, attached: Attached, stream: str, last: int) -> None:
        """`recovered` is false only if it was no resumption, or what the outbox may keep explains it."""
        if attached.recovered:
            assert (attached.stream, attached.seq) == (stream, last)
            return
        assert attached.missed == ()
        if not stream:
            return
        assert attached.stream == stream
        limits = self.world.settings.session
        entries = self.world.told.entries[self.session_id]
        lost = [entries[seq] for seq in range(last + 1, attached.seq + 1)]
        assert lost, "nothing was missed, and yet it was not recovered"
        too_many = len(lost) > limits.outbox_count
        too_big = sum(len(method) + len(params) for method, params, _ in lost) > limits.outbox_bytes
        too_old = self.world.now - min(at for *_, at in lost) > limits.outbox_age_s - 0.01
        assert too_many or too_big or too_old
        self.world.counts["not recovered"] += 1

    # --- what comes ---------------------------------------------------------------------------------------------

    def receive(self, count: int) -> None:
        socket = self.socket
        if socket is None:
            return
        if not socket.greeted:
            self._greeted(socket)
        for _ in range(min(count, len(socket.inflight))):
            self._frame(socket.inflight.popleft())
        if socket.ending and not socket.inflight:
            self.drop()

    def _greeted(self, socket: Socket) -> None:
        socket.greeted = True
        ready = socket.ready
        if not ready.recovered and ready.seq > self.last:
            self.missed.append((self.last + 1, ready.seq))
        self.stream, self.last, self.token_epoch = ready.stream, ready.seq, ready.attach_epoch

    def _frame(self, frame: bytes) -> None:
        socket = self.socket
        assert socket is not None
        said = codec.decode(frame if socket.client.outgoing.framing is Framing.PROTO else frame.decode())[0]
        assert isinstance(said, codec.Notification)
        assert said.seq == self.last + 1, "in order, without gaps, without repeats"
        self.last = said.seq
        assert isinstance(said.params, Mapping)
        self.got.append((said.seq, said.method, dict(said.params)))

    # --- what it does -------------------------------------------------------------------------------------------

    def ack(self) -> None:
        """Its newest, an older one, or one that it was never sent."""
        socket, rng = self.socket, self.world.rng
        if socket is None or not socket.greeted or socket.client.closed or not socket.gateway.alive:
            return
        link, client = socket.gateway.link, socket.client
        if not client.heard:
            link.heard(client)
        fate = rng.random()
        if fate < 0.1:
            try:
                link.acked(client, client.delivered + 1)
            except InvalidInput:
                return
            raise AssertionError("an acknowledgement of what was never sent")
        link.acked(client, self.last if fate < 0.9 else rng.randint(0, self.last))

    async def change(self, topics: Sequence[str]) -> None:
        """Join or leave a topic; repeated until it is sure. Windows of membership are kept by the caller."""
        socket, rng = self.socket, self.world.rng
        if socket is None or not socket.greeted or self.busy:
            return
        self.busy = True
        topic = rng.choice(topics)
        join = not self.wanted.get(topic, False)
        self.wanted[topic] = join
        self.world.windows[self.session_id, topic].append((join, "asked", len(self.world.published[topic])))
        try:
            for _ in range(ASKED):
                if await self._ask(topic, join):
                    break
                await asyncio.sleep(0)
        finally:
            self.busy = False

    async def _ask(self, topic: str, join: bool) -> bool:
        socket = self.socket
        if socket is None or not socket.greeted:
            return False
        args = ([topic], []) if join else ([], [topic])
        try:
            await self.world.call("belongings", "subscribe", self.session_id, socket.client.attach_epoch, *args)
        except RealmError:
            return False
        self.world.windows[self.session_id, topic].append((join, "done", len(self.world.published[topic])))
        return True
