"""What users say of themselves is cleaned and filtered as what they say to others (row 3.2)."""

from __future__ import annotations

import pytest

from actors.chat.filtering import load_filter
from actors.presence.saying import said_metadata, said_text
from cluster.errors import InvalidInput
from cluster.social_settings import PresenceSettings

LIMITS = PresenceSettings(max_text=8, max_metadata=2, max_metadata_key=4, max_metadata_value=6)


def masked(text: str) -> str:
    return load_filter("", ("bad",), 100).apply(text, "presence")


def refused(metadata: dict[str, str]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as error:
        said_metadata(metadata, LIMITS, masked)
    return list(error.value.errors)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", ""),
        ("eating", "eating"),
        ("\u202eold\u2069", "old"),
        ("b\u0007ad egg", "*** egg"),
        ("B\u00c1D", "***"),
        ("bado", "bado"),
    ],
)
def test_text(text: str, said: str) -> None:
    assert said_text(text, LIMITS, masked) == said
    assert said_text(said, LIMITS, masked) == said, "what is clean stays as it is"


def test_texts_that_are_refused() -> None:
    for text, reason in (("x" * 9, "more than 8 characters"), ("\u200b", "nothing to say")):
        with pytest.raises(InvalidInput) as error:
            said_text(text, LIMITS, masked)
        assert error.value.errors == [("text", reason)]


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, {}),
        ({"a": "", "b": "x"}, {"a": "", "b": "x"}),
        ({"a\u202eb\u0000": "e\u0301\u2067"}, {"ab": "\u00e9"}),
        ({"bad": "so bad"}, {"***": "so ***"}),
        ({"b\u0007ad": "b\u202ead"}, {"***": "***"}),
    ],
)
def test_metadata(metadata: dict[str, str], said: dict[str, str]) -> None:
    assert said_metadata(metadata, LIMITS, masked) == said
    assert said_metadata(said, LIMITS, masked) == said


@pytest.mark.parametrize(
    ("metadata", "field", "reason"),
    [
        ({"a": "", "b": "", "c": ""}, "metadata", "more than 2 members"),
        ({"": "x"}, "metadata", "a member without a name"),
        ({"\u202e": "x"}, "metadata", "nothing to say"),
        ({"n" * 5: "x"}, "metadata", "more than 4 characters"),
        ({"song": "x" * 7}, "metadata.song", "more than 6 characters"),
        ({"so\u202eng": "\u200b"}, "metadata.song", "nothing to say"),
        ({"ab": "1", "a\u202eb": "2"}, "metadata", "a name twice"),
        ({"bad": "1", "b\u00e1d": "2"}, "metadata", "a name twice"),
    ],
)
def test_metadata_that_is_refused(metadata: dict[str, str], field: str, reason: str) -> None:
    assert refused(metadata) == [(field, reason)]


def test_what_a_filter_refuses() -> None:
    def nothing(text: str) -> str:
        raise InvalidInput([("text", "not allowed")])

    with pytest.raises(InvalidInput) as error:
        said_metadata({"song": "x"}, LIMITS, nothing)
    assert error.value.errors == [("metadata", "not allowed")]
