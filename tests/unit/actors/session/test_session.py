"""One session's record and its lists."""

from __future__ import annotations

from dataclasses import replace

import pytest

from actors.session.session import Session
from actors.session.states import SessionState
from cluster.errors import Conflict, SubscriptionLimit
from cluster.ports.sessions import SessionRecord


def session(*topics: str, watching: tuple[str, ...] = ()) -> Session:
    record = SessionRecord("ses_1", "usr_1", "sessions/0", "authenticated", "gtw_a", 3)
    return Session(replace(record, subscriptions=topics, watching=watching))


def test_its_state_is_the_record_s() -> None:
    assert session().state is SessionState.AUTHENTICATED


@pytest.mark.parametrize("attach_epoch", [2, 4, 0])
def test_another_attach_may_not_act(attach_epoch: int) -> None:
    with pytest.raises(Conflict) as refused:
        session().check_attach(attach_epoch)
    assert refused.value.reason == "newer_attach"
    session().check_attach(3)


@pytest.mark.parametrize(
    ("now", "add", "remove", "then"),
    [
        ((), ["a", "b"], [], ("a", "b")),
        (("a",), ["a", "b", "b"], [], ("a", "b")),
        (("a", "b"), [], ["a"], ("b",)),
        (("a", "b"), ["c"], ["a", "x"], ("b", "c")),
        (("a", "b"), ["a"], ["a"], ("b", "a")),
        (("a", "b", "c"), [], [], ("a", "b", "c")),
    ],
)
def test_topics_are_added_and_removed_in_order(
    now: tuple[str, ...], add: list[str], remove: list[str], then: tuple[str, ...]
) -> None:
    assert session(*now).with_subscriptions(add, remove, 3).subscriptions == then
    assert session(watching=now).with_watching(add, remove, 3).watching == then


def test_the_limit_counts_what_is_left_and_changes_nothing() -> None:
    full = session("a", "b", "c")
    with pytest.raises(SubscriptionLimit) as refused:
        full.with_subscriptions(["d"], [], 3)
    assert refused.value.limit == 3
    assert full.record.subscriptions == ("a", "b", "c")
    assert full.with_subscriptions(["d"], ["a"], 3).subscriptions == ("b", "c", "d")
    with pytest.raises(SubscriptionLimit):
        session(watching=("a",)).with_watching(["b"], [], 1)
