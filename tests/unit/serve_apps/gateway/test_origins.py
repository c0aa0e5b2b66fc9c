"""Which pages may open sockets."""

from __future__ import annotations

import pytest

from serve_apps.gateway.origins import Origins

GAME = "https://game.example"


@pytest.mark.parametrize(
    ("patterns", "origin", "fine"),
    [
        (("*",), "https://anything.example", True),
        (("*",), "null", True),
        ((GAME,), GAME, True),
        ((GAME,), "HTTPS://Game.Example", True),
        ((GAME,), None, True),
        ((GAME,), "https://evil.example", False),
        ((GAME,), "http://game.example", False),
        ((GAME,), "https://game.example.evil.example", False),
        ((GAME,), "https://game.example:8443", False),
        ((GAME,), "null", False),
        ((GAME,), "", False),
        ((), GAME, False),
        (("null",), "null", True),
        (("https://*.game.example",), "https://eu.game.example", True),
        (("https://*.game.example",), "https://a.b.game.example", True),
        (("https://*.game.example",), "https://game.example", False),
        (("https://*.game.example",), "https://evil.example/.game.example", False),
        (("https://*.game.example",), "https://evil.example#.game.example", False),
        (("https://*.game.example",), "https://user@evil.example?.game.example", False),
        (("https://game.example:*",), "https://game.example:8443", True),
        (("http://[::1]:8000",), "http://[::1]:8000", True),
        (("https://game.example",), "https://gameXexample", False),
    ],
)
def test_patterns(patterns: tuple[str, ...], origin: str | None, fine: bool) -> None:
    assert Origins(patterns, needed=False).allow(origin, "realm.example") is fine


@pytest.mark.parametrize(
    ("origin", "host", "fine"),
    [
        ("http://realm.example", "realm.example", True),
        ("https://Realm.Example", "realm.EXAMPLE", True),
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://[::1]:8000", "[::1]:8000", True),
        ("https://realm.example", "realm.example:443", True),
        ("https://realm.example:443", "realm.example", True),
        ("https://realm.example:8443", "realm.example", False),
        ("http://realm.example.evil.example", "realm.example", False),
        ("http://realm.example@evil.example", "realm.example", False),
        ("http://evil.example#realm.example", "realm.example", False),
        ("http://evil.example/realm.example", "realm.example", False),
        ("http://evil.example\\realm.example", "realm.example", False),
        ("null", "null", False),
        ("file://", "realm.example", False),
        ("", "", False),
        ("http://", "", False),
    ],
)
def test_the_page_of_the_realm_itself(origin: str, host: str, fine: bool) -> None:
    assert Origins(("self",), needed=True).allow(origin, host) is fine


def test_those_who_have_none() -> None:
    assert Origins(("self",), needed=False).allow(None, "realm.example")
    assert not Origins(("*",), needed=True).allow(None, "realm.example")
