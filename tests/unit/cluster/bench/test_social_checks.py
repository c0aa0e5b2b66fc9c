"""Three people who are told the truth, and every way in which they could be told something else: each is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cluster.bench.social_checks import (
    CHAT_FAULTS,
    STATUS_FAULTS,
    Arrivals,
    ChatBook,
    Findings,
    StatusBook,
    back_ms,
    chat_shortcomings,
    figures_ms,
    social_shortcomings,
    took_ms,
)

ANN, BEN, CID = "usr_ann", "usr_ben", "usr_cid"


class Talk:
    """A channel that tells everybody everything, in order, half a second late."""

    def __init__(self) -> None:
        self.book = ChatBook(Findings())
        for member in (ANN, BEN, CID):
            self.book.joined(member, "all", 0.0)

    def say(self, text: str, to: tuple[str, ...] = (ANN, BEN, CID), at: float = 1.0, *, kept: bool = True) -> None:
        self.book.said(ANN, "all", text, at)
        if kept:
            self.book.kept(text, f"msg_{text}")
        for member in to:
            self.hear(member, text, at + 0.5)

    def hear(self, member: str, text: str, at: float = 2.0, *, channel: str = "all", id_: str = "") -> None:
        self.book.heard(member, channel, text, id_ or f"msg_{text}", at)

    def found(self) -> dict[str, int]:
        self.book.judge()
        return dict(self.book.findings.counts)


@pytest.fixture
def talk() -> Talk:
    talk = Talk()
    for text in ("a", "b"):
        talk.say(text)
    return talk


def test_all_is_well(talk: Talk) -> None:
    assert talk.book.missing() == []
    assert talk.found() == {}
    assert (talk.book.acknowledged, talk.book.deliveries) == (2, 6)
    assert took_ms(talk.book.arrivals.values(), 0.0, 9.0) == {"p50_ms": 500.0, "p99_ms": 500.0, "max_ms": 500.0}


def test_one_that_is_dropped_for_one_member(talk: Talk) -> None:
    talk.say("c", to=(ANN, CID))
    assert talk.book.missing() == [(BEN, "c")]
    assert talk.found() == {"lost": 1}


def test_who_came_later_need_not_hear_it(talk: Talk) -> None:
    talk.book.joined("usr_dan", "all", 1.5)
    assert talk.found() == {}


def test_who_joins_again_must_hear_it_as_before(talk: Talk) -> None:
    talk.book.joined(BEN, "all", 1.5)
    talk.say("c", to=(ANN, CID), at=1.2)
    assert talk.found() == {"lost": 1}


def test_one_that_comes_twice(talk: Talk) -> None:
    talk.hear(BEN, "a")
    assert talk.found() == {"doubled": 1}


def test_what_had_no_answer_may_come_to_all_to_some_or_to_nobody_but_once(talk: Talk) -> None:
    for text, to in (("c", (ANN, BEN, CID)), ("d", (BEN,)), ("e", ())):
        talk.say(text, to, kept=False)
    assert talk.found() == {}
    talk.hear(BEN, "d")
    assert talk.found() == {"doubled": 1}


def test_one_that_was_kept_twice_under_two_ids(talk: Talk) -> None:
    talk.hear(CID, "b", id_="msg_other")
    assert talk.found() == {"renamed": 1, "doubled": 1}


def test_another_id_than_the_acknowledged_one(talk: Talk) -> None:
    talk.say("c", to=(ANN, BEN))
    talk.hear(CID, "c", id_="msg_other")
    assert talk.found() == {"renamed": 1}


def test_another_order_for_one(talk: Talk) -> None:
    for text in "cd":
        talk.say(text, to=(ANN, BEN))
    for text in "dc":
        talk.hear(CID, text)
    assert talk.found() == {"misordered": 2}


def test_an_order_is_a_channels_own(talk: Talk) -> None:
    for channel, member in (("few", ANN), ("few", BEN)):
        talk.book.joined(member, channel, 0.0)
    for text, channel in (("f", "few"), ("c", "all")):
        talk.book.said(ANN, channel, text, 1.0)
        talk.book.kept(text, f"msg_{text}")
    for member, order in ((ANN, "fc"), (BEN, "cf"), (CID, "c")):
        for text in order:
            talk.hear(member, text, channel="few" if text == "f" else "all")
    assert talk.found() == {}


@pytest.mark.parametrize("what", ["nobody", "another channel", "no member", "refused"])
def test_what_should_not_have_come(talk: Talk, what: str) -> None:
    match what:
        case "nobody":
            talk.hear(ANN, "x")
        case "another channel":
            talk.book.joined(ANN, "few", 0.0)
            talk.hear(ANN, "a", channel="few")
        case "no member":
            talk.hear("usr_dan", "a")
        case "refused":
            talk.book.said(ANN, "all", "x", 1.0)
            talk.book.refused("x")
            talk.hear(BEN, "x")
    assert talk.found() == {"foreign": 1}


# --- presence --------------------------------------------------------------------------------------------------------------


class Room:
    """Ann watches Ben and Cid, and is told at once of all that they choose. `version` grows with everything told."""

    def __init__(self) -> None:
        self.book = StatusBook(Findings())
        self.version = 0
        self.numbers = {ANN: 0, BEN: 0, CID: 0}
        for user in self.numbers:
            self.book.came(user, "online", 0.0)
        for user in (BEN, CID):
            self.book.watches(ANN, user)
            self.tell(user, "online")

    def choose(self, user: str, status: str, at: float = 1.0, *, told: bool = True, kept: bool = True) -> int:
        self.numbers[user] += 1
        self.book.asked(user, self.numbers[user], status, at)
        if kept:
            self.book.kept(user, self.numbers[user])
        if told:
            self.tell(user, status, self.numbers[user], at + 0.1)
        return self.numbers[user]

    def tell(self, user: str, status: str, number: int = 0, at: float = 0.5, version: int | None = None) -> None:
        self.version += 1
        told = {"user_id": user, "status": status, "text": str(number) if number else ""}
        self.book.shown(ANN, told | {"version": self.version if version is None else version}, at)

    def found(self) -> dict[str, int]:
        self.book.judge()
        return dict(self.book.findings.counts)


@pytest.fixture
def room() -> Room:
    room = Room()
    room.choose(BEN, "busy")
    room.choose(CID, "away")
    room.choose(BEN, "online")
    return room


def test_nothing_is_wrong(room: Room) -> None:
    assert room.found() == {}
    assert room.book.acknowledged == 3
    assert list(room.book.arrivals[ANN].asked) == [0.0, 0.0, 1.0, 1.0, 1.0]


def test_somebody_who_is_there_is_shown_offline(room: Room) -> None:
    room.tell(BEN, "offline")
    room.tell(BEN, "online", 2)
    assert room.found() == {"false_offline": 1}


def test_offline_before_the_grace_period_is_over(room: Room) -> None:
    room.book.left(BEN, 10.0)
    room.tell(BEN, "offline", at=9.9)
    assert room.found() == {"false_offline": 1}


def test_offline_after_it(room: Room) -> None:
    room.book.left(BEN, 10.0)
    assert [found[:2] for found in room.book.wrong()] == [(ANN, BEN)]
    room.tell(BEN, "offline", at=10.0)
    assert room.found() == {}


def test_the_last_change_is_dropped(room: Room) -> None:
    room.choose(BEN, "busy", told=False)
    assert room.book.wrong() == [(ANN, BEN, "online (2) instead of busy (3)")]
    assert room.found() == {"wrong_status": 1}


def test_changes_may_be_coalesced(room: Room) -> None:
    for status in ("away", "busy"):
        room.choose(BEN, status, told=False)
    room.choose(BEN, "away")
    assert room.found() == {}


def test_the_same_status_chosen_again_is_another_one(room: Room) -> None:
    room.choose(BEN, "online", told=False)
    assert room.found() == {"wrong_status": 1}


def test_one_that_had_no_answer_may_be_told_or_not(room: Room) -> None:
    room.choose(BEN, "busy", told=False, kept=False)
    assert room.found() == {}
    room.tell(BEN, "busy", 3)
    room.choose(BEN, "away")
    assert room.found() == {}


def test_an_older_one_that_is_told_as_the_newest(room: Room) -> None:
    room.tell(BEN, "busy", 1)
    room.tell(BEN, "online", 2)
    assert room.found() == {"went_back": 1}


def test_an_older_version_is_dropped_as_clients_do(room: Room) -> None:
    room.tell(BEN, "busy", 1, version=3)
    assert room.book.outdated == 1
    assert room.found() == {}


def test_but_offline_is_false_whatever_its_version(room: Room) -> None:
    room.tell(BEN, "offline", version=0)
    assert room.found() == {"false_offline": 1}


@pytest.mark.parametrize(
    ("user", "status", "number"), [(ANN, "online", 0), ("usr_dan", "online", 0), (BEN, "away", 2), (BEN, "busy", 9)]
)
def test_what_was_not_asked_for_or_never_chosen(room: Room, user: str, status: str, number: int) -> None:
    room.tell(user, status, number)
    assert room.book.findings.counts["unasked"] == 1


def test_a_text_that_is_no_number_was_chosen_by_nobody(room: Room) -> None:
    room.book.shown(ANN, {"user_id": BEN, "status": "online", "text": "hello", "version": 99}, 3.0)
    assert room.book.findings.counts["unasked"] == 1


def test_who_asks_knows_without_being_told(room: Room) -> None:
    room.choose(BEN, "busy", told=False)
    room.book.shown(ANN, {"user_id": BEN, "status": "busy", "text": "3", "version": 99}, 9.0, asked=True)
    assert room.found() == {}
    assert max(room.book.arrivals[ANN].at) < 9.0


def test_one_that_was_never_shown(room: Room) -> None:
    room.book.watches(BEN, CID)
    assert room.book.wrong() == [(BEN, CID, "nothing (0) instead of away (1)")]


# --- times and verdicts ----------------------------------------------------------------------------------------------------


def arrivals(*pairs: tuple[float, float]) -> Arrivals:
    made = Arrivals()
    for at, asked in pairs:
        made.add(at, asked)
    return made


def test_the_way_back_counts_from_what_was_asked_for_after_the_fault() -> None:
    late = arrivals((10.5, 9.9), (12.0, 10.2), (11.5, 10.4))  # the first was on its way already
    soon, never = arrivals((10.3, 10.1)), arrivals((9.0, 8.0))
    told = back_ms([late, soon, never], 10.0, 20.0)
    assert told == {"p50_ms": 900.0, "max_ms": 1_500.0, "missed": 1, "slowest_ms": 1_800.0}
    assert back_ms([late], 10.0, 10.1)["slowest_ms"] == 600.0  # that which was on its way
    assert back_ms([never], 10.0, 20.0) == {"p50_ms": None, "max_ms": None, "missed": 1, "slowest_ms": None}


def test_times_are_of_what_was_asked_for_in_the_window() -> None:
    assert arrivals((1.5, 1.0), (4.0, 2.0), (3.1, 3.0)).took_s(1.0, 3.0).tolist() == [0.5, 2.0]
    assert took_ms([], 0.0, 1.0) == {"p50_ms": None, "p99_ms": None, "max_ms": None}
    assert figures_ms(np.array([0.001, 0.003])) == {"p50_ms": 2.0, "p99_ms": 3.0, "max_ms": 3.0}


def chat_result(**changes: Any) -> dict[str, Any]:
    zero = (*CHAT_FAULTS, "unanswered", "refused", "not_recovered", "new_sessions")
    return dict.fromkeys(zero, 0) | {"deliveries": 10, "expected": 10} | changes


@pytest.mark.parametrize(
    "changes", [{name: 1} for name in (*CHAT_FAULTS, "unanswered", "refused", "new_sessions")] + [{"deliveries": 9}]
)
def test_a_chat_run_falls_short(changes: dict[str, int]) -> None:
    assert chat_shortcomings(chat_result()) == []
    assert len(chat_shortcomings(chat_result(**changes))) == 1


def social_result(missed: int = 0, restarted: bool = True, **changes: Any) -> dict[str, Any]:
    zero = (*CHAT_FAULTS, *STATUS_FAULTS, "refused", "restless", "not_recovered", "new_sessions")
    fault = {"kind": "nats", "restarted": restarted, "status": {"missed": 0}, "chat": {"missed": missed}}
    return dict.fromkeys(zero, 0) | {"faults": [fault]} | changes


@pytest.mark.parametrize("changes", [{name: 1} for name in (*CHAT_FAULTS, *STATUS_FAULTS, "refused", "restless")])
def test_a_social_run_falls_short(changes: dict[str, Any]) -> None:
    assert social_shortcomings(social_result()) == []
    assert len(social_shortcomings(social_result(**changes))) == 1


def test_it_does_so_when_a_server_does_not_come_back_or_somebody_is_left_behind() -> None:
    assert social_shortcomings(social_result(restarted=False)) == ["nats did not come back"]
    assert social_shortcomings(social_result(missed=3)) == ["after the kill of nats 3 got no chat any more"]
