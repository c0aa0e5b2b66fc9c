"""What happened as the clients saw it, one JSON object a line: written while it happens, judged afterwards (`checker.py`).

Every event has `k`, its kind, and `t`, seconds on one clock. Of a player (`bot`):

| k | more | means |
|---|---|---|
| invoked | op, bot, do, ... | a request is about to be sent; `op` is unique. `do` with what it has: state (stay, version, n), chat (channel, text), join (channel), attribute (name, n), status (status), leave (stay), enter (stay, zone; "" is anywhere) |
| acknowledged | op, ... | its result: state (version), chat (message_id) |
| failed | op, why | it was refused and has done nothing |
| unknown | op, why | no answer: it may have been done, or may yet be |
| state | bot, stay, version, n, zone | its own entity, as a snapshot or a conflict shows it; asked for after all that was acknowledged before; zone is "" of a conflict |
| attributes | bot, values | the same of its attributes |
| status | bot, value | the same of its status, as another one sees it |
| session | bot, zone, shown, channels | the same of where it is and what it hears; shown is the zone whose views it gets |
| ready | bot, session, stream, seq, resumed, recovered, zone | a socket is open; `zone` is where its character is, or null |
| notice | bot, seq, method, id, channel, text | a numbered notification as it came off the socket |
| view | bot, tick, zone, epoch | a view; zone and epoch with `reset` only: it entered, walked over a border, or its zone has another owner |
| sight | bot, wrong, near, across | its view beside the zone's own, and beside where the others truly are, in words where they differ for good; how many stand near, and how many of these in another zone |
| held | bot, zones, zone | the zones that have its character in the store, at the end; zone is the one whose views it gets |
| lost | bot, code, reason | its socket closed |
| ended | bot, why | the realm does not want it any more, and it does not try again |

A stay is from one entry into the world to the next leave, in however many zones; `n` grows with every attempt of a bot. Of the realm:

| k | more | means |
|---|---|---|
| output | zone, epoch, gateway, tick, viewers | a ZoneOutput on the bus |
| written | zone, newest, by | while an owner is replaced without its knowledge: the newest incarnation, and whose the last writes are, as `epoch.number` by kind |
| fenced | zone, who, ended | an owner that a newer one replaced, and whether it stopped |
| fault, back, recovered | number, fault, ... | what was done to it |
"""  # noqa: E501 - a table

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

Event = Mapping[str, Any]

BUFFER_BYTES = 256 * 1024


class History:
    """Appends events to a file. `clock` gives `t`."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.events = 0
        self._clock = clock
        self._file = path.open("wb", buffering=BUFFER_BYTES)
        self._ops = 0

    def add(self, kind: str, **more: Any) -> None:
        self._file.write(
            orjson.dumps({"k": kind, "t": round(self._clock(), 4), **more}, option=orjson.OPT_APPEND_NEWLINE)
        )
        self.events += 1

    def invoked(self, bot: str, do: str, **more: Any) -> int:
        """The number of a new operation."""
        self._ops += 1
        self.add("invoked", op=self._ops, bot=bot, do=do, **more)
        return self._ops

    def flush(self) -> int:
        """Let others read what there is. Returns how many bytes of the file are whole lines."""
        self._file.flush()
        return self._file.tell()

    def close(self) -> None:
        """Twice is fine."""
        self._file.close()


def read(path: Path, size: int | None = None) -> Iterator[Event]:
    """The events of a file, in order; of its first `size` bytes. Raises ValueError for a line that is none."""
    left = path.stat().st_size if size is None else size
    with path.open("rb") as lines:
        for line in lines:
            left -= len(line)
            if left < 0:
                return
            yield orjson.loads(line)
