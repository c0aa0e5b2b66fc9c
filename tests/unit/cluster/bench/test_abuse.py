"""The evaluation of the watch on abuse: its models are seeded, its table counts what it says, and the bars hold on one seed."""

from __future__ import annotations

import random

import pytest

from cluster.bench.abuse import Trial, run_abuse, run_seeds
from cluster.bench.abuse_models import ATTACKERS, BURST, PER_S, PLAYERS, STRANGERS, Bot, Flooder, Idle, Spammer
from cluster.bench.cli import MAX_FALSE, bench_abuse
from cluster.settings import Settings

SEED = 9


@pytest.fixture(scope="module")
def trial() -> Trial:
    return run_abuse(SEED)


def test_the_models_know_the_realms_limits() -> None:
    limits = Settings(realm="test").limits
    assert (limits.user.per_s, limits.user.burst, limits.strangers_per_hour) == (PER_S, BURST, STRANGERS)


def test_enough_is_played(trial: Trial) -> None:
    assert trial.player_minutes >= 1_000
    assert set(trial.attackers.values()) == {kind.kind for kind in ATTACKERS}


def test_the_bars(trial: Trial) -> None:
    assert len(trial.wrong) / trial.player_minutes * 1_000 <= MAX_FALSE
    for kind in ATTACKERS:
        there = [user for user, of in trial.attackers.items() if of == kind.kind]
        assert sum(user in trial.found for user in there) >= len(there) / 3, f"{kind.kind}: six of a kind are few"


def test_the_same_seed_is_the_same_play() -> None:
    first, second = run_abuse(3, 10), run_abuse(3, 10)
    assert (first.found, first.wrong, first.reports) == (second.found, second.wrong, second.reports)
    assert run_abuse(4, 10).found != first.found


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def trials(seed: int, _minutes: int) -> Trial:
        wrong = [{"kind": "idle", "reason": "x", "level": "slow"}] if seed == 2 else []
        found = {"a": (10.0 * seed, "replay")} if seed < 4 else {}
        return Trial(seed, 500, wrong, 1, {"a": "replay"}, found, set(found), set(), 100, 0.01)

    monkeypatch.setattr("cluster.bench.abuse.run_abuse", trials)
    table = run_seeds([1, 2, 3, 4])
    assert (table["player_minutes"], table["false_positives_per_1000_minutes"]) == (2_000, 0.5)
    row = table["attackers"]["replay"]
    assert (row["there"], row["found"], row["blocked"], row["median_s"], row["longest_s"]) == (4, 3, 3, 20.0, 30.0)
    assert table["attackers"]["flood"]["median_s"] is None
    assert table["watch_us_per_session_report"] == 100.0
    assert bench_abuse([4, 5, 1], 10) == 1, "two of three were not found"
    assert bench_abuse([1, 3], 10) == 0
    assert bench_abuse([2], 10) == 1, "two false positives in a thousand minutes"


def bot(kind: type[Bot], seed: int = 1) -> Bot:
    return kind("usr_a", "203.0.113.7", random.Random(seed))


@pytest.mark.parametrize("kind", [*(kind for kind, _ in PLAYERS), *ATTACKERS], ids=lambda kind: kind.__name__)
def test_every_model_reports_what_a_gateway_could(kind: type[Bot]) -> None:
    made = bot(kind)
    for second in range(120):
        made.step(1_000.0 + second)
        if second % 5 == 4:
            for session in made.reports(1_000.0 + second):
                counted = session.unknown + session.invalid + session.calls
                assert session.messages >= session.limited
                assert session.moves + counted >= 0
                assert session.same_text <= session.addressees <= session.chats + 1_000


def test_an_idle_player_sends_little() -> None:
    idle = bot(Idle)
    for second in range(600):
        idle.step(1_000.0 + second)
    assert idle.counts["messages"] < 60


def test_a_flooder_is_closed_and_comes_back() -> None:
    flooder = bot(Flooder)
    sessions = []
    for second in range(60):
        flooder.step(1_000.0 + second)
        sessions += flooder.reports(1_000.0 + second)
    assert any(session.close_code == 4504 for session in sessions)
    assert len({session.session_id for session in sessions}) > 1


def test_a_spammer_is_held_back_by_the_limit_for_strangers() -> None:
    spammer = bot(Spammer)
    for second in range(300):
        spammer.step(1_000.0 + second)
    assert spammer.counts["refused"] > 0
