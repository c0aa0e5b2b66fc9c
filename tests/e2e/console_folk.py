"""The mock console's data: sessions, bans, measures and processes, the same on every run."""

from __future__ import annotations

from tests.e2e.console_parts import Params

ZONES = 24
GATEWAYS = 8
HOSTILE = '<img src=x onerror="window.hit=1">'  # what a player may call themselves
FIRST = (
    "Marlow",
    "Briony",
    "Corvin",
    "Dagny",
    "Elowen",
    "Fenn",
    "Garrick",
    "Hesper",
    "Isolde",
    "Jorah",
    "Kestrel",
    "Linnet",
)
STATUSES = ("online", "online", "online", "away", "busy")
SORTS = ("username", "character", "zone", "gateway", "state", "status", "connected_at", "last_activity_at")


def session(n: int, now: float) -> Params:
    name = FIRST[n % len(FIRST)]
    attached = n % 17 != 5
    return {
        "session": f"ses_{n * 2654435761 % 2**32:08x}{n:08x}",
        "user": f"usr_{n:06d}",
        "username": HOSTILE if n == 4 else f"{name.lower()}{n}",
        "character": f"{name} {n}",
        "character_id": f"chr_{n:06d}",
        "zone": f"zon_{n % ZONES:04d}" if n % 9 else "",
        "gateway": f"gwy_{n % GATEWAYS}" if attached else "",
        "state": "in_world" if n % 9 else "authenticated",
        "status": STATUSES[n % len(STATUSES)],
        "role": "moderator" if n % 997 == 3 else "player",
        "connected_at": now - 30.0 * (n % 2_000) - 5,
        "last_activity_at": now - (n % 300),
        "actor": f"sessions:{n % 4}",
        "idle": n % 11 == 0,
        "address": f"203.0.113.{n % 250}",
    }


def present(row: Params) -> Params:
    text = "tea by the lighthouse, back before the ebb" if row["status"] == "away" else ""
    names = ("user", "username", "character", "zone", "status")
    since = {"since": row["connected_at"], "session": row["session"]}
    return {name: row[name] for name in names} | since | {"status_text": text}


def bans(now: float) -> list[Params]:
    ban = {"kind": "user", "by": "operator:olga", "at": now - 7_200}
    return [
        ban | {"subject": "usr_000017", "name": "fenn17", "reason": "sells gold", "until_at": now + 86_400},
        ban | {"subject": "usr_000021", "name": "jorah21", "reason": HOSTILE, "until_at": None},
        ban | {"kind": "network", "subject": "203.0.113.0/24", "name": "", "reason": "floods", "until_at": now + 900},
        ban
        | {
            "kind": "network",
            "subject": "2001:db8:5::/64",
            "name": "",
            "reason": "watch: opened",
            "until_at": now + 60,
        },
    ]


def measures(now: float) -> list[Params]:
    about = {"kind": "user", "level": "slow", "at": now - 95, "until": now + 505}
    return [
        about | {"subject": "usr_000033", "reason": "chat_flood", "value": 96.0, "threshold": 40.0},
        about
        | {"subject": "usr_000040", "reason": "refused_moves", "level": "block", "value": 41.0, "threshold": 20.0},
        about | {"kind": "address", "subject": "198.51.100.7", "reason": "guesses", "value": 33.5, "threshold": 30.0},
    ]


def processes(now: float) -> list[Params]:
    kinds = [("zone", 4), ("gateway", 2), ("sessions", 2), ("presence", 1), ("watch", 1), ("supervisor", 1), ("web", 1)]
    return [
        {
            "kind": kind,
            "name": f"{kind}:{n}" if kind != "zone" else f"zone:zon_{n:04d}:0",
            "pid": 4_000 + 100 * index + n,
            "host": f"host{n % 3}",
            "node": f"node{n % 3}",
            "version": "0.4.1",
            "started_at": now - 3_600 * (index + 1) - n,
            "at": now,
            "beat_s": 2.0,
            "cpu_s": 812.5 + n,
            "rss": 180_000_000 + n * 7_000_000,
        }
        for index, (kind, count) in enumerate(kinds)
        for n in range(count)
    ]
