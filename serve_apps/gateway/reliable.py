"""The gateway's part of the reliable lane: numbered notifications go to sockets without a gap, and it says what has arrived.

Nothing is kept here: what does not fit is left to the session's actor, which sends it again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from cluster.errors import InvalidInput
from cluster.ports.bus import Bus
from cluster.subjects import Subjects
from cluster.telemetry import tracing
from realm_proto import internal_pb2
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.client import Client
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.outgoing import Priority

ASK_AGAIN_S = 0.2


class Notice:
    """A notification's body, encoded once for each framing however many clients get it. `trace`: its context, told to them."""

    __slots__ = ("_encoded", "_params_json", "method", "trace")

    def __init__(self, method: str, params_json: bytes, trace: str = "") -> None:
        self.method = method
        self.trace = trace
        self._params_json = params_json
        self._encoded: dict[Framing, bytes] = {}

    def frame(self, framing: Framing, seq: int) -> bytes:
        """The notification with its number."""
        body = self._encoded.get(framing)
        if framing is Framing.JSON:
            if body is None:
                body = self._encoded[framing] = json_framing.notification_body(self.method, self._params_json)
            return json_framing.numbered(body, seq, self.trace)
        if body is None:
            body = self._encoded[framing] = proto_framing.notification_body(self.method, self._params_json)
        return proto_framing.numbered(body, seq, self.trace)


class ReliableLink:
    """`write(client, frame)` queues a notification for a client's socket. `taps`: by method, who is told that a client got one."""

    def __init__(
        self,
        gateway_id: str,
        bus: Bus,
        subjects: Subjects,
        clients: dict[str, Client],
        write: Callable[[Client, bytes, Priority], None],
        clock: Callable[[], float],
    ) -> None:
        self.delivered = 0
        self.duplicates = 0
        self.missing = 0
        self.stale = 0
        self.bad_acks = 0
        self.taps: dict[str, Callable[[Client], None]] = {}
        self._gateway_id = gateway_id
        self._bus = bus
        self._subjects = subjects
        self._clients = clients
        self._write = write
        self._clock = clock
        self._epochs: dict[str, int] = {}
        self._actors: set[str] = set()
        self._news: dict[Client, bool] = {}  # whose progress the session actors do not know; True: something is missing

    def opened(self, client: Client, missed: Sequence[tuple[str, bytes]], traces: Sequence[str] = ()) -> None:
        """A socket is open and has been greeted: what the client missed comes first."""
        self._actors.add(client.actor)
        notices = [Notice(method, params_json) for method, params_json in missed]
        for notice, trace in zip(notices, traces, strict=bool(traces)):
            notice.trace = tracing.told(trace)
        self._write_all(client, notices)
        # What was sent since the attach may have found nobody here.
        self._news[client] = False

    def receive(self, data: bytes) -> None:
        """A ReliableBatch. One of an older incarnation of a session actor is not believed (DESIGN, "Fencing")."""
        batch = internal_pb2.ReliableBatch.FromString(data)
        if batch.epoch < self._epochs.get(batch.actor, 0):
            self.stale += 1
            return
        self._epochs[batch.actor] = batch.epoch
        notices = [Notice(body.method, body.params_json, body.trace) for body in batch.bodies]
        traced = [notice for notice in notices if notice.trace] if tracing.on() else ()
        if traced:
            self._deliver_traced(batch, notices, traced)
        else:
            self._deliver_all(batch, notices)

    def _deliver_traced(
        self, batch: internal_pb2.ReliableBatch, notices: list[Notice], traced: Sequence[Notice]
    ) -> None:
        """What clients are told is the context of its delivery here."""
        parents, deliver = [tracing.told(notice.trace) for notice in traced], tracing.Kind.CONSUMER
        with tracing.spans("lane.deliver", deliver, parents, gateway=self._gateway_id) as contexts:
            for notice, context in zip(traced, contexts, strict=True):
                notice.trace = context
            self._deliver_all(batch, notices)

    def _deliver_all(self, batch: internal_pb2.ReliableBatch, notices: list[Notice]) -> None:
        for target in batch.targets:
            client = self._clients.get(target.session_id)
            if client is not None and client.attach_epoch == target.attach_epoch and not client.closed:
                self._deliver(client, target.first_seq, [notices[i] for i in target.bodies])

    def _deliver(self, client: Client, first: int, notices: list[Notice]) -> None:
        behind = client.delivered + 1 - first
        if behind < 0:
            self.missing += 1
            now = self._clock()
            if now - client.asked_again_at >= ASK_AGAIN_S:
                client.asked_again_at = now
                self._news[client] = True
            return
        self.duplicates += min(behind, len(notices))
        self._write_all(client, notices[behind:])
        self._news[client] = self._news.get(client, False)

    def _write_all(self, client: Client, notices: Sequence[Notice]) -> None:
        for notice in notices:
            if client.closed:  # it could not take that much
                break
            client.delivered += 1
            self.delivered += 1
            self._write(client, notice.frame(client.outgoing.framing, client.delivered), Priority.NORMAL)
            tap = self.taps.get(notice.method)
            if tap is not None:
                tap(client)

    def heard(self, client: Client) -> None:
        """The client's first message on this socket: it knows that it has it."""
        client.heard = True
        self._news.setdefault(client, False)

    def acked(self, client: Client, seq: int) -> None:
        """The client has seen everything up to `seq`. Raises InvalidInput for a number that it was never sent."""
        if seq > client.delivered:
            self.bad_acks += 1
            raise InvalidInput([("seq", "was not sent")])
        client.acked = max(client.acked, seq)
        self._news.setdefault(client, False)

    def flush(self) -> None:
        """Tell the session actors; called every `input_flush_s`."""
        if not self._news:
            return
        news, self._news = self._news, {}
        by_actor: defaultdict[str, internal_pb2.SessionReports] = defaultdict(
            lambda: internal_pb2.SessionReports(gateway_id=self._gateway_id)
        )
        for client, missing in news.items():
            by_actor[client.actor].reports.add(
                session_id=client.session_id,
                attach_epoch=client.attach_epoch,
                delivered=client.delivered,
                acked=client.acked,
                missing=missing or not client.confirmed,
                heard=client.heard,
            )
            client.confirmed = True
        for actor, reports in by_actor.items():
            self._bus.publish(self._subjects.session_reports(actor), reports.SerializeToString())

    def roster(self, clients: Iterable[Client]) -> None:
        """Tell the session actors which of their sessions have a socket here; called every few seconds."""
        by_actor: defaultdict[str, internal_pb2.SessionRoster] = defaultdict(
            lambda: internal_pb2.SessionRoster(gateway_id=self._gateway_id)
        )
        for actor in self._actors:  # also one that has none left here
            by_actor[actor] = internal_pb2.SessionRoster(gateway_id=self._gateway_id)
        for client in clients:
            roster = by_actor[client.actor]
            roster.session_ids.append(client.session_id)
            roster.attach_epochs.append(client.attach_epoch)
        for actor, said in by_actor.items():
            self._bus.publish(self._subjects.session_roster(actor), said.SerializeToString())
