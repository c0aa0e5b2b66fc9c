"""What a presence index costs, measured on a small one."""

from __future__ import annotations

import random

import pytest

from actors.presence import measuring
from actors.presence.index import PresenceIndex
from actors.presence.measuring import BATCH, _batches, _fill, measure


def test_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small one may fit into memory that other tests gave back: only what is made of the two sizes is looked at here."""
    assert measuring._resident() > 1_000_000
    sizes = iter([50_000_000, 53_000_000])
    monkeypatch.setattr(measuring, "_resident", lambda: next(sizes))
    measured = measure(3_000, 2)
    assert (measured["users"], measured["ties"], measured["bytes_per_user"]) == (3_000, 2, 1_000)
    assert all(measured[name] > 0 for name in ("apply_1k_ms", "bulk_get_ms", "flush_ms"))


def test_all_are_there_and_watch_their_friends() -> None:
    index = PresenceIndex()
    _fill(index, random.Random(1), BATCH + 10, 3, "usr")
    assert (len(index), len(index.sessions())) == (BATCH + 10, BATCH + 10)
    [(changes, known), _] = _batches(random.Random(1), BATCH + 10, 3, "usr")
    first = changes[0]
    assert known[first.user_id] == frozenset(first.watching)
    circle = index._circle(first.user_id)
    assert circle is not None
    assert circle.friends == frozenset(first.watching)
    assert index._watchers[first.watching[0]] >= {first.session_id}
