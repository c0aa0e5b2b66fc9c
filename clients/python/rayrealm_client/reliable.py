"""The client's end of the reliable lane (PROTOCOL.md, "Reliable notifications" and "Recovery"; row 2.5).

Which numbers have come, and when to say so. Plain rules: the time is an argument, nothing is sent from here.
"""

from __future__ import annotations

import logging

log = logging.getLogger("rayrealm_client")

ACK_AFTER_S = 0.8  # the protocol grants 1 s; the rest is for the way there
ACK_COUNT = 64


class Reliable:
    """`stream` names the numbering, `seq` is the newest number seen in it.

    `received`: numbered notifications that were new. `duplicates`: those that had come before, and were dropped. `gaps`: how often
    numbers were left out, which a server never does; `missing`: how many numbers that were.
    """

    def __init__(self) -> None:
        self.stream = ""
        self.seq = 0
        self.received = 0
        self.duplicates = 0
        self.gaps = 0
        self.missing = 0
        self._presentable = False
        self._acked = 0
        self._due: float | None = None

    @property
    def last(self) -> str | None:
        """What to resume after, `<stream>.<seq>`; None when there is nothing to go by."""
        return f"{self.stream}.{self.seq}" if self._presentable else None

    def forget(self) -> None:
        """What was seen is no longer presented: the session is another one, or the server would not have it."""
        self._presentable = False

    def reset(self) -> None:
        """Someone else's session comes next: nothing of this one can be missed in it."""
        self.stream, self.seq = "", 0
        self.forget()

    def begin(self, stream: str, seq: int, *, recovered: bool, resumed: bool, now: float) -> bool:
        """A socket is ready, and says where it goes on. False: notifications were missed, and will not come.

        A resumed session is acknowledged to at once: that tells the server that the client got through.
        """
        whole = not self.stream  # nothing was ever seen, so nothing can be missed
        if recovered and stream == self.stream:
            whole = True
            if seq > self.seq:
                self._hole(self.seq + 1, seq)
            seq = max(seq, self.seq)
        elif recovered and self.stream:
            log.error("the server recovered stream %r, which is not this client's", stream)
        self.stream, self.seq = stream, seq
        self._presentable = True
        self._acked = seq
        self._due = now if resumed else None
        return whole

    def take(self, seq: int, now: float) -> bool:
        """A numbered notification came. False: it is a duplicate, and to be dropped."""
        if seq <= self.seq:
            self.duplicates += 1
            if self._due is None:  # sent again because the acknowledgement was lost
                self._due = now + ACK_AFTER_S
            return False
        if seq > self.seq + 1:
            self._hole(self.seq + 1, seq - 1)
        self.seq = seq
        self.received += 1
        if self._due is None:
            self._due = now + ACK_AFTER_S
        return True

    def ack_in(self, now: float) -> float | None:
        """Seconds until an acknowledgement is due; None while there is nothing to acknowledge."""
        if self._due is None:
            return None
        if self.seq - self._acked >= ACK_COUNT:
            return 0.0
        return max(0.0, self._due - now)

    def ack(self) -> int:
        """The number to acknowledge now: all up to it have come."""
        self._acked, self._due = self.seq, None
        return self.seq

    def _hole(self, first: int, last: int) -> None:
        self.gaps += 1
        self.missing += last - first + 1
        log.error("the server left out reliable notifications %d to %d of stream %r", first, last, self.stream)
