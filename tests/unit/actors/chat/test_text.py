"""What a chat message may hold once others read it."""

from __future__ import annotations

import pytest

from actors.chat.text import MAX_MARKS, MAX_RAW, clean
from cluster.errors import InvalidInput

MOST = 500


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("hello", "hello"),
        ("e\u0301", "é"),
        ("a\x00b\x1b[31mc\r\n", "ab[31mc"),
        ("one\u2028two\u2029three\x85four", "onetwothreefour"),
        ("\u202egnp.exe\u202c", "gnp.exe"),
        ("\u2066\u2067a\u2068\u2069b", "ab"),
        ("ab\ufff9c\ufffad\ufffb", "abcd"),
        ("half a \ud800pair", "half a pair"),
        ("e\u202e\u0301", "é"),  # what is dropped leaves nothing to compose afterwards
        ("🐉 龍", "🐉 龍"),
        ("👩\u200d👩\u200d👧 👍🏽 ❤\ufe0f", "👩\u200d👩\u200d👧 👍🏽 ❤\ufe0f"),
        ("नमस्ते ที่นี่ שָׁלוֹם", "नमस्ते ที่นี่ שָׁלוֹם"),
        ("  kept as it is  ", "  kept as it is  "),
        ("<b>not ours to judge</b>", "<b>not ours to judge</b>"),
    ],
)
def test_what_is_shown(said: str, shown: str) -> None:
    assert clean(said, MOST) == shown
    assert clean(shown, MOST) == shown


# Of one combining class, so that they stay in their order, and they compose with nothing.
MARKS = "\u0316\u0317\u0318\u0319\u031c\u031d\u031e\u031f\u0320\u0329\u032a\u032b\u032c\u032f\u0333\u0339"


@pytest.mark.parametrize("between", ["", "\u200d", "\u200b", "\u2060\ufeff"])
def test_a_character_has_few_marks(between: str) -> None:
    said = "Z" + between.join(MARKS) + "o" + MARKS
    shown = clean(said, MOST)
    marks = [c for c in shown if c in MARKS]
    assert marks == [*MARKS[:MAX_MARKS], *MARKS[:MAX_MARKS]]
    assert "Z" in shown
    assert "o" in shown


def test_marks_without_a_character() -> None:
    assert clean(MARKS + "a", MOST) == MARKS[:MAX_MARKS] + "a"


@pytest.mark.parametrize(
    "said",
    [
        "",
        " ",
        "\n\t",
        "\u202e\u2066",
        "\x00",
        "\u200b\u200d\ufeff",
        "\u3164\u115f",
        "\u2800",
        "\u0301\u0302",
        "\u00a0\u3000",
    ],
)
def test_nothing_to_say(said: str) -> None:
    with pytest.raises(InvalidInput, match="nothing to say") as refused:
        clean(said, MOST)
    assert [name for name, _ in refused.value.errors] == ["text"]


def test_the_length_is_what_is_left() -> None:
    assert clean("x" * MOST + "\x00" * 100, MOST) == "x" * MOST
    assert clean("e\u0301" * MOST, MOST) == "é" * MOST
    assert clean("Z" + MARKS * 100, 10) == "Z" + MARKS[:MAX_MARKS]


@pytest.mark.parametrize("said", ["x" * (MOST + 1), "x" * 102_400, "\x00" * (MAX_RAW + 1)])
def test_too_much(said: str) -> None:
    with pytest.raises(InvalidInput, match="more than 500 characters"):
        clean(said, MOST)
