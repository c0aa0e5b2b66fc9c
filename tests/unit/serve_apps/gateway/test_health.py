"""Which parts of the realm answer."""

from __future__ import annotations

from serve_apps.gateway.health import FORGET_S, SLOW_PROBES, SLOW_S, Health


class Probing:
    """Asks a part once a second."""

    def __init__(self) -> None:
        self.health = Health(3.0)
        self.now = 100.0
        self.number = 0

    def ask(self, part: str, answer_after_s: float | None) -> None:
        """`answer_after_s` None: it never answers."""
        self.number += 1
        self.health.asked(part, self.number, self.now)
        if answer_after_s is not None:
            self.health.answered(part, self.number, self.now + answer_after_s)
        self.now += 1.0

    def degraded(self) -> tuple[str, ...]:
        return self.health.degraded(self.now)


def test_what_answers_is_well() -> None:
    probing = Probing()
    for _ in range(10):
        probing.ask("redis", 0.001)
        assert probing.degraded() == ()
    assert probing.health.round_trip_s("redis") < 0.002


def test_silence_for_too_long_and_one_answer_heals_it() -> None:
    probing = Probing()
    probing.ask("redis", 0.0)
    for _ in range(2):
        probing.ask("redis", None)
        assert probing.degraded() == ()
    probing.ask("redis", None)
    assert probing.degraded() == ("redis",)
    probing.ask("redis", 0.0)
    assert probing.degraded() == ()


def test_a_part_that_never_answered_at_all() -> None:
    probing = Probing()
    for _ in range(4):
        probing.ask("nats", None)
    assert probing.degraded() == ("nats",)


def test_always_slow_is_not_well_and_once_slow_is() -> None:
    probing = Probing()
    for _ in range(SLOW_PROBES - 1):
        probing.ask("redis", SLOW_S + 0.1)
        assert probing.degraded() == ()
    probing.ask("redis", SLOW_S + 0.1)
    assert probing.degraded() == ("redis",)
    probing.ask("redis", 0.01)
    assert probing.degraded() == ()


def test_answers_out_of_the_blue() -> None:
    health = Health(3.0)
    health.answered("redis", 7, 100.0)
    assert health.degraded(100.0) == ()
    assert health.round_trip_s("redis") == 0.0
    health.asked("redis", 1, 100.0)
    health.answered("redis", 99, 102.0)  # to nothing that was asked: it lives, no more is known
    assert health.degraded(104.0) == ()
    assert health.round_trip_s("redis") == 0.0


def test_what_is_asked_no_more_is_forgotten_and_starts_afresh() -> None:
    probing = Probing()
    probing.ask("zone:zon_a", 0.0)
    for _ in range(4):
        probing.ask("zone:zon_a", None)
    assert probing.degraded() == ("zone:zon_a",)
    probing.now += FORGET_S
    assert probing.degraded() == ()
    probing.ask("zone:zon_a", None)  # players are there again; it has its whole time
    assert probing.degraded() == ()


def test_who_is_not_asked_is_not_silent() -> None:
    """The last player has walked out of a zone: nobody asks it, and nothing is wrong with it."""
    probing = Probing()
    probing.ask("zone:zon_a", 0.001)
    for _ in range(5):
        probing.now += 1.0
        assert probing.degraded() == ()
    probing.ask("zone:zon_a", None)  # somebody is there again; it has its whole time
    for _ in range(2):
        assert probing.degraded() == ()
        probing.ask("zone:zon_a", None)
    probing.ask("zone:zon_a", None)
    assert probing.degraded() == ("zone:zon_a",)


def test_who_does_not_answer_gets_no_new_time_by_being_asked_seldom() -> None:
    probing = Probing()
    probing.ask("redis", 0.0)
    for _ in range(3):
        probing.ask("redis", None)
        probing.now += 4.0
        assert probing.degraded() == ("redis",)


def test_unanswered_probes_do_not_pile_up() -> None:
    health = Health(3.0)
    for number in range(1_000):
        health.asked("nats", number, 100.0 + number)
    assert len(health._parts["nats"].asked) < 20


def test_several_at_once_are_sorted() -> None:
    probing = Probing()
    for _ in range(8):
        probing.ask("redis", None)
        probing.ask("nats", None)
        probing.ask("zone:zon_a", 0.0)
    assert probing.degraded() == ("nats", "redis")
