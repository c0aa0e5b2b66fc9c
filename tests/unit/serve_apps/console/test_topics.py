"""What the live feed tells of a topic (serve_apps/console/topics.py)."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest

from serve_apps.console import topics as module
from serve_apps.console.history import History
from serve_apps.console.topics import Diffed, Samples


async def nothing() -> dict[str, Any]:
    raise AssertionError("not asked")


def zones(**population: int) -> dict[str, Any]:
    return {"version": 1, "zones": [{"zone": zone, "population": count} for zone, count in population.items()]}


def test_nothing_is_told_before_anything_is_known() -> None:
    assert Diffed(nothing, "zones", "zone").news(None) is None


def test_first_the_whole_then_what_changed() -> None:
    topic = Diffed(nothing, "zones", "zone")
    topic.learn(zones(a=1, b=2))
    news = topic.news(None)
    assert news is not None
    known, data = news
    assert data == zones(a=1, b=2)
    assert topic.news(known) is None
    topic.learn(zones(a=1, b=2))
    assert topic.news(known) is None, "nothing has changed"
    topic.learn({**zones(a=1, b=3, c=4), "plan": "split"})
    assert topic.news(known) == (
        known + 1,
        {"plan": "split", "changed": [{"zone": "b", "population": 3}, {"zone": "c", "population": 4}], "gone": []},
    )
    topic.learn(zones(c=4))  # `plan` is no more: only the whole can say so
    assert topic.news(known) == (known + 2, zones(c=4))


def test_things_that_are_a_mapping() -> None:
    topic = Diffed(nothing, "zones")
    topic.learn({"cells": 16, "zones": {"a": [[1, 2]], "b": []}})
    known, _ = topic.news(None) or (0, None)
    topic.learn({"cells": 16, "zones": {"a": [[1, 3]]}})
    assert topic.news(known) == (known + 1, {"changed": {"a": [[1, 3]]}, "gone": ["b"]})


def test_no_things_at_all() -> None:
    topic = Diffed(nothing)
    topic.learn({"players": 1, "sockets": 2})
    known, data = topic.news(None) or (0, None)
    assert data == {"players": 1, "sockets": 2}
    topic.learn({"players": 3, "sockets": 2})
    assert topic.news(known) == (known + 1, {"changed": {"players": 3}, "gone": []})


def test_an_empty_topic_is_told_once() -> None:
    topic = Diffed(nothing, "jobs", "id")
    topic.learn({"total": 0, "jobs": []})
    known, data = topic.news(None) or (0, None)
    assert data == {"total": 0, "jobs": []}
    topic.learn({"total": 0, "jobs": []})
    assert topic.news(known) is None


def test_what_has_gone_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GONE", 3)
    topic = Diffed(nothing, "zones", "zone")
    topic.learn(zones(**{f"z{n}": n for n in range(10)}))
    known, _ = topic.news(None) or (0, None)
    topic.learn(zones(**{f"z{n}": n for n in range(2, 10)}))
    assert (topic.news(known) or (0, {}))[1] == {"changed": [], "gone": ["z0", "z1"]} or set(
        (topic.news(known) or (0, {}))[1]["gone"]
    ) == {"z0", "z1"}
    topic.learn(zones(z9=9))
    assert (topic.news(known) or (0, {}))[1] == zones(z9=9), "who missed more than is remembered gets the whole"


@pytest.mark.parametrize("seed", range(5))
def test_however_slowly_one_reads_one_knows_the_truth(seed: int) -> None:
    """Readers that read at different times, merging as the page does (clients/web/console/app/merge.js)."""
    rng, topic = random.Random(seed), Diffed(nothing, "zones", "zone")
    readers: list[tuple[int | None, dict[str, Any]]] = [(None, {})] * 4
    truth: dict[str, int] = {}
    for _ in range(300):
        name = f"z{rng.randrange(12)}"
        if rng.random() < 0.4:
            truth.pop(name, None)
        else:
            truth[name] = rng.randrange(5)
        topic.learn(copy.deepcopy(zones(**truth)))
        for number, (known, held) in enumerate(readers):
            if rng.random() < 1.0 / (number + 1) ** 2 and (news := topic.news(known)) is not None:
                change, data = news
                if "changed" in data:
                    held = held | {each["zone"]: each["population"] for each in data["changed"]}
                    held = {zone: count for zone, count in held.items() if zone not in data["gone"]}
                else:
                    held = {each["zone"]: each["population"] for each in data["zones"]}
                readers[number] = change, held
                assert held == truth


async def test_samples_of_the_realm_and_its_nodes_alone() -> None:
    history = History(5.0, 60.0, 3.0)
    topic = Samples(history)
    await topic.refresh()
    known, data = topic.news(None) or (-1, None)
    assert data == {"full": True, "since": 3.0, "series": {}}
    history.take(5.0, {"players": 1.0, "cpu:n1": 2.0, "tick_ms_p95": 3.0, "tick_ms_p95:zon_a": 4.0})
    known, data = topic.news(known) or (-1, None)
    assert data == {"series": {"players": [[5.0, 1.0]], "cpu:n1": [[5.0, 2.0]], "tick_ms_p95": [[5.0, 3.0]]}}
    assert topic.news(known) is None
