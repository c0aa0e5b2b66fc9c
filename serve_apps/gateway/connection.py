"""One client's connection as a state machine without I/O: frames and time go in, events come out.

Kept apart from the socket on purpose (as websockets and h11 do): every rule of PROTOCOL.md about frames, sizes, heartbeat and
idleness is here and is tested without a socket or a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from actors.zone.rows import pack_move_in
from cluster.settings import GatewaySettings
from rayrealm_client.signing import MAX_TRAILER, BadSignature
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.messages import Decoded, Fault, Framing, Sizes


class Close(IntEnum):
    """Close codes (PROTOCOL.md): 4000-4499 reconnect, 4500-4999 do not."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    INVALID_TEXT = 1007
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011
    RESTART = 1012
    TRY_LATER = 1013
    SESSION_LOST = 4000
    SLOW_CONSUMER = 4001
    HEARTBEAT_TIMEOUT = 4002
    IDLE = 4003
    REPLACED = 4500
    AUTH_EXPIRED = 4501
    TOO_MANY_ERRORS = 4502
    KICKED = 4503
    FLOODING = 4504
    BAD_SIGNATURE = 4505


@dataclass(frozen=True, slots=True)
class Moved:
    """A move for the zone the client is in, as a MOVE_IN row."""

    row: bytes


@dataclass(frozen=True, slots=True)
class Received:
    """Requests and notifications, or what was wrong with them."""

    decoded: Decoded


