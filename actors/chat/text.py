"""What a text may hold once others read it (rows 2.3 and 6.2). It is shown as text everywhere, never as markup, and holds none.

Unicode's own terms: general categories (4.5), normalisation (UAX 15), bidirectional controls (UAX 9, 2.1 and 2.2).
"""

from __future__ import annotations

import unicodedata

from actors.chat.markup import TooMuchMarkup, without_markup
from cluster.errors import InvalidInput

MAX_RAW = 16_000  # characters; what is longer is not even looked at, whatever the settings
RAW_FACTOR, RAW_MORE = 4, 1_000  # as much may be said for each character that is kept, and so many beside
MAX_MARKS = 4  # combining marks on one character: more than any script's words need
MAX_FORMATS = 8  # characters that draw nothing, in a row: a flag of emoji has six
ROUNDS = 4

# Embeddings, overrides and isolates of writing direction make one text look like another; they are removed, so that none is left
# open into what a client shows beside the text. Marks of direction (U+200E, U+200F, U+061C) stay: they end with themselves. The
# annotation characters hide text; invisible operators and deprecated format characters are in no script's words.
_DIRECTION = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_ANNOTATION = "\ufff9\ufffa\ufffb"
_USELESS = "\u2061\u2062\u2063\u2064\u206a\u206b\u206c\u206d\u206e\u206f"
_DROPPED = frozenset(_DIRECTION + _ANNOTATION + _USELESS)
# Control characters, halves of surrogate pairs, line and paragraph separators.
_DROPPED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They draw nothing though they are letters or symbols (Default_Ignorable_Code_Point, and the empty Braille pattern).
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def clean(text: str, most: int) -> str:
    """NFC, without control characters, direction overrides and markup, with few marks on each character; `most` characters at most.

    What is clean stays as it is. Raises InvalidInput for `text` when it is too long or nothing of it can be seen.
    """
    if len(text) > min(MAX_RAW, RAW_FACTOR * most + RAW_MORE):
        raise _too_long(most)
    kept = _plain(_characters(text), most)
    if len(kept) > most:
        raise _too_long(most)
    if not any(map(_visible, kept)):
        raise InvalidInput([("text", "nothing to say")])
    return kept


def _too_long(most: int) -> InvalidInput:
    return InvalidInput([("text", f"more than {most} characters")])


def _plain(text: str, most: int) -> str:
    """Without markup. What references stood for may be a character that is dropped, and what is dropped may have been in a tag."""
    if "<" not in text and "&" not in text:
        return text
    if len(text) > most:  # with its tags: to take apart long runs of them costs more than their length
        raise _too_long(most)
    try:
        for _ in range(ROUNDS):
            plain = _characters(without_markup(text))
            if plain == text:
                return text
            text = plain
    except TooMuchMarkup:
        pass
    raise InvalidInput([("text", "too much markup")])


def _characters(text: str) -> str:
    kept = "".join(c for c in text if c not in _DROPPED and unicodedata.category(c) not in _DROPPED_CATEGORIES)
    return _few_marks(unicodedata.normalize("NFC", kept))


def _few_marks(text: str) -> str:
    """Without what comes after MAX_MARKS marks of one character, or MAX_FORMATS format characters.

    Format characters between marks do not begin a new character.
    """
    made, marks, formats = [], 0, 0
    for c in text:
        category = unicodedata.category(c)
        if category[0] == "M":
            marks += 1
            if marks > MAX_MARKS:
                continue
        elif category == "Cf":
            formats += 1
            if formats > MAX_FORMATS:
                continue
        else:
            marks = formats = 0
        made.append(c)
    return "".join(made)


def _visible(c: str) -> bool:
    return c not in _BLANK and unicodedata.category(c)[0] not in "ZM" and unicodedata.category(c) != "Cf"
