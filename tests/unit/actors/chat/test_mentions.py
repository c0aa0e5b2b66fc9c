"""Who may be meant by an @Name."""

from __future__ import annotations

import pytest

from actors.chat.mentions import MAX_MENTIONS, mentioned


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("nobody", []),
        ("@Ann", [("Ann",)]),
        ("hi @Ann, and @Bob Lee: come", [("Ann",), ("Bob Lee", "Bob")]),
        ("@Anna Lee come here", [("Anna Lee come", "Anna Lee", "Anna")]),
        ("me@home.org", []),
        ("@@Zoë!", [("Zoë",)]),
        ("(@Jean-Luc)", [("Jean-Luc",)]),
        ("@Jean- Luc", [("Jean",)]),
        ("@ Ann", []),
        ("@x", []),
        ("@" + "x" * 24, [("x" * 24,)]),
        ("@" + "x" * 25, []),
        ("@Ann @Ann", [("Ann",)]),
    ],
)
def test_names(said: str, meant: list[tuple[str, ...]]) -> None:
    assert mentioned(said) == meant


def test_so_many() -> None:
    said = ", ".join(f"@Name{n}" for n in range(20))
    assert mentioned(said) == [(f"Name{n}",) for n in range(MAX_MENTIONS)]
