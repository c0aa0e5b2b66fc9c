"""The gateway: its clients, and what happens to frames, views and notices. Plain Python; the `*_app.py` files give it sockets."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import orjson
import structlog

from actors.session.attaching import Attached
from actors.session.states import SessionState
from actors.session.world_info import ground_result
from cluster.errors import RealmError, Unavailable
from cluster.mapwatch import MapWatch
from cluster.ports.bus import Bus
from cluster.ports.calls import Calls
from cluster.realm import Realm
from cluster.subjects import Subjects
from cluster.telemetry.gateway_metrics import GatewayMetrics
from cluster.worldmap import WorldMap
from realm_proto import internal_pb2
from serve_apps.gateway import signing
from serve_apps.gateway.client import Client, Socket
from serve_apps.gateway.connection import Close, Closing, Ping
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.greeting import Greeting
from serve_apps.gateway.health import Health
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.idling import Idling
from serve_apps.gateway.intake import Intake
from serve_apps.gateway.leaving import Leaving
from serve_apps.gateway.messages import Sizes
from serve_apps.gateway.outgoing import Outgoing, Priority
from serve_apps.gateway.party_link import PartyLink
from serve_apps.gateway.reliable import ReliableLink
from serve_apps.gateway.upgrade import Refusal, Upgrade
from serve_apps.gateway.views import View
from serve_apps.gateway.watcher import Watcher
from serve_apps.gateway.zone_calls import ZoneCalls
from serve_apps.gateway.zone_link import ZoneLink

FULL_RETRY_S = 5
PRIVATE_CODES = 3_000  # close codes from here on mean what applications say (RFC 6455, section 7.4.2)
BACKGROUND_LIMIT = 10_000
DETACH_DEADLINE_S = 5.0
DETACH_ATTEMPTS = 12
DETACH_PAUSE_S = 5.0
ZONE = "zone:"  # before the id of a zone, among the parts of a realm
RENEW_AT = 0.5  # of a recovery token's life

log = structlog.get_logger(__name__)


class Hub:
    """All times are seconds on `clock`."""

    def __init__(
        self,
        gateway_id: str,
        realm: Realm,
        bus: Bus,
        subjects: Subjects,
        calls: Calls,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        metrics: GatewayMetrics,
    ) -> None:
        self.gateway_id = gateway_id
        self.settings = realm.settings
        self.clients: dict[str, Client] = {}
        self.world = MapWatch(WorldMap.declared(realm.settings.world))
        self.zones = ZoneLink(gateway_id, bus, subjects, self._write_view, clock, self.clients.get, self._crossed)
        self.zone_calls = ZoneCalls(self.zones, clock, realm.settings.gateway.call_deadline_s)
        self.reliable = ReliableLink(gateway_id, bus, subjects, self.clients, self._write_reliable, clock)
        self.greeting = Greeting(gateway_id, realm, wall_clock)
        self.leaving = Leaving(
            gateway_id, realm.settings.gateway, self.clients, self._ask_away, self._close_rest, self.greeting.token
        )
        self.idling = Idling(
            calls, self.spawn, realm.settings.presence.away_after_s, realm.settings.gateway.call_deadline_s
        )
        self.intake = Intake(clock, metrics, self.zones, self.idling, self.reliable, self.close)
        # Frames from clients go straight there.
        self.receive, self.receive_continuation, self.heard = (
            self.intake.receive,
            self.intake.receive_continuation,
            self.intake.heard,
        )
        self.health = Health(realm.settings.gateway.degraded_after_s, metrics.probed)
        self.degraded: tuple[str, ...] = ()
        self.reserved = 0  # upgrades on their way
        self.watchers: list[Watcher] = []
        self.metrics = metrics
        self._noticing: set[Client] = set()  # whose notices wait for their window to end; most have none
        self._calls = calls
        self._clock = clock
        self._parties: PartyLink | None = None
        self._sizes: Sizes = None
        self._background: set[asyncio.Task[None]] = set()

    def use(self, dispatcher: Dispatcher) -> None:
        """The dispatcher's handlers need the hub, and the hub needs the dispatcher."""
        self.intake.dispatcher = dispatcher
        self._sizes = dispatcher.sizes

    def use_parties(self, parties: PartyLink) -> None:
        self._parties = parties
        self.reliable.taps["party.changed"] = parties.doubt
        self.reliable.taps["friends.changed"] = parties.doubt_ties

    # --- sockets -----------------------------------------------------------------------------------------------

    def room(self) -> Refusal | None:
        """Why no further socket is taken, if so (row 1.6)."""
        if self.leaving.draining:
            return Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, "draining", "this gateway is leaving", self.leaving.retry_after_s
            )
        if len(self.clients) + self.reserved >= self.settings.gateway.capacity:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "full", "this gateway is full", FULL_RETRY_S)
        return None

    def connect(self, attached: Attached, actor: str, upgrade: Upgrade, who: Identity, socket: Socket) -> Client:
        """A socket is open: the client is told who it is, and its world comes back if it had one."""
        now, limits = self._clock(), self.settings.gateway
        connection, socket = signing.begin(upgrade, attached, self.settings, socket, self._sizes, now)
        outgoing = Outgoing(connection.framing, limits.slow_consumer_bytes, limits.slow_consumer_s)
        client = Client(attached, actor, connection, outgoing, socket, now, who, upgrade.address)
        self.metrics.attached(attached.resumed, attached.recovered)
        other = self.clients.get(client.session_id)
        if other is not None and other.attach_epoch > client.attach_epoch:  # two upgrades, and this one came second
            self.close(client, Close.REPLACED, "replaced")
            return client
        if other is not None:
            self.close(other, Close.REPLACED, "replaced")
        self.clients[client.session_id] = client
        for watcher in self.watchers:
            watcher.opened(client, now)
        if self._parties is not None:
            self._parties.doubt(client)
        ready = self.greeting.ready(client, self.degraded)
        self.notify(client, "session.ready", orjson.dumps(ready), Priority.IMMEDIATE)
        self.reliable.opened(client, attached.missed, attached.traces)
        if client.world:
            self.zones.show(client, client.zone_id, client.world["number"])
        return client

    def disconnected(self, client: Client) -> None:
        """The socket is gone, whoever closed it. The session waits in its actor for another one."""
        if self.clients.get(client.session_id) is client:
            del self.clients[client.session_id]
        # What its worker has begun is finished (it has a deadline): a change that is cut off leaves half of it behind.
        client.closed = True
        client.work.clear()
        if self._parties is not None:
            self._parties.gone(client)
        self.zones.hide(client)
        now = self._clock()
        for watcher in self.watchers:
            watcher.gone(client, now)
        self.metrics.closed(client.close_code, now - client.connected_at)
        self.spawn(self._detach(client.actor, client.session_id, client.attach_epoch))

    def abandoned(self, attached: Attached, actor: str) -> None:
        """The session was attached, but its socket never opened."""
        self.spawn(self._detach(actor, attached.session_id, attached.attach_epoch))

    async def _detach(self, actor: str, session_id: str, attach_epoch: int) -> None:
        """Tell the session's actor, also one that is away for a while: until it knows, the session does not end."""
        for attempt in range(DETACH_ATTEMPTS):
            if attempt:
                await asyncio.sleep(random.uniform(0.5, 1.0) * DETACH_PAUSE_S)  # noqa: S311 - jitter
            try:
                await self._calls.call(
                    actor, "detach", session_id, attach_epoch, deadline_s=DETACH_DEADLINE_S, idempotent=True
                )
                return
            except Unavailable as error:
                log.warning("detach_postponed", session=session_id, what=str(error))
        log.error("detach_failed", session=session_id)

    def close(self, client: Client, code: Close, reason: str) -> None:
        """Close the socket; `disconnected` follows from the shell."""
        if not client.closed:
            client.closed = True
            client.close_code = code.value
            self.zones.hide(client)
            client.socket.close(code.value, reason)

    def kick(self, client: Client) -> None:
        """Somebody who may not be here any more."""
        self.close(client, Close.KICKED, "banned")

    def closed_by_peer(self, client: Client, code: int) -> None:
        """The client said goodbye, or broke a rule that the WebSocket library looks after. The codes of its own are not counted."""
        client.closed, client.close_code = True, code if code < PRIVATE_CODES else Close.NORMAL.value
        self.zones.hide(client)

    # --- what goes out -----------------------------------------------------------------------------------------

    def _write_view(self, client: Client, view: View) -> None:
        if client.track is not None:
            client.track.seen(view, client.last_move)
        if view.correction:
            client.tally.corrected(view.correction)
        frame = client.outgoing.view(view)
        views = self.metrics.views
        if frame is None:
            views.merged += 1
            return
        views.sent += 1
        views.bytes += len(frame)
        client.messages_out += 1
        client.bytes_out += len(frame)
        client.socket.send(frame, client.outgoing.framing)

    def notify(self, client: Client, method: str, params_json: bytes, priority: Priority) -> None:
        self.metrics.sent["notification"] += 1
        client.write(client.outgoing.notice(method, params_json, priority, self._clock()))
        self._queued(client)

    def give_token(self, client: Client, priority: Priority) -> None:
        """A newer recovery token."""
        client.token_at = self._clock()
        self.notify(client, "session.token", orjson.dumps(self.greeting.token(client)), priority)

    def _queued(self, client: Client) -> None:
        if client.outgoing.has_notices:
            self._noticing.add(client)
        if client.outgoing.overfull:
            self.close(client, Close.SLOW_CONSUMER, "not reading")

    def _write_reliable(self, client: Client, encoded: bytes, priority: Priority) -> None:
        self.metrics.sent["notification"] += 1
        client.write(client.outgoing.encoded(encoded, priority, self._clock()))
        self._queued(client)

    def _ask_away(self, client: Client, params_json: bytes) -> None:
        self.notify(client, "session.reconnect", params_json, Priority.IMMEDIATE)

    def blocked(self, client: Client) -> None:
        """The socket's buffer is over its high-water mark."""
        client.outgoing.block(self._clock())

    def unblocked(self, client: Client) -> None:
        """... and under its low one. Writing may block it again at once: what is left waits for the next turn."""
        client.write(client.outgoing.unblock())

    def control(self, data: bytes) -> None:
        """A GatewayControl from an actor."""
        message = internal_pb2.GatewayControl.FromString(data)
        if message.HasField("notice"):
            notice = message.notice
            targets: Iterable[Client | None] = (
                (self.clients.get(session_id) for session_id in notice.session_ids)
                if notice.session_ids
                else list(self.clients.values())
            )
            for client in targets:
                if client is not None:
                    self.notify(client, notice.method, notice.params_json, Priority.NORMAL)
        elif message.HasField("close"):
            order = message.close
            client = self.clients.get(order.session_id)
            if client is not None and client.attach_epoch <= order.attach_epoch:
                self.close(client, Close(order.code), order.reason)
        elif message.HasField("drain"):
            self.leaving.drain(self._clock(), message.drain.deadline_s, for_good=False)
        elif message.HasField("stay"):
            self.leaving.stay()
        elif message.HasField("answers"):
            self.zone_calls.receive(message.answers)
        elif message.HasField("probe"):
            probe = message.probe
            self.health.answered(probe.part, probe.number, self._clock())
            if probe.part.startswith(ZONE):
                self.zones.sent(probe.part.removeprefix(ZONE), probe.epoch, probe.outputs)

    def look(self) -> None:
        """Called about once a second: clients are told when a part of the realm does not answer, and when it does again."""
        degraded = self.health.degraded(self._clock())
        if degraded == self.degraded:
            return
        log.warning("degraded", parts=degraded)
        self.degraded = degraded
        params = orjson.dumps({"parts": degraded})
        for client in list(self.clients.values()):
            self.notify(client, "system.degraded", params, Priority.NORMAL)

    # --- the world ---------------------------------------------------------------------------------------------

    def entered(self, client: Client, world: dict[str, Any]) -> None:
        client.world, client.state = world, SessionState.IN_WORLD
        client.transfer, client.last_move = 0, b""  # a new stay: its hand-overs count anew
        client.track = None
        if not client.closed:
            self.zones.show(client, world["zone"], world["number"])

    def _crossed(self, client: Client, zone_id: str, number: int) -> None:
        """The client's entity walked into another zone."""
        client.world = {**(client.world or {}), **ground_result(self.world.map, zone_id), "number": number}

    def left(self, client: Client) -> None:
        self.zones.hide(client)
        client.world, client.state = None, SessionState.AUTHENTICATED

    # --- time --------------------------------------------------------------------------------------------------

    def pulse(self) -> None:
        """Called every `input_flush_s`: batches go out, and notices whose window is over."""
        self.zones.flush()
        self.reliable.flush()
        now = self._clock()
        self.leaving.pulse(now)
        for client in tuple(self._noticing):
            client.write(client.outgoing.pulse(now))
            if client.closed or not client.outgoing.has_notices:
                self._noticing.discard(client)

    def sweep(self) -> None:
        """Called about once a second: heartbeats, idle and slow clients (rows 1.3 and 1.4)."""
        now = self._clock()
        self.leaving.sweep(now)
        self.idling.sweep(self.clients.values(), now)
        for watcher in self.watchers:
            watcher.sweep(self.clients.values(), now)
        renew_s = self.settings.session.recovery_ttl_s * RENEW_AT
        for client in list(self.clients.values()):
            if now - client.token_at > renew_s:
                self.give_token(client, Priority.LOW)
            due = client.connection.sweep(now)
            if client.outgoing.too_slow(now):
                self.close(client, Close.SLOW_CONSUMER, "not reading")
            elif isinstance(due, Closing):
                self.close(client, due.code, due.reason)
            elif isinstance(due, Ping):
                client.socket.ping()

    def alive(self) -> bytes:
        """A GatewayAlive: what others may know of this gateway."""
        return internal_pb2.GatewayAlive(
            gateway_id=self.gateway_id,
            sockets=len(self.clients),
            capacity=self.settings.gateway.capacity,
            draining=self.leaving.draining,
            degraded=self.degraded,
        ).SerializeToString()

    def heard_gateway(self, data: bytes) -> None:
        """Another gateway's GatewayAlive, or this one's."""
        self.leaving.heard(internal_pb2.GatewayAlive.FromString(data), self._clock())

    def stop(self) -> None:
        """At once: no new sockets, and the old ones are told to come back elsewhere."""
        self.leaving.drain(self._clock(), 0.0)
        self._close_rest()

    def _close_rest(self) -> None:
        for client in list(self.clients.values()):
            self.close(client, Close.RESTART, "restart")

    def spawn(self, work: Any) -> bool:
        """Run something in the background that the realm can do without: a failure is logged, sweeps elsewhere repair it.

        False: there is no room for more.
        """
        if len(self._background) >= BACKGROUND_LIMIT:
            work.close()
            log.error("background_full", limit=BACKGROUND_LIMIT)
            return False

        async def guarded() -> None:
            try:
                await work
            except RealmError as error:
                log.warning("background_failed", error=str(error))

        task = asyncio.create_task(guarded())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return True
