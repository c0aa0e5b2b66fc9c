from __future__ import annotations

import os
import queue
import signal
import time
from collections.abc import Iterator

import pytest

from cluster.cli import signals
from cluster.cli.signals import Signals

DEADLINE_S = 5.0


@pytest.fixture
def forced() -> queue.SimpleQueue[str]:
    return queue.SimpleQueue()


@pytest.fixture
def watching(forced: queue.SimpleQueue[str]) -> Iterator[Signals]:
    with Signals(forced.put, patience_s=60.0) as watching:
        yield watching


def wait_asked(watching: Signals) -> None:
    until = time.monotonic() + DEADLINE_S
    while watching.asked is None:
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.mark.parametrize("number", signals.REQUESTS)
def test_the_first_is_noted_and_raises_nothing(
    watching: Signals, number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    watching.raise_if_asked()
    os.kill(os.getpid(), number)
    wait_asked(watching)
    with pytest.raises(KeyboardInterrupt, match=number.name):
        watching.raise_if_asked()
    assert capfd.readouterr().err == f"{number.name}: stopping; once more stops at once\n"


def test_the_second_forces(watching: Signals, forced: queue.SimpleQueue[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "AGAIN_AFTER_S", 0.0)
    os.kill(os.getpid(), signal.SIGINT)
    wait_asked(watching)
    os.kill(os.getpid(), signal.SIGTERM)
    assert forced.get(timeout=DEADLINE_S) == "stopping at once"


def test_two_at_once_are_one_request(forced: queue.SimpleQueue[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "AGAIN_AFTER_S", 60.0)
    with Signals(forced.put, patience_s=60.0) as watching:
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            os.kill(os.getpid(), number)
    assert watching.asked == "SIGHUP"
    assert forced.empty()


def test_a_stop_that_takes_too_long(forced: queue.SimpleQueue[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "CHECK_EVERY_S", 0.01)
    with Signals(forced.put, patience_s=0.0) as watching:
        watching.stopping()
        assert "not stopped after 0 s" in forced.get(timeout=DEADLINE_S)


def test_the_handlers_come_back() -> None:
    before = [signal.getsignal(number) for number in signals.REQUESTS]
    with Signals(lambda why: None, patience_s=60.0):
        assert [signal.getsignal(number) for number in signals.REQUESTS] != before
    assert [signal.getsignal(number) for number in signals.REQUESTS] == before
