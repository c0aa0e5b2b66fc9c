"""What waits to be written to one client (rows 1.4 and 5.2). Sans-I/O: the caller writes what it is handed.

| kind | policy when the client reads slowly |
|---|---|
| answer | kept, in order; over `limit_bytes` the client is closed as a slow consumer |
| notice | the same; several that fall into one window go as one batch |
| view | newest wins: merged, never queued |

A client that has not read for `patience_s` is closed whatever waits.
"""

from __future__ import annotations

from collections import deque
from enum import IntEnum

from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.pending import PendingView
from serve_apps.gateway.shrinking import MIN_BYTES, shrunk, shrunk_one
from serve_apps.gateway.views import View

MAX_BATCH_BYTES = 64 * 1024
MAX_BATCH_COUNT = 50


class Priority(IntEnum):
    """How long a notice may wait for others, in milliseconds."""

    IMMEDIATE = 0
    NORMAL = 50
    LOW = 250


Frame = tuple[bytes, Framing]  # what to write, and as which kind of frame


class Outgoing:
    """`framing` may change while the client has not chosen one; what waits was encoded as it was then."""

    def __init__(self, framing: Framing, limit_bytes: int, patience_s: float) -> None:
        self.framing = framing
        self.blocked_since: float | None = None
        self.merged_views = 0
        self._limit = limit_bytes
        self._patience = patience_s
        self._waiting: deque[Frame] = deque()
        self._waiting_bytes = 0
        self._notices: list[bytes] = []
        self._notice_bytes = 0
        self._notices_due = float("inf")
        self._pending = PendingView()

    @property
    def queued_bytes(self) -> int:
        return self._waiting_bytes + self._notice_bytes

    def frame(self, data: bytes, now: float) -> list[Frame]:
        """An answer, or anything that keeps its place. Returns the frames to write now."""
        data = shrunk(data) if self.framing is Framing.PROTO else data
        ready = [*self.flush(now, force=True), (data, self.framing)]
        return self._pass(ready)

    def notice(self, method: str, params_json: bytes, priority: Priority, now: float) -> list[Frame]:
        """A notification. Returns the frames to write now."""
        framing = json_framing if self.framing is Framing.JSON else proto_framing
        return self.encoded(framing.encode_notification(method, params_json), priority, now)

    def encoded(self, encoded: bytes, priority: Priority, now: float) -> list[Frame]:
        """A notification that was encoded in the present framing. Returns the frames to write now."""
        if priority is Priority.IMMEDIATE:
            return self.frame(encoded, now)
        self._notices.append(encoded)
        self._notice_bytes += len(encoded)
        self._notices_due = min(self._notices_due, now + priority / 1000)
        full = len(self._notices) >= MAX_BATCH_COUNT or self._notice_bytes >= MAX_BATCH_BYTES
        return self._pass(self.flush(now, force=full))

    def flush(self, now: float, *, force: bool = False) -> list[Frame]:
        """Notices whose window is over, as one frame."""
        if not self._notices or not (force or now >= self._notices_due):
            return []
        notices, self._notices = self._notices, []
        self._notice_bytes, self._notices_due = 0, float("inf")
        if self.framing is Framing.JSON:
            return [(notices[0] if len(notices) == 1 else json_framing.join(notices), self.framing)]
        return [(shrunk(notices[0] if len(notices) == 1 else proto_framing.join(notices)), self.framing)]

    def speak(self, framing: Framing, now: float) -> list[Frame]:
        """Use another framing from now on. Returns the frames to write first."""
        if framing is self.framing:
            return []
        ready = self._pass(self.flush(now, force=True))
        self.framing = framing
        return ready

    @property
    def has_notices(self) -> bool:
        """Some wait for their window to end: `pulse` is needed."""
        return bool(self._notices)

    def pulse(self, now: float) -> list[Frame]:
        """Called often: frames whose time has come."""
        return self._pass(self.flush(now)) if now >= self._notices_due else []

    def view(self, view: View) -> bytes | None:
        """The frame to write now, or None: merged into what goes when the client reads again."""
        if self.blocked_since is None:
            return self.encode_view(view)
        self._pending.add(view)
        self.merged_views += 1
        return None

    def encode_view(self, view: View) -> bytes:
        if self.framing is Framing.PROTO:
            made = view.to_proto()
            # Steps do not compress: a crowd's views would pay for the attempt twenty times a second.
            return shrunk_one(made) if len(made) - len(view.moves) > MIN_BYTES else made
        return json_framing.encode_notification("world.view", view.to_json())

    def block(self, now: float) -> None:
        """The socket takes no more for now."""
        if self.blocked_since is None:
            self.blocked_since = now

    def unblock(self) -> list[Frame]:
        """The socket takes again. Returns what waited, in order, and the merged view last."""
        self.blocked_since = None
        ready = list(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        view = self._pending.take()
        if view is not None:
            ready.append((self.encode_view(view), self.framing))
        return ready

    @property
    def overfull(self) -> bool:
        """Over the bound: close it now, however long it has not read."""
        return self.blocked_since is not None and self.queued_bytes > self._limit

    def too_slow(self, now: float) -> bool:
        """Close it: over the bound, or silent for too long."""
        blocked = self.blocked_since
        return self.overfull or (blocked is not None and now - blocked > self._patience)

    def _pass(self, frames: list[Frame]) -> list[Frame]:
        if self.blocked_since is None:
            return frames
        self._waiting.extend(frames)
        self._waiting_bytes += sum(len(data) for data, _ in frames)
        return []
