"""What is done to the realm, and when: drawn from a seed, so that a run that found something can be run again.

Pure. The same seed, seconds and kinds give the same schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from types import MappingProxyType
from typing import Any

LEAD_S = 2.0
"""Before the first fault: everyone walks and writes, and nothing is wrong yet."""


@dataclass(frozen=True, slots=True)
class Traits:
    """`lasts_s`: least and most seconds from the fault to its end, 0 for a kill; `quiet_s`: least time left for the recovery.

    `own`: it needs servers and settings that only a realm of our own has, or changes its world for good. `standby`: None if it can
    be done to any realm, else whether its zones must have standbys.
    """

    does: str
    quiet_s: float
    lasts_s: tuple[float, float] = (0.0, 0.0)
    own: bool = False
    standby: bool | None = None


KINDS: Mapping[str, Traits] = MappingProxyType(
    {
        "gateway": Traits("kill -9 of a gateway", 6.0),
        "sessions": Traits("kill -9 of a session actor", 5.0),
        "zone": Traits("kill -9 of a zone while a player crosses its border", 5.0, standby=False),
        "standby": Traits(
            "kill -9 of a zone while a player crosses its border; its standby takes over", 5.0, standby=True
        ),
        "presence": Traits("kill -9 of the presence actor", 4.0),
        "supervisor": Traits("kill -9 of the supervisor", 4.0),
        "freeze": Traits("SIGSTOP of a zone; a second incarnation takes over; SIGCONT", 7.0, (3.0, 5.0), own=True),
        "split": Traits("a zone is split by command", 7.0, own=True),
        "merge": Traits("two zones are merged by command", 6.0, own=True),
        "move": Traits("a zone goes to another process by command", 7.0),
        "drain": Traits("drain of a gateway, which is then killed", 6.0, (3.0, 5.0)),
        "nats_restart": Traits("kill -9 of NATS, started again", 6.0, (0.5, 2.0)),
        "nats_pause": Traits("SIGSTOP of NATS, SIGCONT", 5.0, (3.0, 10.0)),
        "nats_cut": Traits("all connections to NATS cut", 5.0, own=True),
        "redis_restart": Traits("kill -9 of Redis, started again", 6.0, (0.5, 2.0)),
        "redis_pause": Traits("SIGSTOP of Redis, SIGCONT", 5.0, (3.0, 10.0)),
        "redis_slow": Traits("every answer of Redis 500 ms late", 3.0, (3.0, 6.0), own=True),
        "redis_cut": Traits("all connections to Redis cut", 4.0, own=True),
    }
)

FROZEN_S = 20.0
"""With a standby: the frozen owner sleeps long enough to have been forgotten by everybody."""


@dataclass(frozen=True, slots=True)
class Fault:
    """`at`: seconds after the start; `lasts_s`: until it is taken back; `pick`: in [0, 1), chooses the victim of several."""

    number: int
    at: float
    kind: str
    lasts_s: float
    pick: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def kinds_for(own: bool, standby: bool = False) -> tuple[str, ...]:
    """All kinds that a realm can bear: one of our own, or any of this machine; with standbys, or without."""
    return tuple(
        kind
        for kind, traits in KINDS.items()
        if (own or not traits.own) and (traits.standby is None or traits.standby is standby)
    )


def traits_of(kind: str, standby: bool = False) -> Traits:
    """Raises KeyError."""
    if kind == "freeze" and standby:
        does = "SIGSTOP of a zone; its standby takes over; SIGCONT"
        return replace(KINDS[kind], does=does, lasts_s=(FROZEN_S, FROZEN_S))
    return KINDS[kind]


def plan(seed: int, seconds: float, kinds: Sequence[str] = tuple(KINDS), standby: bool = False) -> list[Fault]:
    """The faults of a run, in rounds of each kind once in a random order; every one has its quiet time before the end.

    Where a round does not fit with the durations that were drawn, they are shortened towards their least. With all kinds of a realm
    and 120 s or more, 130 s with standbys, each kind comes at least once. Raises ValueError for an unknown kind.
    """
    unknown = sorted(set(kinds) - KINDS.keys())
    if unknown or not kinds:
        raise ValueError(f"no such faults: {', '.join(unknown)}" if unknown else "no faults at all")
    table = {kind: traits_of(kind, standby) for kind in kinds}
    rng = Random(f"{seed}:{seconds:g}:{','.join(sorted(kinds))}")  # noqa: S311 - replayable on purpose
    faults: list[Fault] = []
    at = LEAD_S
    while True:
        order = sorted(set(kinds))
        rng.shuffle(order)
        draws = [(kind, rng.random(), rng.random(), rng.random()) for kind in order]
        stretch = _stretch(table, draws, seconds - at)
        for kind, length, pause, pick in draws:
            traits = table[kind]
            low, high = traits.lasts_s
            lasts = low + stretch * length * (high - low)
            end = at + lasts + traits.quiet_s
            if end > seconds:
                return faults
            faults.append(Fault(len(faults) + 1, round(at, 3), kind, round(lasts, 3), round(pick, 6)))
            at = end + stretch * pause


def _stretch(table: Mapping[str, Traits], draws: Sequence[tuple[str, float, float, float]], left_s: float) -> float:
    """How much of what was drawn beyond the least a whole round can keep: 1 all, 0 nothing."""
    least = sum(table[kind].lasts_s[0] + table[kind].quiet_s for kind, *_ in draws)
    more = sum(length * (table[kind].lasts_s[1] - table[kind].lasts_s[0]) + pause for kind, length, pause, _ in draws)
    return max(0.0, min(1.0, (left_s - least) / more)) if more else 1.0
