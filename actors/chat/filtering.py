"""Words that are masked, and the filter of an operator's own (row 2.3)."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from typing import Protocol

import structlog

from actors.chat.text import clean
from cluster.errors import InvalidInput, SettingsError
from cluster.game_class import load_class

MASK = "*"

log = structlog.get_logger(__name__)


class WordFilter(Protocol):
    def filter(self, text: str, channel: str) -> str | None:
        """What is said instead of the text; None if it must not be said. It must be quick: nothing else runs meanwhile."""


class MaskedWords:
    """Implements `WordFilter`: masks whole words, also several in a row ("bad apple"), whatever their case and compatibility forms.

    Marks and invisible characters inside of a word do not hide it.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self._by_first: dict[str, list[tuple[str, ...]]] = {}
        for word in words:
            folded = tuple(fold(word[start:end]) for start, end in _words(word))
            if folded:
                self._by_first.setdefault(folded[0], []).append(folded)
        for phrases in self._by_first.values():
            phrases.sort(key=len, reverse=True)

    def filter(self, text: str, channel: str) -> str | None:
        if not self._by_first:
            return text
        places = list(_words(text))
        folded = [fold(text[start:end]) for start, end in places]
        made, at = list(text), 0
        while at < len(places):
            length = self._length(folded, at)
            for start, end in places[at : at + length]:
                made[start:end] = MASK * (end - start)
            at += max(1, length)
        return "".join(made)

    def _length(self, folded: list[str], at: int) -> int:
        """How many words from here on are masked."""
        for phrase in self._by_first.get(folded[at], ()):
            if tuple(folded[at : at + len(phrase)]) == phrase:
                return len(phrase)
        return 0


def fold(word: str) -> str:
    """Equal for words that differ in case, compatibility forms, marks and invisible characters alone (Unicode, 3.13, D146)."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", word) if not _ignored(c))
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKD", plain).casefold())


def _ignored(c: str) -> bool:
    return unicodedata.category(c)[0] == "M" or unicodedata.category(c) == "Cf"


def _words(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of each run of letters and digits, with what is in between without being seen."""
    start, end = -1, 0
    for at, c in enumerate(text):
        if unicodedata.category(c)[0] in "LN":
            start, end = (at if start < 0 else start), at + 1
        elif not _ignored(c) and start >= 0:
            yield start, end
            start = -1
    if start >= 0:
        yield start, end


class Contained:
    """A filter and what holds it in: one that fails masks words as the default does, and what it says is cleaned once more."""

    def __init__(self, own: WordFilter, default: WordFilter, most: int) -> None:
        self._own = own
        self._default = default
        self._most = most

    def apply(self, text: str, channel: str) -> str:
        """Raises InvalidInput when the text must not be said."""
        try:
            said = self._own.filter(text, channel)
            if said is None:
                raise InvalidInput([("text", "not allowed")])
            return said if said == text else clean(said, self._most)
        except InvalidInput:
            raise
        except Exception as error:  # whatever an operator's class does: the game goes on
            log.error("word_filter_failed", filter=type(self._own).__name__, error=f"{type(error).__name__}: {error}")
        return self._default.filter(text, channel) or text


def load_filter(name: str, words: Sequence[str], most: int) -> Contained:
    """`name` is module:class of a WordFilter that is made without arguments; empty: words are masked.

    Raises SettingsError when it cannot be made.
    """
    default, found = MaskedWords(words), load_class(name, "chat.filter")
    if found is None:
        return Contained(default, default, most)
    try:
        own = found()
    except Exception as error:  # whatever it does as it is made
        reason = f"{name} cannot be made: {type(error).__name__}: {error}"
        raise SettingsError([("chat.filter", reason)]) from error
    if not callable(getattr(own, "filter", None)):
        raise SettingsError([("chat.filter", f"{name} has no method `filter`")])
    return Contained(own, default, most)
