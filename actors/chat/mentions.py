"""Who is meant by an @Name in a message (row 2.3). Names of characters may hold spaces: "@Anna Lee, come" may mean either."""

from __future__ import annotations

import unicodedata

MAX_MENTIONS = 5
MAX_WORDS = 3  # of one name
MAX_NAME = 24  # serve_apps/accounts/names.py
_INSIDE = frozenset("'-")


def mentioned(text: str) -> list[tuple[str, ...]]:
    """For each @ of the first MAX_MENTIONS the names that it may mean, the longest first. Nobody is named twice."""
    found: dict[tuple[str, ...], None] = {}
    for at, c in enumerate(text):
        if c == "@" and (at == 0 or not _of_name(text[at - 1])):
            names = _names(text[at + 1 : at + 1 + MAX_NAME + 1])
            if names:
                found[names] = None
        if len(found) == MAX_MENTIONS:
            break
    return list(found)


def _names(after: str) -> tuple[str, ...]:
    """`after` is one character longer than a name can be: a word that reaches its end is none."""
    words: list[str] = []
    names: list[str] = []
    for word in after.split(" ")[:MAX_WORDS]:
        length = next((i for i, c in enumerate(word) if not _of_name(c)), len(word))
        words.append(word[:length].rstrip("'-"))
        name = " ".join(words)
        if words[0] and words[-1] and 2 <= len(name) <= MAX_NAME:
            names.append(name)
        if words[-1] != word:  # something else follows
            break
    return tuple(dict.fromkeys(reversed(names)))


def _of_name(c: str) -> bool:
    return c in _INSIDE or unicodedata.category(c)[0] in "LNM"
