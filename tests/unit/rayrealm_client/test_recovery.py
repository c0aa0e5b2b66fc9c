"""What the next socket is opened with."""

from __future__ import annotations

from rayrealm_client.recovery import Opening, Recovery
from rayrealm_client.reliable import Reliable


def attached(now: float = 0.0) -> Recovery:
    """To session `ses_1`, with five notifications seen and a token for 600 seconds."""
    reliable = Reliable()
    reliable.begin("s", 5, recovered=False, resumed=False, now=now)
    recovery = Recovery(reliable)
    recovery.attached("ses_1", "t1", 600.0, now)
    return recovery


def test_the_first_socket_has_nothing_to_resume() -> None:
    assert Recovery(Reliable()).opening(0.0) == Opening(None, None, None)


def test_a_recovery_token_says_which_session() -> None:
    assert attached().opening(599.0) == Opening("t1", None, "s.5")


def test_an_old_one_is_not_presented() -> None:
    assert attached().opening(600.0) == Opening(None, "ses_1", "s.5")


def test_the_newest_counts() -> None:
    recovery = attached()
    recovery.renewed("t2", 600.0, 300.0)
    assert recovery.opening(899.0) == Opening("t2", None, "s.5")


def test_what_the_server_would_not_have_is_left_out() -> None:
    recovery = attached()
    recovery.forget_last()
    assert recovery.opening(0.0) == Opening("t1", None, None)
    recovery.forget_token()
    assert recovery.opening(0.0) == Opening(None, "ses_1", None)


def test_a_lost_session() -> None:
    recovery = attached()
    recovery.forget_session()
    assert recovery.opening(0.0) == Opening(None, None, None)


def test_the_next_user_gets_nothing_of_this_one() -> None:
    recovery = attached()
    recovery.reset()
    assert recovery.opening(0.0) == Opening(None, None, None)
    assert recovery.session_id is None


def test_no_token_is_printed() -> None:
    assert "t1" not in repr(attached().opening(0.0))
