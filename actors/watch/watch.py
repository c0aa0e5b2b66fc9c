"""From gateways' reports to measures (row 6.3): windows, patterns and scores of users, sessions and addresses. Plain, no I/O.

Users are judged, not sessions: who reconnects begins no new life. Addresses are judged by what comes before anybody is known, and
by how many of their users were blocked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import Any

from actors.watch.anomaly import LEARNED_AT_ONCE, Anomaly, features
from actors.watch.judging import ANOMALY, CROWD, CROWD_SHARE, Judge
from actors.watch.patterns import (
    CALM_CLOSES,
    GAUGES,
    GUESSES,
    HALF,
    KEEP_S,
    RELEASE,
    SLOT_S,
    Hit,
    Pattern,
    adjusted,
    hits,
    patterns,
    unusual,
)
from actors.watch.windows import Windows
from cluster.measures import Level, Measure, SubjectKind
from cluster.security.addresses import within
from cluster.settings import Settings
from realm_proto import internal_pb2

MOST_SUBJECTS = 100_000
MOST_NOTED = 20  # of one report
MOST_USERS = 64  # of one address; one with more is a network's gate, which is never blocked for its users
USERS_S = 600.0  # somebody not heard of for so long is no user of the address any more
COUNTS = (
    "messages", "bytes", "moves", "calls", "chats", "malformed", "unknown", "invalid", "refused", "limited", "pending",
    "replays", "bad_signatures", "corrections", "addressees", "same_text",
)  # fmt: skip
CAME = ("opened",)
OF_ADDRESS = frozenset({"messages", "bytes", "malformed", "unknown", "invalid", "refused", "limited", "bad_signatures"})


class Watch:
    """`now` is in Unix seconds. `scores` are the session scores since they were taken last, for a histogram."""

    def __init__(self, settings: Settings, anomaly: Anomaly) -> None:
        abuse = settings.abuse
        known = adjusted(patterns(settings.limits), abuse.patterns)
        self.judge = Judge(abuse)
        self.scores: list[float] = []
        self._of_users = [p for p in known if p.kind == "user"]
        self._of_addresses = [p for p in known if p.kind == "address"]
        self._odd = Pattern(ANOMALY.name, "user", (), abuse.anomaly_score, 0.0, Level.MONITOR)
        self._anomaly = anomaly
        self._users = Windows(KEEP_S, SLOT_S, MOST_SUBJECTS, GAUGES)
        self._addresses = Windows(KEEP_S, SLOT_S, MOST_SUBJECTS)
        self._people: dict[str, dict[str, float]] = {}  # address -> its users, and when each was heard of last
        exempt = settings.firewall.exempt
        self._exempt = lru_cache(maxsize=10_000)(lambda address: within(address.partition("/")[0], exempt))

    def take(self, report: internal_pb2.AbuseReport, now: float) -> list[Measure]:
        """What is to be done after a gateway's report."""
        seen: dict[str, tuple[str, str, float]] = {}  # user -> role, address, highest score of its sessions
        learned = 0
        for session in report.sessions:
            x = features(session)
            score = self._anomaly.score(session.user_id, x)
            if score:
                self.scores.append(score)
            if learned < LEARNED_AT_ONCE and not self.judge.level("user", session.user_id, now):
                self._anomaly.learn(x)
                learned += 1
            counts = {name: float(value) for name in COUNTS if (value := getattr(session, name))}
            if session.close_code and session.close_code not in CALM_CLOSES:
                counts["closed"] = 1.0
            self._users.add(session.user_id, counts, now)
            self._at(session.address, counts, now, session.user_id)
            before = seen.get(session.user_id)
            seen[session.user_id] = session.role, session.address, max(score, before[2] if before else 0.0)
        for came in report.addresses:
            counts = {"opened": float(came.opened)} if came.opened else {}
            self._at(came.address, {**counts, **{reason: float(n) for reason, n in came.refusals.items()}}, now)
        measures = [measure for user, about in seen.items() for measure in self._judge_user(user, *about, now)]
        for came in report.addresses:
            if came.address:
                found = hits(self._of_addresses, self._addresses, came.address, now)
                measures += self._judge_address(came.address, self._gently(found, came, now), now)
        return self._few(measures)

    def _few(self, measures: list[Measure]) -> list[Measure]:
        """Without most of those that are only to be written down, if there are many: the audit log is for people."""
        noted = [m for m in measures if m.level == Level.MONITOR][:MOST_NOTED]
        return [m for m in measures if m.level > Level.MONITOR] + noted

    def _judge_user(self, user: str, role: str, address: str, score: float, now: float) -> list[Measure]:
        odd = score >= self._odd.threshold
        found = hits(self._of_users, self._users, user, now, HALF if odd else RELEASE)
        if odd:
            found += [Hit(self._odd, score), *(unusual(hit) for hit in found if hit.strength < 1.0)]
        measures = self.judge.judge("user", user, role, found, now)
        if any(measure.level >= Level.SLOW for measure in measures):
            self._users.forget(user)  # what comes next is counted anew
        if any(measure.level >= Level.BLOCK for measure in measures):
            measures += self._judge_crowd(address, now)
        return measures

    def _judge_crowd(self, address: str, now: float) -> list[Measure]:
        people = self._people.get(address, {})
        blocked = self.judge.blocked_lately(people, now)
        if len(people) >= MOST_USERS or blocked < CROWD or blocked < CROWD_SHARE * len(people):
            return []
        crowd = Pattern("blocked_users", "address", (), CROWD, 0.0, Level.BLOCK)
        return self._judge_address(address, [Hit(crowd, float(blocked))], now)

    def _gently(self, found: list[Hit], came: internal_pb2.AbuseAddress, now: float) -> list[Hit]:
        """Where users are, or lately were, strangers' failures are only written down: they would be shut out with them."""
        if not (came.sockets or came.address in self._people or self._addresses.total(came.address, CAME, KEEP_S, now)):
            return found
        return [Hit(replace(hit.pattern, action=min(hit.pattern.action, Level.MONITOR)), hit.value) for hit in found]

    def _judge_address(self, address: str, found: list[Hit], now: float) -> list[Measure]:
        if not found or self._exempt(address):
            return []
        return self.judge.judge("address", address, "", found, now)

    def _at(self, address: str, counts: dict[str, float], now: float, user: str = "") -> None:
        """`user`: only what says something about an address counts for it."""
        kept = {name: n for name, n in counts.items() if name in OF_ADDRESS} if user else counts
        if kept:
            self._addresses.add(address, kept, now)
        if user:
            people = self._people.pop(address, None) or {}
            if len(self._people) >= MOST_SUBJECTS:
                del self._people[next(iter(self._people))]
            self._people[address] = people
            if user in people or len(people) < MOST_USERS:
                people[user] = now

    # --- for operators -----------------------------------------------------------------------------------------

    def about(self, kind: SubjectKind, subject: str, now: float) -> dict[str, Any]:
        """What is known: counts of the last minute that are not 0, and the level that holds."""
        windows = self._users if kind == "user" else self._addresses
        names: Iterable[str] = (*COUNTS, "closed") if kind == "user" else (*sorted(OF_ADDRESS), "opened", *GUESSES)
        counts = {name: n for name in names if (n := windows.total(subject, (name,), KEEP_S, now))}
        return {"level": self.judge.level(kind, subject, now).name.lower(), "last_minute": counts}

    def lift(self, kind: SubjectKind, subject: str) -> bool:
        """Forget what it did. Says whether anything was held against it."""
        (self._users if kind == "user" else self._addresses).forget(subject)
        return self.judge.lift(kind, subject)

    def sweep(self, now: float) -> None:
        """Now and then: forget what does not matter any more."""
        self._users.sweep(now)
        self._addresses.sweep(now)
        self.judge.sweep(now)
        for address, people in list(self._people.items()):
            left = {user: at for user, at in people.items() if now - at < USERS_S}
            if left:
                self._people[address] = left
            else:
                del self._people[address]
