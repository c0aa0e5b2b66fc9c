"""What a presence index costs (row 3.2): memory for each user, and the time of its calls. In this process, no realm.

`python -m actors.presence.measuring USERS TIES` prints a JSON object: each user watches TIES others, who are its friends.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from actors.presence.changes import SessionPresence
from actors.presence.index import PresenceIndex
from actors.presence.privacy import Circle, circle_of
from cluster.ports.social import Profile, Ties

BATCH = 1_000
BULK = 500
TIMES = 200
FLUSH_CHANGES = 500
SEED = 1


def measure(users: int, ties: int) -> dict[str, Any]:
    """`bytes_per_user`: growth of this process's resident memory, from before the index to all in it.

    Milliseconds: `apply_1k_ms` of 1,000 sessions that come, `bulk_get_ms` of looking at BULK users, `flush_ms` of settling
    FLUSH_CHANGES changes.
    """
    rng = Random(SEED)  # noqa: S311 - who watches whom
    index = PresenceIndex(1)
    _fill(index, Random(SEED), min(users, BATCH), ties, "warm")  # noqa: S311 - what is made once is not counted
    index = PresenceIndex(1)
    gc.collect()
    before = _resident()
    took = _fill(index, rng, users, ties, "usr")
    gc.collect()
    grown = _resident() - before
    wanted = [[_user("usr", rng.randrange(users)) for _ in range(BULK)] for _ in range(TIMES)]
    bulk = [_timed(index, _user("usr", 0), ids) for ids in wanted]
    flushes = [_flush(index, rng, users) for _ in range(TIMES // 10)]
    return {
        "users": users,
        "ties": ties,
        "bytes_per_user": round(grown / users),
        "apply_1k_ms": round(1_000.0 * took / users * 1_000.0, 2),
        "bulk_get_ms": _middle_ms(bulk),
        "flush_ms": _middle_ms(flushes),
    }


def _user(prefix: str, number: int) -> str:
    return f"{prefix}_{number:024x}"


def _fill(index: PresenceIndex, rng: Random, users: int, ties: int, prefix: str) -> float:
    """Seconds that the index took. Batches come as from another process: no object is shared with another batch."""
    took = 0.0
    for changes, known in _batches(rng, users, ties, prefix):
        began = time.perf_counter()
        circles = {user_id: circle_of(Ties(friends), Profile()) for user_id, friends in known.items()}
        index.apply(changes, circles)
        index.take_news()
        took += time.perf_counter() - began
    return took


def _batches(
    rng: Random, users: int, ties: int, prefix: str
) -> Iterator[tuple[list[SessionPresence], dict[str, frozenset[str]]]]:
    for start in range(0, users, BATCH):
        changes, known = [], {}
        for number in range(start, min(start + BATCH, users)):
            others = tuple({_user(prefix, rng.randrange(users)) for _ in range(ties)} - {_user(prefix, number)})
            known[_user(prefix, number)] = frozenset(others)
            changes.append(
                SessionPresence(
                    f"ses_{number:024x}",
                    _user(prefix, number),
                    f"sessions/{number % 16}",
                    "online",
                    f"zon_{number % 32}",
                    f"chr_{number:024x}",
                    others,
                    name=f"Hero {number}",
                    revision=10**9 + number,
                )
            )
        yield pickle.loads(pickle.dumps((changes, known)))  # noqa: S301 - what was dumped right here


def _timed(index: PresenceIndex, viewer_id: str, user_ids: list[str]) -> float:
    began = time.perf_counter()
    index.see(viewer_id, user_ids)
    return time.perf_counter() - began


def _flush(index: PresenceIndex, rng: Random, users: int) -> float:
    circles: dict[str, Circle] = {}
    for number in rng.sample(range(users), min(users, FLUSH_CHANGES)):
        [known] = index.over([f"ses_{number:024x}"])
        status = "busy" if known.status == "online" else "online"
        index.apply([replace(known, present=True, status=status)], circles)
    began = time.perf_counter()
    index.take_news()
    return time.perf_counter() - began


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def _middle_ms(seconds: list[float]) -> float:
    return round(1_000.0 * sorted(seconds)[len(seconds) // 2], 3)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))) + "\n")
