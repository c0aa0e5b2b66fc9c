"""How well abuse is found (row 6.3): seeded players and attackers in virtual time, through the watch's own code. No realm.

The windows, patterns, scores and judgements are the real ones; what the gateway would have counted comes from models.
"""

from __future__ import annotations

import importlib
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cluster.bench.abuse_models import ATTACKERS, PLAYERS, Bot
from cluster.measures import Level, Measure
from cluster.settings import Settings
from realm_proto import internal_pb2

# What is measured is above this layer, and known to it by name only.
WATCH = "actors.watch.watch:Watch"
ANOMALY = "actors.watch.anomaly:Anomaly"
START = 1_800_000_000.0
PLAYERS_N, OF_EACH_KIND = 120, 6
MINUTES = 15
CALM_S, ATTACKS_S = 240.0, 360.0  # attackers begin between these two moments


@dataclass(frozen=True, slots=True)
class Trial:
    """One seed. `wrong`: measures against players, but for those only noted. `attackers`: user -> kind.

    `found`: attacker -> seconds until it was slowed or worse, and why; `noted`: who was written down by the score or otherwise.
    """

    seed: int
    player_minutes: int
    wrong: list[dict[str, str]]
    players_noted: int
    attackers: dict[str, str]
    found: dict[str, tuple[float, str]]
    blocked: set[str]
    noted: set[str]
    reports: int
    cpu_s: float


def run_abuse(seed: int, minutes: int = MINUTES) -> Trial:
    """One seed, in virtual time."""
    rng = random.Random(seed)  # noqa: S311 - a model
    settings = Settings()
    watch = _load(WATCH)(settings, _load(ANOMALY)(settings.abuse.anomaly_warmup))
    players = _players(rng)
    attackers = [_made(kind, n, rng) for kind in ATTACKERS for n in range(OF_EACH_KIND)]
    begins = {bot.user: rng.uniform(CALM_S, ATTACKS_S) for bot in attackers}
    found: dict[str, tuple[float, str]] = {}
    noted: dict[str, float] = {}
    blocked: set[str] = set()
    wrong: list[dict[str, str]] = []
    everybody = {bot.user: bot for bot in (*players, *attackers)}
    report_s, spent, told = round(settings.abuse.report_s), 0.0, 0
    for second in range(minutes * 60):
        at = float(second)
        now = START + at
        for bot in everybody.values():
            if begins.get(bot.user, 0.0) <= at:
                if bot.since == 0.0:
                    bot.since = now
                bot.step(now)
        if second % report_s:
            continue
        sessions = [session for bot in everybody.values() for session in bot.reports(now)]
        report = internal_pb2.AbuseReport(gateway_id="gtw_model", sessions=sessions)
        began = time.process_time()
        measures = watch.take(report, now)
        watch.sweep(now)
        spent += time.process_time() - began
        told += len(sessions)
        for measure in measures:
            for user in [b.user for b in everybody.values() if measure.subject in (b.user, b.address)]:
                _apply(measure, everybody[user], settings.abuse.slow_factor)
                if measure.level == Level.MONITOR:
                    noted.setdefault(user, at - begins.get(user, 0.0))
                    continue
                if user not in begins:
                    wrong.append(
                        {"kind": everybody[user].kind, "reason": measure.reason, "level": measure.level.name.lower()}
                    )
                if measure.level >= Level.BLOCK:
                    blocked.add(user)
                found.setdefault(user, (at - begins.get(user, 0.0), measure.reason))
    return Trial(
        seed,
        len(players) * minutes,
        wrong,
        len(noted.keys() - begins.keys()),
        {bot.user: bot.kind for bot in attackers},
        found,
        blocked,
        set(noted),
        told,
        spent,
    )


def run_seeds(seeds: Iterable[int], minutes: int = MINUTES) -> dict[str, Any]:
    """The table of several seeds. `slow` or harder counts as found; times are seconds from the attack's first moment."""
    trials = [run_abuse(seed, minutes) for seed in seeds]
    played, wrong = sum(t.player_minutes for t in trials), [case for t in trials for case in t.wrong]
    told = sum(t.reports for t in trials)
    return {
        "seeds": [t.seed for t in trials],
        "player_minutes": played,
        "false_positives": len(wrong),
        "false_positives_per_1000_minutes": round(len(wrong) / played * 1_000, 3),
        "wrongly": wrong,
        "players_only_noted": sum(t.players_noted for t in trials),
        "attackers": {kind.kind: _row(kind.kind, trials) for kind in ATTACKERS},
        "session_reports": told,
        "watch_us_per_session_report": round(sum(t.cpu_s for t in trials) / max(told, 1) * 1e6, 1),
    }


def _apply(measure: Measure, bot: Bot, slow_factor: float) -> None:
    if measure.level >= Level.BLOCK:
        bot.away_until = measure.until
    elif measure.level == Level.SLOW:
        bot.slowed, bot.slowed_until = slow_factor, measure.until


def _row(kind: str, trials: Sequence[Trial]) -> dict[str, Any]:
    there = [(t, user) for t in trials for user, of in t.attackers.items() if of == kind]
    times = sorted(t.found[user][0] for t, user in there if user in t.found)
    return {
        "there": len(there),
        "found": len(times),
        "blocked": sum(user in t.blocked for t, user in there),
        "median_s": round(statistics.median(times), 1) if times else None,
        "p90_s": round(times[int(0.9 * (len(times) - 1))], 1) if times else None,
        "longest_s": round(times[-1], 1) if times else None,
        "noted": sum(user in t.noted for t, user in there),
        "by": dict(Counter(t.found[user][1] for t, user in there if user in t.found).most_common()),
    }


def _players(rng: random.Random) -> list[Bot]:
    kinds = [kind for kind, share in PLAYERS for _ in range(round(share * PLAYERS_N))]
    return [_made(kind, n, rng) for n, kind in enumerate(kinds)]


def _made(kind: type[Bot], number: int, rng: random.Random) -> Bot:
    own = random.Random(rng.getrandbits(64))  # noqa: S311 - a model
    name = kind.__name__.lower()
    return kind(f"usr_{name}_{number}", f"203.0.113.{own.randint(1, 250)}", own)


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)
