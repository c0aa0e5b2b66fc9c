"""What the storm and the drain report of what their clients have lived through."""

from __future__ import annotations

import random
from typing import Any

import pytest

from cluster.bench import cli, drain, storm
from cluster.bench.drain import Player
from cluster.bench.hearing import Heard, added, missing
from cluster.bench.returning import Returning
from cluster.bench.storm import Back
from rayrealm_client.codec import Notification


def client(**changes: Any) -> Returning:
    made = Returning("http://h:1", "token", random.Random(1))
    made.sessions = ["ses_1"]
    for name, value in changes.items():
        setattr(made, name, value)
    return made


class TestHearing:
    def test_what_was_said_and_not_heard(self) -> None:
        one, other = Heard(["a", "b"]), Heard(["b", "b"])
        assert missing([one, other], ["a", "b"]) == 1
        assert (one.repeated, other.repeated) == (0, 1)

    def test_only_messages_count(self) -> None:
        heard = Heard()
        heard.notice(Notification("presence.changed", {"user_id": "u"}, 1))
        heard.notice(Notification("chat.message", {"text": "a"}, 2))
        assert heard.texts == ["a"]

    def test_counts_are_added(self) -> None:
        assert added([{503: 1}, {503: 2, 429: 1}]) == {"503": 3, "429": 1}


class TestTheStorm:
    def report(self, back: list[float | None]) -> dict[str, Any]:
        heard = [Back(["word 0"], at) for at in back]
        return storm._report([client() for _ in back], heard, ["word 0"], 100.0)

    def test_shares_are_of_all_clients(self) -> None:
        told = self.report([100.0 + seconds for seconds in range(1, 101)])
        assert (told["back_50_s"], told["back_99_s"], told["back_100_s"]) == (50.0, 99.0, 100.0)
        assert (told["back"], told["lost_messages"], told["new_logins"]) == (100, 0, 0)

    def test_who_is_not_back_leaves_a_share_open(self) -> None:
        told = self.report([101.0, 102.0, 103.0, None])
        assert (told["back_50_s"], told["back_99_s"], told["back_100_s"], told["back"]) == (2.0, None, None, 3)

    def test_losses_are_counted(self) -> None:
        clients = [client(sessions=["ses_1", "ses_2"], holes=1, refused={503: 2}, ended="stop")]
        told = storm._report(clients, [Back(["word 0", "word 0"], 101.0)], ["word 0", "word 1"], 100.0)
        assert told["lost_messages"] == 1
        assert told["repeated"] == 1
        assert told["not_recovered"] == 1
        assert told["new_logins"] == 1
        assert told["gave_up"] == 1
        assert told["refused"] == {"503": 2}


class TestTheDrain:
    def player(self, **changes: Any) -> Player:
        return Player(client(**changes), random.Random(1))

    def test_the_longest_gap_counts_and_one_that_has_not_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [10.0]
        monkeypatch.setattr("cluster.bench.drain.time.monotonic", lambda: now[0])
        player = self.player()
        player.watch()
        for at in (10.05, 10.85, 10.9):
            player._saw(at)
        now[0] = 11.0
        assert player.gap_s() == pytest.approx(0.8)
        now[0] = 13.0
        assert player.gap_s() == pytest.approx(2.1)

    def test_the_report(self) -> None:
        players = [self.player(codes=[1012], gateway="gtw_b"), self.player(codes=[], gateway="gtw_a")]
        players[0].heard.texts = ["word 0"]
        drained = {"seconds": 9.5, "left": 0}
        told = drain._report(players, "gtw_a", [0.05, 0.06], [0.1, 0.9], drained, ["word 0"])
        assert (told["view_gap_p50_ms"], told["view_gap_max_ms"]) == (500, 900)
        assert (told["closed_1012"], told["closed"]) == (1, {"1012": 1})
        assert (told["lost_messages"], told["still_there"], told["drain_s"]) == (1, 1, 9.5)


STORM = {"back": 10, "back_99_s": 3.0} | dict.fromkeys(
    ("lost_messages", "repeated", "not_recovered", "gaps", "new_logins", "gave_up"), 0
)
DRAIN = {"view_gap_max_ms": 400} | dict.fromkeys(
    ("lost_messages", "repeated", "not_recovered", "gaps", "new_logins", "left_behind", "still_there"), 0
)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({}, 0), ({"lost_messages": 1}, 1), ({"back": 9}, 1), ({"back_99_s": 10.5}, 1), ({"back_99_s": None}, 1)],
)
def test_the_storm_falls_short(changes: dict[str, Any], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "run_storm", lambda clients: STORM | changes)
    assert cli.bench_storm(10, as_json=True) == code


@pytest.mark.parametrize(("changes", "code"), [({}, 0), ({"gaps": 1}, 1), ({"view_gap_max_ms": 1_501}, 1)])
def test_the_drain_falls_short(changes: dict[str, Any], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "run_drain", lambda clients, deadline_s: DRAIN | changes)
    assert cli.bench_drain(10, 20.0) == code
