"""Scores of what is unusual: learned from many, smoothed for each."""

from __future__ import annotations

import random

import pytest

from actors.watch.anomaly import CAPS, WINDOW, Anomaly, features, half_space_trees
from realm_proto import internal_pb2


class Constant:
    """A model that says what it is told to say."""

    def __init__(self) -> None:
        self.says = 0.0
        self.learned = 0

    def learn_one(self, x: dict[str, float]) -> None:
        self.learned += 1

    def score_one(self, x: dict[str, float]) -> float:
        return self.says


def walker(rng: random.Random, **more: float) -> internal_pb2.AbuseSession:
    messages = rng.randint(40, 110)
    said = {"messages": messages, "bytes": messages * 30, "moves": messages, "metres": rng.uniform(5.0, 30.0)}
    return internal_pb2.AbuseSession(session_id="s", span_s=5.0, **(said | more))


def test_features_are_scaled() -> None:
    empty = features(internal_pb2.AbuseSession(span_s=5.0))
    assert empty == dict.fromkeys(CAPS, 0.0)
    huge = features(
        internal_pb2.AbuseSession(
            span_s=0.001,
            messages=10**6,
            bytes=10**12,
            moves=10**6,
            calls=10**6,
            chats=10**6,
            unknown=10**6,
            corrections=10**6,
            metres=1e9,
            addressees=1_000,
        )
    )
    assert huge == dict.fromkeys(CAPS, 1.0)
    assert 0.0 < features(walker(random.Random(1)))["messages"] < 1.0


def test_nothing_is_said_before_enough_was_learned() -> None:
    model = Constant()
    anomaly = Anomaly(WINDOW + 10, lambda: model)
    model.says = 1.0
    x = dict.fromkeys(CAPS, 0.0)
    for _ in range(WINDOW + 9):
        anomaly.learn(x)
    assert [anomaly.score("u", x) for _ in range(5)] == [0.0] * 5
    anomaly.learn(x)
    assert [anomaly.score("u", x) for _ in range(4)] == [0.0, 0.0, 1.0, 1.0], "nor before the third report of a user"


def test_one_report_is_not_believed() -> None:
    model = Constant()
    anomaly = Anomaly(0, lambda: model)
    x = dict.fromkeys(CAPS, 0.0)
    for _ in range(WINDOW):
        anomaly.learn(x)
    model.says = 0.2
    for _ in range(10):
        anomaly.score("u", x)
    model.says = 1.0
    assert anomaly.score("u", x) < 0.5
    scores = [anomaly.score("u", x) for _ in range(10)]
    assert scores == sorted(scores)
    assert scores[-1] > 0.95
    assert anomaly.score("another", x) == 0.0


def test_the_user_heard_of_longest_ago_is_forgotten() -> None:
    anomaly = Anomaly(0, Constant, most=2)
    x = dict.fromkeys(CAPS, 0.0)
    for _ in range(WINDOW):
        anomaly.learn(x)
    for user in ("a", "b", "a", "c"):
        anomaly.score(user, x)
    assert len(anomaly) == 2


def test_the_model_is_made_when_it_is_needed() -> None:
    made: list[Constant] = []

    def make() -> Constant:
        made.append(Constant())
        return made[-1]

    anomaly = Anomaly(0, make)
    assert made == []
    for _ in range(3):
        anomaly.learn({})
    assert [model.learned for model in made] == [3]


@pytest.fixture(scope="module")
def learned() -> Anomaly:
    """From a thousand walkers, by the real library."""
    anomaly, rng = Anomaly(0, half_space_trees), random.Random(1)
    for _ in range(1_000):
        anomaly.learn(features(walker(rng)))
    return anomaly


def score(anomaly: Anomaly, name: str, **more: float) -> float:
    rng = random.Random(2)
    return [anomaly.score(name, features(walker(rng, **more))) for _ in range(6)][-1]


def test_the_real_trees_tell_a_walker_from_what_they_never_saw(learned: Anomaly) -> None:
    assert score(learned, "walker") < 0.6
    assert score(learned, "teleporter", corrections=60, metres=3_000.0) > 0.85
    assert score(learned, "sprayer", unknown=100, calls=100, moves=0) > 0.85


def test_the_same_seed_says_the_same(learned: Anomaly) -> None:
    again, rng = Anomaly(0, half_space_trees), random.Random(1)
    for _ in range(1_000):
        again.learn(features(walker(rng)))
    assert score(again, "x", corrections=9) == score(learned, "x", corrections=9)
