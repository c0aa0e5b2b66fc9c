"""What a gateway tells the watch on abuse (row 6.3): every `report_s` what each session did since, and from which addresses.

One pass over the clients a report, none over their messages. A session that did nothing is not told of.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Collection

from actors.zone.rows import MOVE_IN
from cluster.ports.bus import Bus
from cluster.security.addresses import limit_key
from cluster.subjects import Subjects
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.limits.registry import Registry
from serve_apps.gateway.signing import ServerSigner
from serve_apps.gateway.tally import AddressTallies

PART = 1_000  # sessions or addresses in one message: far below what the bus takes
MOST_GONE = 10_000  # sockets that closed since the last report; more are counted by their address alone
MOST_SLOWED = 10_000
REPLAY = "replayed"  # of the reasons in rayrealm_client/signing.py
SAID_TURN_S = 120.0  # so "lately" is between two and four minutes
MOST_METRES = 1e6

_unpack = struct.Struct("<IIffff").unpack  # as MOVE_IN


class Reporter:
    """A `watcher.Watcher`. `reports`, `told` and `lost` count since the start: messages sent, sessions in them, and sockets that
    closed unseen because too many did."""

    def __init__(
        self,
        gateway_id: str,
        bus: Bus,
        subjects: Subjects,
        report_s: float,
        addresses: AddressTallies,
        registry: Registry,
    ) -> None:
        self.reports = 0
        self.told = 0
        self.lost = 0
        self._gateway_id = gateway_id
        self._bus = bus
        self._subject = subjects.abuse_reports()
        self._report_s = report_s
        self._addresses = addresses
        self._registry = registry
        self._due: float | None = None
        self._said_due = float("-inf")
        self._gone: list[internal_pb2.AbuseSession] = []
        self._sockets: Counter[str] = Counter()
        self._slowed: dict[str, tuple[float, float]] = {}  # user -> factor, until

    # --- watcher -----------------------------------------------------------------------------------------------

    def opened(self, client: Client, now: float) -> None:
        tally = client.tally
        tally.address, tally.since = limit_key(client.address), now
        self._addresses.opened(client.address)
        self._sockets[tally.address] += 1
        factor, until = self._slowed.get(client.user_id, (1.0, 0.0))
        if until > now:
            client.meter.slow(factor, until)

    def gone(self, client: Client, now: float) -> None:
        address = client.tally.address
        if client.tally.since is None:  # it was replaced before it was opened
            return
        self._sockets[address] -= 1
        if self._sockets[address] <= 0:
            del self._sockets[address]
        if len(self._gone) >= MOST_GONE:
            self.lost += 1
            return
        session = internal_pb2.AbuseSession(close_code=client.close_code)
        signer = client.connection.signer
        if isinstance(signer, ServerSigner) and signer.failed is not None:
            replayed = signer.failed == REPLAY
            session.replays, session.bad_signatures = int(replayed), int(not replayed)
        _fill(session, client, now)
        self._gone.append(session)

    def sweep(self, clients: Collection[Client], now: float) -> None:
        if self._due is None:
            self._due = now + self._report_s
        if now < self._due:
            return
        self._due = now + self._report_s
        self._slowed = {user_id: (factor, until) for user_id, (factor, until) in self._slowed.items() if until > now}
        self._report(clients, now)

    # --- slowing -----------------------------------------------------------------------------------------------

    def slow(self, order: internal_pb2.GatewaySlow, now: float) -> None:
        """The watch's word about a user, for all sockets that the user has here, had lately, or will have."""
        self._slowed.pop(order.user_id, None)
        until = now + order.for_s
        if order.factor > 1.0:
            if len(self._slowed) >= MOST_SLOWED:
                del self._slowed[next(iter(self._slowed))]
            self._slowed[order.user_id] = order.factor, until
        self._registry.slow(order.user_id, order.factor, until)

    # --- reporting ---------------------------------------------------------------------------------------------

    def _report(self, clients: Collection[Client], now: float) -> None:
        turn = now >= self._said_due
        if turn:
            self._said_due = now + SAID_TURN_S
        sessions, self._gone = self._gone, []
        for client in clients:
            session = internal_pb2.AbuseSession()
            if _fill(session, client, now):
                sessions.append(session)
            if turn and client.tally.said is not None and not client.tally.said.turn():
                client.tally.said = None
        tallies = self._addresses.take()
        addresses = [
            internal_pb2.AbuseAddress(
                address=address,
                sockets=self._sockets.get(address, 0),
                opened=tally.opened,
                refusals=tally.refusals,
            )
            for address, tally in tallies.items()
        ]
        self.told += len(sessions)
        for start in range(0, max(len(sessions), len(addresses)), PART):
            report = internal_pb2.AbuseReport(
                gateway_id=self._gateway_id,
                sessions=sessions[start : start + PART],
                addresses=addresses[start : start + PART],
            )
            self._bus.publish(self._subject, report.SerializeToString())
            self.reports += 1


def _fill(session: internal_pb2.AbuseSession, client: Client, now: float) -> bool:
    """Take what was counted of a client; the tally begins anew. False: there was nothing, and `session` is as it was."""
    tally, connection = client.tally, client.connection
    # What the limit of its address or of the gateway refused is nobody's fault here, and is not told.
    messages, limited = connection.messages_in - tally.messages_before, client.meter.refused_own - tally.refused_before
    span_s, tally.since = now - (now if tally.since is None else tally.since), now
    if not (messages or limited or tally.corrections or client.closed):
        return False
    session.session_id = client.session_id
    session.user_id = client.user_id
    session.address = tally.address
    session.role = client.role
    session.span_s = span_s
    session.messages = messages + limited  # most of what is over a limit is not read
    session.bytes = connection.bytes_in - tally.bytes_before
    session.moves = max(0, messages - tally.frames) + tally.long_moves
    tally.messages_before, tally.bytes_before = connection.messages_in, connection.bytes_in
    session.metres = _metres(client)
    if tally.frames or tally.calls or tally.malformed or tally.pending:  # whoever only walks has none of these
        session.calls = tally.calls
        session.chats = tally.chats
        session.malformed = tally.malformed
        session.unknown = tally.unknown
        session.invalid = tally.invalid
        session.refused = tally.refused
        session.pending = tally.pending
        tally.frames = tally.calls = tally.long_moves = tally.chats = tally.malformed = tally.unknown = 0
        tally.invalid = tally.refused = tally.pending = 0
    if limited:
        session.limited, tally.refused_before = limited, client.meter.refused_own
    if tally.corrections:
        session.corrections, tally.corrections = tally.corrections, 0
    if tally.said is not None:
        session.addressees, session.same_text = tally.said.addressees(), tally.said.same_text()
    return True


def _metres(client: Client) -> float:
    """From where it was at the last report to where it says it is. 0.0 if one of the two is not known."""
    tally = client.tally
    if not client.last_move:
        tally.place = None
        return 0.0
    _, _, x, _, z, _ = _unpack(client.last_move[: MOVE_IN.itemsize])
    before, tally.place = tally.place, (x, z)
    if before is None:
        return 0.0
    metres = math.hypot(x - before[0], z - before[1])
    return metres if metres < MOST_METRES else MOST_METRES  # what is no number, too
