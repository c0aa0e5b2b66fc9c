"""What a chat message may hold once others read it."""

from __future__ import annotations

import pytest

from actors.chat.text import MAX_FORMATS, MAX_MARKS, MAX_RAW, clean
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
        ("<b>bold</b> words", "bold words"),
        ("<script>alert(1)</script>hi", "hi"),
        ("a < b && c", "a < b && c"),
        ("I <3 you >.< Tom &amp; Jerry AT&T ?a=1&copy=2", "I <3 you >.< Tom &amp; Jerry AT&T ?a=1&copy=2"),
        ("if x<y we win", "if x< y we win"),
        ("HP<max but MP>0", "HP< max but MP>0"),
        ("a<b and c>d", "a< b and c>d"),
        ("a<b && c>d", "a< b && c>d"),
        ("press <enter>, <player>! </3 <-> <?>", "press < enter>, < player>! < /3 <-> < ?>"),
        ("HP&lt;max but MP&gt;0", "HP< max but MP>0"),
        ("<b class='x' hidden>so</b> <br/> <IMG/SRC=x onerror=alert(1)>!", "so  !"),
        ("<!-- no --> <!DOCTYPE html><?xml version='1'?>yes <!no>", " yes < !no>"),
        ("<script>a<max || b>c</script>hi", "hi"),
        ("<custom-tag onclick=alert(1)>hi", "< custom-tag onclick=alert(1)>hi"),
        ("&lt;b&gt;bold&lt;/b&gt;", "bold"),
        ("&amp;lt;img src=x onerror=alert(1)&amp;gt;hi", "hi"),
        ("<\u202eb>hi", "hi"),
        ("&#x202e;&lt;b&gt;hi", "hi"),
        ("<plaintext>a<b>c", "a< b>c"),
        ("<img src=x onerror=alert(1) ", "< img src=x onerror=alert(1) "),
        ("e<b>\u0301</b>", "é"),
        ("a" + "\u200d" * 20 + "b", "a" + "\u200d" * MAX_FORMATS + "b"),
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
    assert clean("Z" + MARKS * 50, 10) == "Z" + MARKS[:MAX_MARKS]


@pytest.mark.parametrize("said", ["x" * (MOST + 1), "x" * 102_400, "\x00" * (MAX_RAW + 1), "\x00" * 3_001, "<b>" * 200])
def test_too_much(said: str) -> None:
    with pytest.raises(InvalidInput, match="more than 500 characters"):
        clean(said, MOST)


@pytest.mark.parametrize("said", ["&" + "amp;" * 50 + "lt;b&gt;", "<b></b>", "<!-- a -->"])
def test_markup_and_nothing_else(said: str) -> None:
    with pytest.raises(InvalidInput, match=r"too much markup|nothing to say"):
        clean(said, MOST)
