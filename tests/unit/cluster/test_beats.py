"""Beats: what is said, what is heard, and who has fallen silent."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from cluster import beats as module
from cluster.beating import Beating
from cluster.beats import LARGEST, LIVES, Beat, Beats
from cluster.errors import InvalidInput


def beat(name: str = "zone/zon_a", pid: int = 1, kind: str = "zone", at: float = 10.0) -> Beat:
    return Beat(kind, name, pid, "here", "", "1", 5.0, at, 2.0, 0.5, 1_000, 12.5, (1, 4), {"population": 3})


def test_there_and_back() -> None:
    assert Beat.load(beat().dump()) == beat()


def test_a_newer_version_may_say_more() -> None:
    said = orjson.loads(beat().dump()) | {"colour": "blue"}
    assert Beat.load(orjson.dumps(said)) == beat()


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"node_memory": 3}', b" " * (LARGEST + 1)])
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        Beat.load(data)


@pytest.mark.parametrize(
    "wrong", [{"name": ["a"]}, {"at": "soon"}, {"beat_s": "2"}, {"pid": {}}, {"values": []}, {"kind": None}]
)
def test_one_that_would_fail_whoever_looks_later_is_refused(wrong: dict[str, object]) -> None:
    beats = Beats(lambda: 0.0)
    with pytest.raises(InvalidInput):
        beats.heard(orjson.dumps(orjson.loads(beat().dump()) | wrong))
    assert beats.living() == []


def test_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    now = 0.0
    beats = Beats(lambda: now)
    for name in ("a", "b", "a"):
        beats.heard(beat(name).dump())
    with pytest.raises(InvalidInput):
        beats.heard(beat("c").dump())
    now = 100.0
    beats.heard(beat("c").dump())
    assert [found.name for found in beats.living()] == ["c"]


def test_the_newest_of_each_and_nobody_who_is_silent() -> None:
    now = 100.0
    beats = Beats(lambda: now)
    for heard in (beat(at=1.0), beat(at=2.0), beat("sessions/0", 2, "sessions")):
        beats.heard(heard.dump())
    assert [(b.name, b.at) for b in beats.living()] == [("sessions/0", 10.0), ("zone/zon_a", 2.0)]
    assert [b.name for b in beats.living("zone")] == ["zone/zon_a"]
    now += LIVES * 2.0 - 0.1
    beats.heard(beat(at=3.0).dump())
    now += 0.2
    assert [b.name for b in beats.living()] == ["zone/zon_a"]


def test_what_this_process_says() -> None:
    beating = Beating("zone", "zone/zon_a", "node", 2.0, lambda data: None)
    beating.add(lambda: {"population": 1, "epoch": 2})
    beating.add(lambda: {"population": 4})
    said = beating.beat()
    assert said.values == {"population": 4, "epoch": 2}
    assert said.cpu_s > 0
    assert said.rss > 1_000_000
    assert 0 < said.node_memory[0] < said.node_memory[1]
    assert Beat.load(said.dump()) == said


def test_rates_are_over_beats_that_are_far_enough_apart() -> None:
    beats = Beats(lambda: 0.0)

    def heard(at: float, sent: object) -> Beat:
        return beats.heard(replace(beat(at=at), values={"sent": sent}).dump())

    assert beats.rate(heard(10.0, 100), "sent") == 0.0  # there is no other yet
    assert beats.rate(heard(12.0, 140), "sent") == 20.0
    assert beats.rate(heard(12.1, 142), "sent") == pytest.approx(20.0)  # by the one at 10.0: the last one is too near
    assert beats.rate(heard(14.1, 42), "sent") == 0.0  # a total does not shrink
    assert beats.rate(heard(16.1, "many"), "sent") == 0.0
    assert beats.rate(heard(18.1, 1), "other") == 0.0
    assert beats.knows("zone/zon_a")
    assert not beats.knows("zone/zon_b")
