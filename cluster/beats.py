"""What every process says of itself every `telemetry.beat_s`: one small JSON object on the bus. Consoles and commands listen.

Nobody is asked, so a thousand processes cost those who do not listen nothing, and who listens needs no list of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from cluster.errors import InvalidInput

LIVES = 3.5  # beats without one more: it has ended
LARGEST = 64 * 1024  # bytes
MOST = 20_000  # processes that are listened to
RATE_OVER_S = 0.5  # beats that follow sooner tell no rate


@dataclass(frozen=True, slots=True)
class Beat:
    """`kind` and `name` are those of `rayrealm status`; `node` is Ray's id, empty outside Ray.

    `at`: Unix seconds, `started_at` too: when the process loaded its code. `cpu_s`: since the start; `rss`: bytes; `node_cpu`:
    percent of all cores; `node_memory`: bytes used and in all. `values`: what its kind has to say, JSON; empty while it starts.
    """

    kind: str
    name: str
    pid: int
    host: str
    node: str
    version: str
    started_at: float
    at: float
    beat_s: float
    cpu_s: float
    rss: int
    node_cpu: float
    node_memory: tuple[int, int]
    values: dict[str, Any] = field(default_factory=dict)

    def dump(self) -> bytes:
        return orjson.dumps(asdict(self), option=orjson.OPT_SERIALIZE_NUMPY)

    @classmethod
    def load(cls, data: bytes) -> Beat:
        """Unknown members are ignored: processes of two versions may run beside each other. Raises InvalidInput."""
        try:
            if len(data) > LARGEST:
                raise ValueError("too large")
            said = orjson.loads(data)
            known = {name: said[name] for name in cls.__dataclass_fields__ if name in said}
            used, total = known["node_memory"]
            for name, kind in _KINDS.items():  # what is kept must not fail whoever looks at it later
                if not isinstance(known[name], kind):
                    raise ValueError(f"{name} is no {kind}")
            if not isinstance(known.get("values", {}), dict):
                raise ValueError("values are no object")
            return cls(**{**known, "node_memory": (int(used), int(total))})
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidInput([("beat", str(error))]) from error


_NUMBERS = ("started_at", "at", "beat_s", "cpu_s", "rss", "node_cpu", "pid")
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("kind", "name", "host", "node", "version"), str),
    **dict.fromkeys(_NUMBERS, (int, float)),
}
Values = Callable[[], Mapping[str, Any]]


class Beats:
    """The newest beat of each process that lives. `clock`: monotonic seconds of who listens."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._newest: dict[tuple[str, int], tuple[float, Beat]] = {}
        self._before: dict[tuple[str, int], Beat] = {}

    def heard(self, data: bytes) -> Beat:
        """Raises InvalidInput."""
        beat = Beat.load(data)
        key = beat.name, beat.pid
        if len(self._newest) >= MOST and key not in self._newest and len(self.living()) >= MOST:
            raise InvalidInput([("beat", f"more than {MOST} processes")])
        last = self._newest.get(key)
        if last is not None and beat.at - last[1].at >= RATE_OVER_S:
            self._before[key] = last[1]
        self._newest[key] = self._clock(), beat
        return beat

    def rate(self, beat: Beat, value: str) -> float:
        """How much a total of the beat's values grows in a second, by the beat before; 0 while that is not known."""
        before = self._before.get((beat.name, beat.pid))
        try:
            if before is None or beat.at <= before.at:
                return 0.0
            return max(0.0, float(beat.values[value]) - float(before.values[value])) / (beat.at - before.at)
        except (KeyError, TypeError, ValueError):
            return 0.0

    def knows(self, process: str) -> bool:
        """Whether a process of that name lives."""
        return any(beat.name == process for beat in self.living())

    def living(self, kind: str = "") -> list[Beat]:
        """Sorted by name; of one kind, or all. Those that are silent are forgotten."""
        now = self._clock()
        self._newest = {key: (at, beat) for key, (at, beat) in self._newest.items() if now - at < LIVES * beat.beat_s}
        self._before = {key: beat for key, beat in self._before.items() if key in self._newest}
        found = [beat for _, beat in self._newest.values() if not kind or beat.kind == kind]
        return sorted(found, key=lambda beat: (beat.kind, beat.name, beat.started_at))
