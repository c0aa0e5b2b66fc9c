"""One attached client in a gateway: its session, its connection, and what waits for it. Owns nothing that matters."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from actors.session.attaching import Attached
from actors.session.states import SessionState
from serve_apps.gateway.connection import Connection
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.limits.meter import Meter, unmetered
from serve_apps.gateway.messages import Call, Fault, Framing
from serve_apps.gateway.outgoing import Frame, Outgoing
from serve_apps.gateway.party_positions import Track
from serve_apps.gateway.tally import Tally

Work = tuple[Call | Fault, ...]


class Socket(Protocol):
    """What the shell around a real socket offers. All of it returns at once."""

    def send(self, frame: bytes, framing: Framing) -> None: ...

    def ping(self) -> None: ...

    def close(self, code: int, reason: str) -> None: ...


class Client:
    """`user_id`, `session_id` and `actor` never change; `state` and `zone_id` follow the session."""

    def __init__(
        self,
        attached: Attached,
        actor: str,
        connection: Connection,
        outgoing: Outgoing,
        socket: Socket,
        now: float,
        identity: Identity,
        address: str = "",
    ) -> None:
        self.session_id = attached.session_id
        self.user_id = attached.user_id
        self.attach_epoch = attached.attach_epoch
        self.role = attached.role
        self.actor = actor
        self.identity = identity  # as its newest token said
        self.address = address
        self.state = SessionState(attached.state)
        self.resumed = attached.resumed
        self.world = attached.world
        self.topics = frozenset(attached.subscriptions)
        self.stream = attached.stream
        self.seq = attached.seq
        self.recovered = attached.recovered
        self.delivered = attached.seq  # the newest reliable notification that was written
        self.acked = 0
        self.heard = False  # a message came on this socket
        self.confirmed = False  # the session's actor was told that the socket is open
        self.asked_again_at = float("-inf")
        self.transfer = 0  # of its entity, from zone to zone, as far as views have told
        self.sighted = False  # its present views began from nothing
        self.last_move = b""  # a MOVE_IN row: the newest since it entered the world
        self.track: Track | None = None  # where it is, if others of its party are told
        self.deed_at = now  # when its user did something last
        self.idle = attached.idle  # as its session's actor knows it
        self.token_at = now  # when the newest recovery token was given out
        self.tally = Tally()  # for the watch on abuse
        self.met: set[str] = set()  # users it may speak to: see strangers.py
        self.known_to: set[str] = set()  # users who wrote to it
        self.meter: Meter = unmetered()  # until the gateway's registry knows it
        self.connection = connection
        self.outgoing = outgoing
        self.socket = socket
        self.connected_at = now
        self.messages_out = 0
        self.bytes_out = 0
        self.pong: asyncio.Event | None = None  # somebody waits for one
        self.closed = False
        self.close_code = 1006  # no close frame (RFC 6455, section 7.1.5) until there is one
        self.work: deque[tuple[Work, bool]] = deque()
        self.pending_requests = 0
        self.worker: asyncio.Task[None] | None = None
        self.last_error_told = float("-inf")

    @property
    def zone_id(self) -> str:
        return self.world["zone"] if self.world else ""

    @property
    def number(self) -> int | None:
        return self.connection.entity

    def ponged(self) -> None:
        """A pong came."""
        if self.pong is not None:
            self.pong.set()
            self.pong = None

    def write(self, frames: list[Frame]) -> None:
        for data, framing in frames:
            self.messages_out += 1
            self.bytes_out += len(data)
            self.socket.send(data, framing)
