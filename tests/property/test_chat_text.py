"""Cleaning a chat message, whatever is in it: it is done after one pass, adds nothing, and raises nothing but the one error."""

from __future__ import annotations

import html
import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from actors.chat.filtering import MaskedWords, fold, load_filter
from actors.chat.markup import ELEMENTS
from actors.chat.mentions import MAX_MENTIONS, MAX_NAME, mentioned
from actors.chat.text import MAX_MARKS, clean
from cluster.errors import InvalidInput
from tests.fuzz.targets import markup

MOST = 200
# Lone surrogates too: JSON can escape them. Marks, format characters and Hangul more often than chance would bring them.
ANY = st.characters(exclude_categories=())
AWKWARD = st.sampled_from(
    "ae가ᄀ\u1161\u11a8\u0301\u0327\u0345\u0302\u093c\u0958\u09c7\u09be\u200d\u200b\u202e\u2066\u0f71\ufb2a\U0001d15e 1"
)
TEXT = st.text(ANY | AWKWARD, max_size=60)


def cleaned(said: str) -> str | None:
    """None: it was refused, with the error that is documented."""
    try:
        return clean(said, MOST)
    except InvalidInput as refused:
        if [name for name, _ in refused.errors] != ["text"]:
            raise
        return None


@given(TEXT)
@example("\u0344" * 10)
@example("e\u202e\u0301")
@example("\u1100\u202e\u1161")
@example("a" + "\u0327\u0301" * 9)
@example("<?")
@example("&lt;a <<a")
def test_what_is_shown(said: str) -> None:
    shown = cleaned(said)
    if shown is None:
        return
    assert clean(shown, MOST) == shown, "once is enough"
    assert unicodedata.is_normalized("NFC", shown)
    most = len(unicodedata.normalize("NFC", said)) + said.count("<")
    assert len(shown) <= most, "only normalisation may write a character as several, and a < may get a space"
    categories = [unicodedata.category(c) for c in shown]
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(categories)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert shown.encode(), "there is no half of a pair"
    run = 0
    for category in categories:
        run = run + 1 if category[0] == "M" else run if category == "Cf" else 0
        assert run <= MAX_MARKS


@given(TEXT, st.integers(1, 30))
def test_the_bound_holds(said: str, most: int) -> None:
    try:
        shown = clean(said, most)
    except InvalidInput:
        return
    assert 0 < len(shown) <= most


@given(TEXT, st.lists(st.text(ANY, max_size=5), max_size=5))
def test_masking(said: str, words: list[str]) -> None:
    masked = MaskedWords(words).filter(said, "hall")
    assert masked is not None
    assert len(masked) == len(said)
    assert all(after in (before, "*") for before, after in zip(said, masked, strict=True))
    assert MaskedWords(words).filter(masked, "hall") == masked


# The iota below Greek vowels is a mark, and a letter of its own in upper case: as a mark it is passed over.
WITHOUT_IOTA = st.characters(categories=["L", "Nd"]).filter(lambda c: "\u0345" not in unicodedata.normalize("NFD", c))


@given(st.text(WITHOUT_IOTA, min_size=1, max_size=10))
def test_a_word_is_found_in_every_case(word: str) -> None:
    same = [each for each in (word.upper(), word.lower(), word.title()) if each.casefold() == word.casefold()]
    for said in (word, *same, unicodedata.normalize("NFKC", word)):
        if any(unicodedata.category(c)[0] not in "LN" for c in said):
            continue  # a ligature of several words, or with signs: as text, other words
        masked = load_filter("", [word], MOST).apply(f"! {said} !", "hall")
        assert masked == f"! {'*' * len(said)} !" or not fold(word), said


@given(TEXT | st.text(st.sampled_from("@@@ Ab'-é."), max_size=80))
def test_mentions(said: str) -> None:
    found = mentioned(said)
    assert len(found) <= MAX_MENTIONS
    assert all(name and len(name) <= MAX_NAME and f"@{name}" in said for names in found for name in names)


def test_these_tests_can_fail() -> None:
    with pytest.raises(InvalidInput):
        clean("\u202e", MOST)


MARKUP = st.lists(
    st.sampled_from(
        ["<", ">", "&", "&lt", "lt;", "amp;", "&#60;", "&#x3C", "&gt;", "b", "/", "!", "?", "--", "script", "svg", "plaintext",
         "<b>", "</p>", "max", " and ", "<!--", "-->", "<a href='", '"', "=", " ", "\u0301", "\u202e", "\u0338", "é", "3", "&copy",
         "<font a=1><p>"]
    ) | ANY,
    max_size=25,
).map("".join)  # fmt: skip


@given(MARKUP)
@example("&amp;" * 20 + "lt;b>")
@example("<<b>script>")
@example("<\u202eb>")
@example("<plaintext>&lt;b&gt;<i>")
@example("<a title='>")
def test_no_markup_is_left_however_often_references_are_replaced(said: str) -> None:
    shown = cleaned(said)
    if shown is None:
        return
    assert clean(shown, MOST) == shown, "once is enough"
    stage = shown
    for _ in range(30):
        assert markup(stage) == []
        assert not re.search("<[A-Za-z/!?]", stage), "what begins a tag (WHATWG HTML, 13.2.5.6)"
        stage = html.unescape(stage)


WORDS = st.text(st.sampled_from("abcdeixyzHPQRS0123"), min_size=1, max_size=8).filter(
    lambda word: word.lower() not in ELEMENTS.split() and word[0].isalpha()
)


@given(WORDS, WORDS, WORDS, st.sampled_from(["", "</", "<!", "<?"]))
def test_comparisons_are_no_tags(left: str, right: str, more: str, odd: str) -> None:
    """Nothing but a space comes in, and nothing gets lost."""
    for whole in (
        f"{left}<{right} but {more}>0",
        f"{left}<{right}>{more}",
        f"{left} <b and {more}> {right}",
        f"{odd}{left}>0",
    ):
        shown = clean(whole, MOST)
        assert shown.replace(" ", "") == whole.replace(" ", "")
        assert clean(shown, MOST) == shown


@given(st.text(st.characters(exclude_categories=["C", "M", "Z"], exclude_characters="<&"), min_size=1, max_size=40))
def test_text_without_markup_only_loses_what_unicode_says(said: str) -> None:
    text = unicodedata.normalize("NFC", said)
    for whole in (text, f"{text} < {text}", f"{text} && {text} > 3", f"I <3 {text}"):
        if (shown := cleaned(whole)) is not None:
            assert shown == unicodedata.normalize("NFC", whole)


def test_what_people_write_survives() -> None:
    for said in (
        "a < b && c",
        "👩\u200d👩\u200d👧 👍🏽 🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "שָׁלוֹם עולם \u200fabc",
        "ที่นี่",
        "x->y <- z",
    ):
        assert clean(said, MOST) == unicodedata.normalize("NFC", said)
