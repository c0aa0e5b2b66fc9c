from __future__ import annotations

import threading

import pytest

from cluster.background import Background
from cluster.errors import Ours


def nothing() -> None:
    pass


def test_result() -> None:
    assert Background(lambda: 42, "sum").wait(5.0, nothing) == 42


def test_error_is_raised_where_it_is_waited_for() -> None:
    def work() -> int:
        raise LookupError("gone")

    background = Background(work, "lookup")
    with pytest.raises(LookupError, match="gone"):
        background.wait(5.0, nothing)


def test_deadline() -> None:
    release = threading.Event()
    background = Background(lambda: release.wait(30.0), "zones")
    with pytest.raises(Ours, match="zones: not done after 0 s"):
        background.wait(0.0, nothing)
    release.set()
    assert background.wait(5.0, nothing) is True


def test_given_up_meanwhile() -> None:
    release = threading.Event()
    background = Background(lambda: release.wait(30.0), "zones")

    def give_up() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        background.wait(30.0, give_up)
    release.set()
    assert background.wait(5.0, nothing) is True
