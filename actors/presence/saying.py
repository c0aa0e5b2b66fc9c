"""What users say of themselves beside their status: a text, and members that a game gives a meaning to (row 3.2). Plain rules.

Others read all of it, names of members included, so it is cleaned as what is said in a chat is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from actors.chat.text import clean
from cluster.errors import InvalidInput
from cluster.social_settings import PresenceSettings

# What is clean, as others may read it. Raises InvalidInput.
Filter = Callable[[str], str]


def _as_it_is(text: str) -> str:
    return text


def said_text(text: str, limits: PresenceSettings, word_filter: Filter = _as_it_is) -> str:
    """ "" is no text. Raises InvalidInput for `text` when it is too long or nothing of it can be seen."""
    return _said("text", text, limits.max_text, word_filter)


def said_metadata(
    metadata: Mapping[str, str], limits: PresenceSettings, word_filter: Filter = _as_it_is
) -> dict[str, str]:
    """Values may be "". Raises InvalidInput for `metadata`, also when two names are the same then, or for `metadata.<name>`."""
    if len(metadata) > limits.max_metadata:
        raise InvalidInput([("metadata", f"more than {limits.max_metadata} members")])
    made: dict[str, str] = {}
    for name, value in metadata.items():
        shown = _said("metadata", name, limits.max_metadata_key, word_filter)
        if not shown or shown in made:
            raise InvalidInput([("metadata", "a name twice" if shown else "a member without a name")])
        made[shown] = _said(f"metadata.{shown}", value, limits.max_metadata_value, word_filter)
    return made


def _said(field: str, text: str, most: int, word_filter: Filter) -> str:
    if not text:
        return ""
    try:
        return word_filter(clean(text, most))
    except InvalidInput as refused:
        raise InvalidInput([(field, reason) for _, reason in refused.errors]) from None
