"""What a chat message may hold once others read it (row 2.3). It is shown as text everywhere, never as markup.

Unicode's own terms: general categories (4.5), normalisation (UAX 15), bidirectional controls (UAX 9, 2.1 and 2.2).
"""

from __future__ import annotations

import unicodedata

from cluster.errors import InvalidInput

MAX_RAW = 16_000  # characters; what is longer is not even looked at
MAX_MARKS = 4  # combining marks on one character: more than any script's words need

# Embeddings, overrides and isolates of writing direction make one text look like another. The annotation characters hide text.
_DIRECTION = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_ANNOTATION = "\ufff9\ufffa\ufffb"
_DROPPED = frozenset(_DIRECTION + _ANNOTATION)
# Control characters, halves of surrogate pairs, line and paragraph separators.
_DROPPED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})
# They draw nothing though they are letters or symbols (Default_Ignorable_Code_Point, and the empty Braille pattern).
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")


def clean(text: str, most: int) -> str:
    """NFC, without control characters and direction overrides, with few marks on each character; `most` characters at most.

    What is clean stays as it is. Raises InvalidInput for `text` when it is too long or nothing of it can be seen.
    """
    if len(text) > MAX_RAW:
        raise InvalidInput([("text", f"more than {most} characters")])
    kept = "".join(c for c in text if c not in _DROPPED and unicodedata.category(c) not in _DROPPED_CATEGORIES)
    kept = _few_marks(unicodedata.normalize("NFC", kept))
    if len(kept) > most:
        raise InvalidInput([("text", f"more than {most} characters")])
    if not any(map(_visible, kept)):
        raise InvalidInput([("text", "nothing to say")])
    return kept


def _few_marks(text: str) -> str:
    """Without what comes after MAX_MARKS marks of one character. Format characters between them do not begin a new one."""
    made, marks = [], 0
    for c in text:
        category = unicodedata.category(c)
        if category[0] == "M":
            marks += 1
            if marks > MAX_MARKS:
                continue
        elif category != "Cf":
            marks = 0
        made.append(c)
    return "".join(made)


def _visible(c: str) -> bool:
    return c not in _BLANK and unicodedata.category(c)[0] not in "ZM" and unicodedata.category(c) != "Cf"
