"""Unit tests are plain Python: no network, no processes, no Ray. A test that reaches for one fails."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest

_NETWORK = frozenset({socket.AF_INET, socket.AF_INET6})
_SOCKET_EVENTS = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"})

_watching = False
_violations: list[str] = []


class ForbiddenInUnitTestsError(Exception):
    """What the test, or the code under test, tried to do."""


def _refuse(what: str) -> NoReturn:
    _violations.append(what)
    raise ForbiddenInUnitTestsError(what)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    """An audit hook (PEP 578) sees an attempt by any library; it cannot be removed, hence the switch."""
    if not _watching:
        return
    opens_network = event in _SOCKET_EVENTS and args[0].family in _NETWORK
    if opens_network or event == "subprocess.Popen":
        _refuse(f"{event} {args[1]}")


sys.addaudithook(_hook)


@pytest.fixture(autouse=True)
def forbidden_attempts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """An attempt raises where it is made, and fails the test even where that code catches everything."""
    global _watching
    ray = sys.modules.get("ray")
    if ray is not None:
        monkeypatch.setattr(ray, "init", lambda *args, **kwargs: _refuse("ray.init"))
    _violations.clear()
    _watching = True
    try:
        yield _violations
    finally:
        _watching = False
    if _violations:
        pytest.fail(f"not in a unit test: {'; '.join(_violations)}", pytrace=False)
