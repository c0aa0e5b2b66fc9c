"""What must be looked up before a message may go on (row 2.3)."""

from __future__ import annotations

from actors.session.gate import RefreshGate
from actors.session.ties import Ties
from cluster.ports.topics import TopicMessage


def a_gate() -> RefreshGate:
    ties = Ties()
    ties.add("usr_a", "ses_a")
    ties.add("usr_b", "ses_b")
    return RefreshGate(ties)


def said(
    topic: str = "news", message_id: str = "1-0", sender: str = "", refresh: str = "", method: str = "m"
) -> TopicMessage:
    return TopicMessage(topic, message_id, "", method, b"{}", sender, refresh)


def test_most_messages_go_at_once() -> None:
    gate = a_gate()
    assert not gate.waits(said(), ["ses_a"])
    assert not gate.waits(said(sender="usr_x"), ["ses_a"])
    assert not gate.work.is_set()


def test_one_that_asks_for_a_refresh_waits_for_it() -> None:
    gate = a_gate()
    asking = said("user:usr_a", "10-0", refresh="ties")
    assert gate.waits(asking, ["ses_a"])
    assert gate.work.is_set()
    assert gate.wanted(5) == {"usr_a": "10-0"}
    assert gate.waits(asking, ["ses_a"])
    gate.known({"usr_a": "10-0"})
    assert gate.waits(asking, ["ses_a"]), "its sessions do not hear yet what they must"
    assert gate.wanted(5) == {}, "but that is known"
    gate.done(["usr_a"])
    assert not gate.waits(asking, ["ses_a"])
    assert not gate.waits(said("user:usr_a", "9-0", refresh="party"), ["ses_a"]), "an older one"
    assert gate.wanted(5) == {}


def test_a_newer_one_is_not_served_by_the_older_look_up() -> None:
    gate = a_gate()
    gate.waits(said("user:usr_a", "1-0", refresh="ties"), ["ses_a"])
    looked_up = gate.wanted(5)
    newer = said("user:usr_a", "2-0", refresh="ties")
    assert gate.waits(newer, ["ses_a"])
    gate.known(looked_up)
    gate.done(looked_up)
    assert gate.waits(newer, ["ses_a"])
    assert gate.wanted(5) == {"usr_a": "2-0"}


def test_meanwhile_nothing_that_somebody_says_reaches_the_user() -> None:
    gate = a_gate()
    gate.waits(said("user:usr_a", refresh="ties"), ["ses_a"])
    assert gate.waits(said("chat:hall", sender="usr_x"), {"ses_b": None, "ses_a": None})
    assert not gate.waits(said("chat:hall", sender="usr_x"), {"ses_b": None})
    assert not gate.waits(said("news"), {"ses_a": None}), "what nobody says"
    gate.known({"usr_a": "1-0"})
    assert not gate.waits(said("chat:hall", sender="usr_x"), {"ses_a": None})


def test_a_refresh_on_another_topic_is_none() -> None:
    gate = a_gate()
    assert not gate.waits(said("party:pty_1", refresh="party"), ["ses_a"])
    assert gate.wanted(5) == {}


def test_who_has_no_sessions_any_more_is_forgotten() -> None:
    gate = a_gate()
    gate.waits(said("user:usr_a", refresh="ties"), ["ses_a"])
    looked_up = gate.wanted(5)
    gate.forget(["usr_a", "usr_x"])
    gate.known(looked_up)
    gate.done(looked_up)
    assert (gate.wanted(5), gate._known, gate._done) == ({}, {}, {})


def test_who_is_forgotten_before_the_sessions_hear_what_they_must() -> None:
    gate = a_gate()
    gate.waits(said("user:usr_a", refresh="ties"), ["ses_a"])
    gate.known(gate.wanted(5))
    gate.forget(["usr_a"])
    gate.done(["usr_a"])
    assert (gate._known, gate._done) == ({}, {})


def test_nobody_speaks_to_a_user_of_whom_nothing_is_known() -> None:
    ties = Ties()
    ties.add("usr_a", "ses_a")
    gate, spoken = RefreshGate(ties), said("user:usr_a", sender="usr_x")
    assert gate.waits(spoken, ["ses_a"])
    assert not gate.waits(said("user:usr_a"), ["ses_a"]), "what nobody says"
    ties.answer(ties.question(), {"usr_a": frozenset()}, {})
    assert not gate.waits(spoken, ["ses_a"])
    older = ties.question()
    ties.doubt("usr_a")
    ties.answer(older, {"usr_a": frozenset()}, {})
    assert gate.waits(spoken, ["ses_a"])
    ties.answer(ties.question(), {"usr_a": frozenset()}, {})
    assert not gate.waits(spoken, ["ses_a"])


def test_work_ends_when_nobody_is_wanted() -> None:
    gate = a_gate()
    gate.waits(said("user:usr_a", refresh="ties"), ["ses_a"])
    gate.rest()
    assert gate.work.is_set()
    gate.known(gate.wanted(5))
    gate.rest()
    assert not gate.work.is_set()


def test_only_so_many_at_once() -> None:
    gate = a_gate()
    for n in range(5):
        gate.waits(said(f"user:usr_{n}", refresh="ties"), [])
    assert list(gate.wanted(2)) == ["usr_0", "usr_1"]
    assert list(gate.wanted(2)) == ["usr_2", "usr_3"], "those who fail do not hold up the others"
    assert list(gate.wanted(5)) == ["usr_4", "usr_0", "usr_1", "usr_2", "usr_3"]
