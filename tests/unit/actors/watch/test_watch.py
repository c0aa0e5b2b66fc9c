"""From reports to measures."""

from __future__ import annotations

from typing import Any

import pytest

from actors.watch.anomaly import CAPS, WINDOW, Anomaly
from actors.watch.watch import MOST_NOTED, MOST_USERS, Watch
from cluster.measures import Level, Measure
from cluster.security_settings import AbuseSettings, LimitSettings
from cluster.settings import Settings
from realm_proto import internal_pb2

NOW = 100_000.0
FAR = "203.0.113.7"


class Says:
    """Scores by what it was told."""

    def __init__(self) -> None:
        self.score = 0.0
        self.learned = 0

    def learn_one(self, x: dict[str, float]) -> None:
        self.learned += 1

    def score_one(self, x: dict[str, float]) -> float:
        return self.score


class Rig:
    def __init__(self, **abuse: Any) -> None:
        self.model = Says()
        self.watch = Watch(Settings(realm="test", abuse=AbuseSettings(**abuse)), Anomaly(0, lambda: self.model))
        self.now = NOW

    def learned(self) -> None:
        for _ in range(WINDOW):
            self.watch._anomaly.learn(dict.fromkeys(CAPS, 0.0))

    def report(
        self, *sessions: internal_pb2.AbuseSession, sockets: int = 0, opened: int = 0, **addresses: dict[str, int]
    ) -> list[Measure]:
        self.now += 5.0
        came = [
            internal_pb2.AbuseAddress(address=FAR, refusals=refusals, sockets=sockets, opened=opened)
            for refusals in addresses.values()
        ]
        return self.watch.take(internal_pb2.AbuseReport(sessions=sessions, addresses=came), self.now)


def session(user: str = "usr_a", address: str = FAR, **counts: Any) -> internal_pb2.AbuseSession:
    said = {"session_id": f"ses_{user}", "role": "player", "span_s": 5.0, "messages": 100} | counts
    return internal_pb2.AbuseSession(user_id=user, address=address, **said)


def told(measures: list[Measure]) -> list[tuple[str, str, str]]:
    return [(m.subject, m.level.name, m.reason) for m in measures]


def test_an_ordinary_player() -> None:
    rig = Rig()
    for _ in range(50):
        assert rig.report(session(moves=95, calls=5, chats=1, corrections=1, addressees=3)) == []


def test_an_attacker_is_found_over_several_reports() -> None:
    rig = Rig()
    assert rig.report(session(unknown=15)) == []
    assert rig.report(session(unknown=15)) == []
    assert told(rig.report(session(unknown=15))) == [("usr_a", "BLOCK", "method_spray")]
    assert rig.report(session(unknown=15)) == []


def test_reconnecting_begins_no_new_life() -> None:
    rig = Rig()
    assert rig.report(session(replays=1, close_code=4505)) == []
    assert told(rig.report(session(session_id="ses_other", replays=1, close_code=4505))) == [
        ("usr_a", "BLOCK", "replay")
    ]


def test_all_sessions_of_a_user_count_together() -> None:
    rig = Rig()
    assert told(rig.report(session(session_id="s1", unknown=20), session(session_id="s2", unknown=20))) == [
        ("usr_a", "BLOCK", "method_spray")
    ]


def test_all_that_limits_allow_is_no_flood() -> None:
    """A premium user may send 120 a second at each gateway, and to begin with a burst; reports may bunch."""
    rig, limits = Rig(), LimitSettings()
    rate, burst = limits.user.per_s * limits.premium, limits.user.burst * limits.premium
    for number in range(20):
        said = [session(messages=round(5 * rate + (0 if number else burst))) for _gateway in range(3)]
        if number % 3 == 2:
            rig.now -= 4.9
        assert rig.report(*said) == []


def test_a_flood_is_blocked_within_half_a_minute() -> None:
    rig, found = Rig(), []
    for _ in range(6):
        found += rig.report(session(messages=5 * 400, limited=5 * 340))
    assert ("usr_a", "BLOCK", "message_flood") in told(found)


def test_what_comes_after_a_measure_is_counted_anew() -> None:
    """A minute's counts would prolong a measure that ended its cause."""
    rig = Rig(slow_s=10.0)
    assert told(rig.report(session(corrections=100))) == [("usr_a", "SLOW", "jumping")]
    for _ in range(10):
        assert rig.report(session()) == []


def test_breaking_sockets_and_calm_ones() -> None:
    rig = Rig()
    for code, found in ((1012, []), (4500, []), (1006, [("usr_a", "SLOW", "reconnecting")])):
        rig.now += 100.0
        assert told(rig.report(*(session(close_code=code, messages=1) for _ in range(30)))) == found


def test_a_score_alone_only_points() -> None:
    rig = Rig(anomaly_score=0.8)
    rig.learned()
    rig.model.score = 1.0
    found = [m for _ in range(20) for m in rig.report(session())]
    assert told(found) == [("usr_a", "MONITOR", "anomaly")]
    assert rig.watch.scores[:1] == [1.0]


