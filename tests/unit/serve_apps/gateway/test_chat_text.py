"""What a chat message may hold once others read it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_apps.gateway.routes.chat import MAX_TEXT, Message, clean


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("hello", "hello"),
        ("e\u0301", "é"),
        ("a\x00b\x1b[31mc\r\n", "ab[31mc"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("🐉 龍", "🐉 龍"),
        ("<b>not ours to judge</b>", "<b>not ours to judge</b>"),
    ],
)
def test_what_is_shown(said: str, shown: str) -> None:
    assert clean(said) == shown


@pytest.mark.parametrize("said", ["", " ", "\n\t", "\u202e\u2066", "\x00"])
def test_nothing_to_say(said: str) -> None:
    with pytest.raises(ValueError, match="nothing to say"):
        clean(said)


@given(st.text(min_size=1))
def test_no_control_character_gets_through(said: str) -> None:
    try:
        shown = clean(said)
    except ValueError:
        return
    assert all(unicodedata.category(c) != "Cc" for c in shown)
    assert clean(shown) == shown


@pytest.mark.parametrize(
    ("channel", "fine"),
    [("hall", True), ("a:b.c-d_1", True), ("", False), ("Hall", False), (":x", False), ("x" * 49, False)],
)
def test_channels(channel: str, fine: bool) -> None:
    if fine:
        assert Message(channel=channel, text="x").channel == channel
    else:
        with pytest.raises(ValidationError):
            Message(channel=channel, text="x")


def test_a_message_has_a_length() -> None:
    assert len(Message(channel="hall", text="x" * MAX_TEXT).text) == MAX_TEXT
    with pytest.raises(ValidationError):
        Message(channel="hall", text="x" * (MAX_TEXT + 1))
