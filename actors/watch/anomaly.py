"""How unusual is what a session does (row 6.3): half-space trees over message rates and movement, learned online.

The method: Tan, Ting and Liu, "Fast anomaly detection for streaming data", IJCAI 2011, as the library river implements it. What is
unusual is no offence: the score alone does no more than point at somebody (watch.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from realm_proto import internal_pb2

SEED = 6_3
TREES, HEIGHT, WINDOW = 10, 8, 500
SMOOTHING = 0.3  # the share of the newest report in a user's score
LEARNED_AT_ONCE = 500  # sessions of one report
LEAST_REPORTS = 3
MOST_USERS = 100_000
# Per second, of each feature, what counts as 1.0; above it nothing is distinguished any more.
CAPS = {
    "messages": 200.0,
    "size": 8_192.0,  # bytes of a message
    "moves": 100.0,
    "calls": 50.0,
    "chats": 10.0,
    "errors": 20.0,
    "corrections": 20.0,
    "speed": 200.0,  # m/s
    "addressees": 64.0,  # not per second
}
Features = dict[str, float]


def features(session: internal_pb2.AbuseSession) -> Features:
    """Each from 0.0 to 1.0, on a logarithmic scale: twice as much means the same everywhere on it."""
    span_s = max(session.span_s, 1.0)
    errors = session.malformed + session.unknown + session.invalid + session.refused + session.limited + session.pending
    raw = {
        "messages": session.messages / span_s,
        "size": session.bytes / max(session.messages, 1),
        "moves": session.moves / span_s,
        "calls": session.calls / span_s,
        "chats": session.chats / span_s,
        "errors": errors / span_s,
        "corrections": session.corrections / span_s,
        "speed": session.metres / span_s,
        "addressees": float(session.addressees),
    }
    return {name: min(1.0, math.log1p(value * 9.0 / CAPS[name]) / math.log(10.0)) for name, value in raw.items()}


class Model(Protocol):
    """What is asked of river's HalfSpaceTrees."""

    def learn_one(self, x: Features) -> None: ...

    def score_one(self, x: Features) -> float: ...


def half_space_trees() -> Model:
    """river is imported here and not above: it takes 1.3 s and 105 MB (with scipy), which only the watch's process is to pay."""
    from river.anomaly import HalfSpaceTrees

    limits: dict[Hashable, tuple[float, float]] = dict.fromkeys(CAPS, (0.0, 1.0))
    return HalfSpaceTrees(n_trees=TREES, height=HEIGHT, window_size=WINDOW, limits=limits, seed=SEED)


@dataclass(slots=True)
class _User:
    score: float
    reports: int


class Anomaly:
    """`learned`: reports so far. Before `warmup` of them every score is 0.0."""

    def __init__(self, warmup: int, make: Callable[[], Model] = half_space_trees, most: int = MOST_USERS) -> None:
        self.learned = 0
        self._make = make
        self._made: Model | None = None
        self._warmup = max(warmup, WINDOW)
        self._most = most
        self._users: dict[str, _User] = {}

    @property
    def _model(self) -> Model:
        """Made when the first report comes: nobody has to wait for it as the realm starts."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def __len__(self) -> int:
        return len(self._users)

    def score(self, user_id: str, x: Features) -> float:
        """From 0.0 (as many others) to 1.0, smoothed over the reports of all the user's sessions; 0.0 before the third."""
        if self.learned < self._warmup:
            return 0.0
        raw = float(self._model.score_one(x))
        known = self._users.pop(user_id, None)
        if known is None:
            known = _User(raw, 0)
            if len(self._users) >= self._most:
                del self._users[next(iter(self._users))]
        known.score += SMOOTHING * (raw - known.score)
        known.reports += 1
        self._users[user_id] = known
        return known.score if known.reports >= LEAST_REPORTS else 0.0

    def learn(self, x: Features) -> None:
        """Of a session that nobody complains of."""
        self._model.learn_one(x)
        self.learned += 1
