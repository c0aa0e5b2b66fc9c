"""Who hears whom, and who is in which party: what an actor keeps of it (rows 2.3 and 3.3)."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from actors.session.ties import Ties


def answer(ties: Ties, user_id: str, *blocked: str, party: str = "", number: int | None = None) -> None:
    ties.answer(ties.question() if number is None else number, {user_id: frozenset(blocked)}, {user_id: party})


def test_a_blocked_user_is_not_heard_by_any_session_of_who_blocks() -> None:
    ties = Ties()
    ties.add("usr_a", "ses_1")
    answer(ties, "usr_a", "usr_x")
    ties.add("usr_a", "ses_2")
    assert ties.deaf("usr_x") == {"ses_1", "ses_2"}
    assert ties.deaf("usr_a") == ties.deaf("usr_y") == frozenset()
    answer(ties, "usr_a", "usr_y")
    assert (ties.deaf("usr_x"), ties.deaf("usr_y")) == (frozenset(), {"ses_1", "ses_2"})


def test_sessions_and_users_that_are_gone_leave_nothing() -> None:
    ties = Ties()
    ties.add("usr_a", "ses_1")
    ties.add("usr_b", "ses_2")
    for user_id in ("usr_a", "usr_b"):
        answer(ties, user_id, "usr_x", party="pty_1")
    ties.remove("usr_a", "ses_1")
    ties.remove("usr_a", "ses_1")
    assert ties.deaf("usr_x") == {"ses_2"}
    assert (ties.users(), ties.party("usr_a"), ties.sessions("usr_a")) == (["usr_b"], "", frozenset())
    ties.remove("usr_b", "ses_2")
    assert (len(ties), ties._deaf) == (0, {})


def test_an_older_answer_does_not_replace_a_newer_one() -> None:
    ties = Ties()
    ties.add("usr_a", "ses_1")
    older, newer = ties.question(), ties.question()
    answer(ties, "usr_a", "usr_x", party="pty_2", number=newer)
    answer(ties, "usr_a", party="pty_1", number=older)
    assert (ties.deaf("usr_x"), ties.party("usr_a")) == ({"ses_1"}, "pty_2")


def test_an_answer_says_whose_party_is_another_than_was_known() -> None:
    ties = Ties()
    for user_id in ("usr_a", "usr_b"):
        ties.add(user_id, f"ses_{user_id}")

    def answered(**parties: str) -> set[str]:
        return ties.answer(ties.question(), {"usr_a": frozenset(), "usr_b": frozenset({"usr_x"})}, parties)

    older = ties.question()
    assert answered(usr_a="pty_1") == set(), "whoever is new begins with it"
    assert answered(usr_a="pty_1") == set()
    assert answered(usr_a="pty_2", usr_b="pty_2") == {"usr_a", "usr_b"}
    assert answered(usr_b="pty_2") == {"usr_a"}
    assert ties.answer(older, {"usr_b": frozenset()}, {}) == set(), "an older one says nothing"


def test_an_answer_about_somebody_who_left_meanwhile() -> None:
    ties = Ties()
    answer(ties, "usr_a", "usr_x")
    assert (len(ties), ties.deaf("usr_x")) == (0, frozenset())


USERS, SESSIONS = st.sampled_from("abc"), st.integers(0, 2)
steps = st.one_of(
    st.tuples(st.just("add"), USERS, SESSIONS),
    st.tuples(st.just("remove"), USERS, SESSIONS),
    st.tuples(st.just("answer"), USERS, st.frozensets(st.sampled_from("abcxy"))),
)


@given(story=st.lists(steps, max_size=40))
def test_the_index_is_what_blocks_and_sessions_say(story: list[tuple[str, str, object]]) -> None:
    ties = Ties()
    sessions: defaultdict[str, set[str]] = defaultdict(set)
    blocked: defaultdict[str, frozenset[str]] = defaultdict(frozenset)
    for what, user, value in story:
        match what, value:
            case "add", int(number):
                ties.add(user, f"{user}{number}")
                sessions[user].add(f"{user}{number}")
            case "remove", int(number):
                ties.remove(user, f"{user}{number}")
                sessions[user].discard(f"{user}{number}")
            case "answer", frozenset():
                answer(ties, user, *value)
                if sessions[user]:
                    blocked[user] = value
        for name in "abc":
            if not sessions[name]:
                blocked[name] = frozenset()
        for other in "abcxy":
            expected = {s for name in "abc" if other in blocked[name] for s in sessions[name]}
            assert ties.deaf(other) == expected
