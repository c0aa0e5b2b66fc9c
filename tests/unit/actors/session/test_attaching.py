"""Who may attach a session (rows 1.6 and 1.7)."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from actors.session.attaching import Attach, Attached, judge
from cluster.errors import Conflict, InvalidInput, Unauthorized
from cluster.ports.sessions import SessionRecord

RECORD = SessionRecord("ses_1", "usr_a", "sessions/0", "authenticated", "gtw_a", 5, stream="a1")
BY_ACCESS = Attach("ses_1", "usr_a", "gtw_b")


def by_token(epoch: int) -> Attach:
    return replace(BY_ACCESS, token_epoch=epoch)


def seen(last: int, stream: str = "a1") -> Attach:
    return replace(BY_ACCESS, stream=stream, last=last)


def allowed(
    attach: Attach,
    again: int = 0,
    *,
    record: SessionRecord = RECORD,
    newest: int = 9,
    held: bool = True,
    takeover: bool = True,
) -> None:
    judge(record, attach, again, newest=newest, held=held, takeover=takeover)


class TestWhose:
    @pytest.mark.parametrize("attach", [BY_ACCESS, by_token(5)])
    def test_nobody_else_s(self, attach: Attach) -> None:
        with pytest.raises(Unauthorized) as refused:
            allowed(replace(attach, user_id="usr_b"))
        assert refused.value.reason == "session_not_yours"


class TestTakeover:
    def test_a_second_device_takes_over_or_is_refused(self) -> None:
        allowed(BY_ACCESS)
        with pytest.raises(Conflict) as refused:
            allowed(BY_ACCESS, takeover=False)
        assert refused.value.reason == "session_attached"

    def test_one_that_nobody_holds_is_free(self) -> None:
        allowed(BY_ACCESS, held=False, takeover=False)

    def test_who_has_the_newest_token_is_the_same_client(self) -> None:
        allowed(by_token(5), takeover=False)


class TestTokens:
    def test_of_the_present_attach(self) -> None:
        allowed(by_token(5))

    @pytest.mark.parametrize("epoch", [1, 3, 4, 6, 99])
    def test_of_any_other(self, epoch: int) -> None:
        with pytest.raises(Unauthorized) as refused:
            allowed(by_token(epoch))
        assert refused.value.reason == "recovery_superseded"

    def test_the_one_that_opened_the_present_socket_once_more(self) -> None:
        allowed(by_token(4), 4)
        allowed(by_token(5), 4)
        with pytest.raises(Unauthorized):
            allowed(by_token(3), 4)

    def test_none_is_of_no_attach(self) -> None:
        """Of a session that was never attached nobody has a token."""
        with pytest.raises(Unauthorized):
            allowed(by_token(1), record=replace(RECORD, attach_epoch=0))


class TestSequences:
    def test_up_to_the_newest(self) -> None:
        for last in (0, 8, 9):
            allowed(seen(last))
        with pytest.raises(InvalidInput) as refused:
            allowed(seen(10))
        assert [field for field, _ in refused.value.errors] == ["last"]

    def test_of_another_stream_nothing_can_be_said(self) -> None:
        allowed(seen(10, "b2"))
        allowed(seen(10, ""))


def test_who_it_is_comes_first() -> None:
    """Nobody learns of a session that is not theirs whether it is attached, or how far it is."""
    attach = replace(seen(99), user_id="usr_b", token_epoch=None)
    with pytest.raises(Unauthorized, match="session not yours"):
        allowed(attach, takeover=False)


def test_both_cross_between_processes() -> None:
    answer = Attached("ses_1", "usr_a", 5, True, "in_world", {"zone": "z"}, ("news",), "a1", 3, True, (("n", b"{}"),))
    for value in (seen(3), answer):
        assert pickle.loads(pickle.dumps(value)) == value  # noqa: S301 - our own
