"""What users may call themselves and their characters, and what may be a password (PROTOCOL.md, HTTP API)."""

from __future__ import annotations

import re
import unicodedata

USERNAME_PATTERN = r"^[A-Za-z0-9_.\-]{3,32}$"
PASSWORD_LENGTH = (8, 128)
CHARACTER_NAME_LENGTH = (2, 24)

_USERNAME = re.compile(USERNAME_PATTERN.removeprefix("^").removesuffix("$"))
# Letters that draw nothing (Unicode, Default_Ignorable_Code_Point): a name of these would look empty.
_BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0")
_DIGITS = frozenset("0123456789")
_OTHERS = frozenset(" '-")


def clean_text(raw: str) -> str:
    """`raw`. Raises ValueError for half a surrogate pair: JSON can escape one, and nothing can encode it."""
    if any("\ud800" <= character <= "\udfff" for character in raw):
        raise ValueError("must be Unicode text")
    return raw


def clean_username(raw: str) -> str:
    """The username in lower case. Raises ValueError. ASCII alone: nobody can look like somebody else."""
    if not _USERNAME.fullmatch(raw):
        raise ValueError("must be 3 to 32 of a-z, 0-9, '_', '.' and '-'")
    return raw.lower()


def clean_password(raw: str) -> str:
    """The password in NFKC (NIST SP 800-63B, section 5.1.1.2): the same from every keyboard. Raises ValueError.

    Its characters are counted as typed, too: a single one can stand for eighteen (U+FDFA).
    """
    password = unicodedata.normalize("NFKC", clean_text(raw))
    shortest, longest = PASSWORD_LENGTH
    if min(len(raw), len(password)) < shortest or len(password) > longest:
        raise ValueError(f"must have {shortest} to {longest} characters")
    return password


def clean_character_name(raw: str) -> str:
    """The name in NFC, without spaces at its ends and with single ones inside. Raises ValueError."""
    name = " ".join(part for part in unicodedata.normalize("NFC", raw).split(" ") if part)
    shortest, longest = CHARACTER_NAME_LENGTH
    if not shortest <= len(name) <= longest:
        raise ValueError(f"must have {shortest} to {longest} characters")
    if not all(_is_letter(character) or character in _DIGITS or character in _OTHERS for character in name):
        raise ValueError("may hold letters, the digits 0 to 9, spaces, ' and -")
    if not any(_is_letter(character) or character in _DIGITS for character in name):
        raise ValueError("needs a letter or a digit")
    return name


def _is_letter(character: str) -> bool:
    return character.isalpha() and character not in _BLANK_LETTERS