def test_a_score_and_half_a_pattern() -> None:
    rig = Rig(anomaly_score=0.8)
    rig.learned()
    assert rig.report(session(unknown=25)) == [], "half a pattern alone is none"
    rig.now += 100.0
    rig.model.score = 1.0
    for _ in range(2):
        rig.report(session(user="usr_b"))
    assert ("usr_b", "SLOW", "unusual_method_spray") in told(rig.report(session(user="usr_b", unknown=25)))


def test_nothing_is_learned_from_who_is_under_a_measure() -> None:
    rig = Rig()
    rig.report(session(unknown=100))
    before = rig.model.learned
    rig.report(session(), session(user="usr_b"))
    assert rig.model.learned == before + 1


def test_many_who_are_only_watched_do_not_fill_the_log() -> None:
    rig = Rig()
    crowd = [session(user=f"usr_{n}", address=f"198.51.100.{n}", same_text=12) for n in range(100)]
    assert len(rig.report(*crowd)) == MOST_NOTED


# --- addresses ---------------------------------------------------------------------------------------------------


def test_an_address_that_guesses() -> None:
    rig = Rig()
    assert rig.report(a={"token_invalid": 100}) == []
    (measure,) = rig.report(a={"token_invalid": 100})
    assert (measure.kind, measure.subject, measure.level) == ("address", FAR, Level.BLOCK)


def test_a_web_page_that_lets_its_visitors_knock() -> None:
    rig = Rig()
    for _ in range(5):
        assert rig.report(a={"origin_refused": 10_000}) == []


@pytest.mark.parametrize(("sockets", "opened"), [(1, 0), (0, 1)])
def test_where_users_are_guesses_are_only_written_down(sockets: int, opened: int) -> None:
    rig = Rig()
    found = [m for _ in range(10) for m in rig.report(sockets=sockets, opened=opened, a={"token_invalid": 200})]
    assert told(found) == [(FAR, "MONITOR", "guessing")]


def test_where_users_lately_were_guesses_are_only_written_down() -> None:
    rig = Rig()
    rig.report(session())
    rig.now += 300.0
    assert told(rig.report(a={"token_invalid": 200})) == [(FAR, "MONITOR", "guessing")]
    rig.now += 600.0
    rig.watch.sweep(rig.now)
    assert told(rig.report(a={"token_invalid": 200})) == [(FAR, "BLOCK", "guessing")]


def test_a_gateway_that_is_full_is_nobodys_fault() -> None:
    rig = Rig()
    for _ in range(5):
        assert rig.report(a={"full": 10_000, "connecting_too_fast": 10_000, "address_banned": 10_000}) == []


def test_an_address_whose_users_were_blocked() -> None:
    rig = Rig()
    for number in range(2):
        assert told(rig.report(session(f"usr_{number}", unknown=100))) == [(f"usr_{number}", "BLOCK", "method_spray")]
    assert told(rig.report(session("usr_2", unknown=100))) == [
        ("usr_2", "BLOCK", "method_spray"),
        (FAR, "BLOCK", "blocked_users"),
    ]


def test_a_house_with_many_honest_people() -> None:
    rig = Rig()
    rig.report(*(session(f"usr_honest{n}") for n in range(5)))
    for number in range(4):
        assert told(rig.report(session(f"usr_{number}", unknown=100)))[1:] == []


def test_the_gate_of_a_network_is_never_blocked_for_its_users() -> None:
    rig = Rig()
    for number in range(MOST_USERS + 5):
        found = rig.report(session(f"usr_{number}", unknown=100))
        if number >= MOST_USERS - 1:
            assert all(m.kind == "user" for m in found)


def test_exempt_addresses() -> None:
    rig = Rig()
    for number in range(6):
        found = rig.report(session(f"usr_{number}", address="127.0.0.1", unknown=100))
        assert told(found) == [(f"usr_{number}", "BLOCK", "method_spray")], "the user, not the address"


# --- for operators -----------------------------------------------------------------------------------------------


def test_what_is_known() -> None:
    rig = Rig()
    rig.report(session(unknown=3, addressees=2), a={"token_invalid": 4})
    assert rig.watch.about("user", "usr_a", rig.now) == {
        "level": "none",
        "last_minute": {"messages": 100.0, "unknown": 3.0, "addressees": 2.0},
    }
    assert rig.watch.about("address", FAR, rig.now)["last_minute"] == {
        "messages": 100.0,
        "unknown": 3.0,
        "token_invalid": 4.0,
    }
    assert rig.watch.about("user", "nobody", rig.now) == {"level": "none", "last_minute": {}}


def test_lifted() -> None:
    rig = Rig()
    rig.report(session(unknown=100))
    assert rig.watch.about("user", "usr_a", rig.now)["level"] == "block"
    assert rig.watch.lift("user", "usr_a") is True
    assert rig.watch.about("user", "usr_a", rig.now)["level"] == "none"
    assert rig.watch.lift("user", "usr_a") is False


def test_a_pattern_that_is_switched_off() -> None:
    rig = Rig(patterns={"method_spray": 0.0, "replay": 50.0})
    assert rig.report(session(unknown=10_000, replays=49)) == []


def test_it_forgets() -> None:
    rig = Rig()
    rig.report(session(unknown=100), a={"token_invalid": 1})
    rig.watch.sweep(rig.now + 100_000.0)
    assert len(rig.watch.judge) == len(rig.watch._users) == len(rig.watch._addresses) == len(rig.watch._people) == 0