@dataclass(frozen=True, slots=True)
class Closing:
    """The socket must be closed with this."""

    code: Close
    reason: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a ping."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """A fragment, or nothing to do yet."""


Event = Moved | Received | Closing | Nothing
NOTHING = Nothing()
ERROR_WINDOW_S = 60.0


class Verifier(Protocol):
    """What a client that signs its messages is believed by."""

    def open(self, data: bytes, text: bool, now: float) -> bytes:
        """A whole message without its trailer. Raises BadSignature."""

    def skip(self) -> None:
        """A frame is thrown away unread."""

    def offer(self) -> dict[str, str | int | float]:
        """What session.ready says of it."""


class Connection:
    """`framing` None: each frame decides, and answers follow the last one. `sizes`: see messages.py. `signer` None: messages are
    not signed. `short_moves`: whether moves go past the dispatcher. Times are seconds on one monotonic clock.
    """

    def __init__(
        self,
        framing: Framing | None,
        limits: GatewaySettings,
        now: float,
        sizes: Sizes = None,
        signer: Verifier | None = None,
        short_moves: bool = True,
    ) -> None:
        self.chosen = framing
        self.framing = framing or Framing.JSON
        self.entity: int | None = None  # the entity's number while in the world
        self.messages_in = 0
        self.bytes_in = 0
        self._limits = limits
        self.signer = signer
        self._max_frame = limits.max_frame_bytes + (0 if signer is None else MAX_TRAILER)
        self._short_moves = short_moves
        self._sizes = sizes
        self._last_received = now
        self._last_message = now
        self._ping_sent: float | None = None
        self._errors = 0
        self._errors_since = now
        # A fragmented message that is not whole yet: its bytes so far, its kind, and when it began.
        self._partial: bytearray | None = None
        self._partial_text = False
        self._partial_since = now

    # --- frames in ---------------------------------------------------------------------------------------------

    def text(self, payload: bytes, fin: bool, now: float) -> Event:
        return self._data(payload, True, fin, now)

    def binary(self, payload: bytes, fin: bool, now: float) -> Event:
        return self._data(payload, False, fin, now)

    def continuation(self, payload: bytes, fin: bool, now: float) -> Event:
        """The rest of a fragmented message (RFC 6455, section 5.4)."""
        self._heard(len(payload), now)
        partial = self._partial
        if partial is None:
            return Closing(Close.PROTOCOL_ERROR, "a continuation of nothing")
        if len(partial) + len(payload) > self._max_frame:
            return Closing(Close.TOO_BIG, "message too big")
        partial += payload
        if not fin:
            return NOTHING
        self._partial = None
        return self._message(bytes(partial), self._partial_text, now)

    @property
    def fragment_bytes(self) -> int:
        """Of the message that is not whole yet."""
        return len(self._partial) if self._partial is not None else 0

    def alive(self, now: float) -> None:
        """A ping or a pong came in."""
        self._heard(0, now)

    def skip(self, now: float) -> None:
        """A frame was not let in: the message that it belongs to never becomes whole."""
        self._heard(0, now)
        self._partial = None
        if self.signer is not None:
            self.signer.skip()

    def _data(self, payload: bytes, text: bool, fin: bool, now: float) -> Event:
        self._heard(len(payload), now)
        if self._partial is not None:
            return Closing(Close.PROTOCOL_ERROR, "a new message inside a fragmented one")
        if len(payload) > self._max_frame:
            return Closing(Close.TOO_BIG, "message too big")
        if not fin:
            self._partial, self._partial_text, self._partial_since = bytearray(payload), text, now
            return NOTHING
        return self._message(payload, text, now)

    def _message(self, payload: bytes, text: bool, now: float) -> Event:
        if self.signer is not None:
            try:
                payload = self.signer.open(payload, text, now)
            except BadSignature as error:
                return Closing(Close.BAD_SIGNATURE, error.reason)
            if len(payload) > self._limits.max_frame_bytes:
                return Closing(Close.TOO_BIG, "message too big")
        self.messages_in += 1
        self._last_message = now
        framing = Framing.JSON if text else Framing.PROTO
        if self.chosen is None:
            self.framing = framing
        elif framing is not self.chosen:
            return Closing(Close.UNSUPPORTED_DATA, "wrong kind of frame for the subprotocol")
        if text:
            return self._text(payload, now)
        message = proto_framing.parse(payload)
        if message is not None and message.WhichOneof("message_type") == "move":
            move, number = message.move, self.entity
            if number is not None and self._short_moves and move.HasField("position"):
                p = move.position
                return Moved(pack_move_in(number, move.sequence, p.x, p.y, p.z, move.rotation.yaw))
        limits = self._limits
        decoded = proto_framing.decode(
            message, limits.max_batch, limits.max_inflated_bytes, limits.max_frame_bytes, self._sizes
        )
        return self._judge(decoded, now)

    def _text(self, payload: bytes, now: float) -> Event:
        try:
            payload.decode()
        except UnicodeDecodeError:
            return Closing(Close.INVALID_TEXT, "a text frame that is not UTF-8")
        return self._judge(json_framing.decode(payload, self._limits.max_batch, self._sizes), now)

    def _judge(self, decoded: Decoded, now: float) -> Event:
        for item in decoded.items:
            if isinstance(item, Fault) and self.error(now):
                return Closing(Close.TOO_MANY_ERRORS, "too many errors")
        return Received(decoded)

    def error(self, now: float) -> bool:
        """Count an error of the client's. True: that was one too many."""
        if now - self._errors_since > ERROR_WINDOW_S:
            self._errors, self._errors_since = 0, now
        self._errors += 1
        return self._errors > self._limits.max_errors_per_minute

    # --- time --------------------------------------------------------------------------------------------------

    def sweep(self, now: float) -> Ping | Closing | None:
        """Heartbeat and idleness (row 1.3), called about once a second. A socket that is busy is not pinged."""
        limits = self._limits
        if self._ping_sent is not None and now - self._ping_sent > limits.pong_deadline_s:
            return Closing(Close.HEARTBEAT_TIMEOUT, "no pong")
        if self._partial is not None and now - self._partial_since > limits.ping_interval_s + limits.pong_deadline_s:
            # Half a frame is found by the heartbeat, as no pong can come inside it; fragments let pongs through.
            return Closing(Close.HEARTBEAT_TIMEOUT, "a message that never becomes whole")
        if now - self._last_message > limits.idle_timeout_s:
            return Closing(Close.IDLE, "idle")
        if self._ping_sent is None and now - self._last_received >= limits.ping_interval_s:
            self._ping_sent = now
            return Ping()
        return None

    def _heard(self, size: int, now: float) -> None:
        self.bytes_in += size
        self._last_received = now
        self._ping_sent = None
