"""Words that are masked, and an operator's own filter."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from structlog.testing import capture_logs

from actors.chat.filtering import MaskedWords, load_filter
from cluster.errors import InvalidInput, SettingsError

MOST = 100


class TestMaskedWords:
    @pytest.mark.parametrize(
        ("said", "shown"),
        [
            ("a darn day", "a **** day"),
            ("DARN! Darn? (dArN)", "****! ****? (****)"),
            ("darned undarn darn1", "darned undarn darn1"),
            ("ｄａｒｎ", "****"),
            ("𝓭𝓪𝓻𝓷 it", "**** it"),
            ("d\u200ba\u00adr\u0336n", "*******"),
            ("dárn", "****"),
            ("darn\u200d!", "****\u200d!"),
            ("Bad Apple, bad  apple: bad; apple", "*** *****, ***  *****: ***; *****"),
            ("bad pear", "bad pear"),
            ("bad bad apple", "bad *** *****"),
            ("STRASSE straße", "******* ******"),
            ("", ""),
        ],
    )
    def test_whole_words(self, said: str, shown: str) -> None:
        assert MaskedWords(["darn", "bad apple", "Straße"]).filter(said, "hall") == shown

    def test_the_longest_counts(self) -> None:
        assert MaskedWords(["bad", "bad apple"]).filter("bad apple bad", "hall") == "*** ***** ***"

    def test_without_words(self) -> None:
        assert MaskedWords([]).filter("darn", "hall") == "darn"
        assert MaskedWords(["", " ", "!?"]).filter("darn !?", "hall") == "darn !?"


class Shouting:
    def filter(self, text: str, channel: str) -> str | None:
        return None if "secret" in text else f"{text.upper()}\u202e\x00@{channel}"


class Broken:
    def filter(self, text: str, channel: str) -> str | None:
        raise ZeroDivisionError(channel)


class Empty:
    def filter(self, text: str, channel: str) -> str | None:
        return ""


class Mistaken:
    def filter(self, text: str, channel: str) -> str | None:
        return 7  # type: ignore[return-value]


class NeedsMore:
    def __init__(self, what: str) -> None: ...


class NoFilter: ...


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> str:
    module = ModuleType("own_words_of_tests")
    for each in (Shouting, Broken, Empty, Mistaken, NeedsMore, NoFilter):
        setattr(module, each.__name__, each)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


class TestOwnFilter:
    def test_it_decides_and_is_cleaned(self, own: str) -> None:
        words = load_filter(f"{own}:Shouting", ["darn"], MOST)
        assert words.apply("darn it", "hall") == "DARN IT@hall"
        with pytest.raises(InvalidInput, match="not allowed"):
            words.apply("a secret", "hall")

    def test_what_it_makes_has_the_same_bounds(self, own: str) -> None:
        with pytest.raises(InvalidInput, match="more than 100"):
            load_filter(f"{own}:Shouting", [], MOST).apply("x" * 97, "hall")
        with pytest.raises(InvalidInput, match="nothing to say"):
            load_filter(f"{own}:Empty", [], MOST).apply("hello", "hall")

    @pytest.mark.parametrize("name", ["Broken", "Mistaken"])
    def test_one_that_fails_leaves_the_masks(self, own: str, name: str) -> None:
        words = load_filter(f"{own}:{name}", ["darn"], MOST)
        with capture_logs() as logs:
            assert words.apply("darn it", "hall") == "**** it"
        assert [line["event"] for line in logs] == ["word_filter_failed"]
        assert logs[0]["filter"] == name

    def test_without_one_words_are_masked(self) -> None:
        assert load_filter("", ["darn"], MOST).apply("darn it", "hall") == "**** it"

    @pytest.mark.parametrize("name", ["{own}:Missing", "no.such.module:X", "{own}:NeedsMore", "{own}:NoFilter"])
    def test_one_that_cannot_be_made_is_said_at_the_start(self, own: str, name: str) -> None:
        with pytest.raises(SettingsError) as refused:
            load_filter(name.format(own=own), [], MOST)
        assert [setting for setting, _ in refused.value.problems] == ["chat.filter"]
