"""The benchmark of presence: what it counts, and what it falls short of."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from cluster.bench import cli, presence
from cluster.bench.presence import BULK, Watching, shortcomings
from cluster.errors import Ours
from rayrealm_client.codec import Notification
from rayrealm_client.models import Ready


class Client:
    """Answers as a realm does; `others` hear of each change of this one."""

    def __init__(self) -> None:
        self.on_ready: Callable[[Ready, str], None] | None = None
        self.on_notice: Callable[[Notification], None] | None = None
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.others: list[Client] = []
        self.presences = BULK

    async def request(self, method: str, params: dict[str, Any], timeout_s: float) -> Any:
        self.asked.append((method, params))
        if method == "presence.update":
            for other in self.others:
                assert other.on_notice is not None
                other.on_notice(Notification("presence.changed", {"user_id": "usr_star", **params}, 1))
                other.on_notice(Notification("chat.message", {"text": "7"}, 2))
        return {"presences": [{}] * self.presences}


@pytest.fixture
def star() -> Client:
    star = Client()
    star.others = [Client(), Client()]
    return star


def watching_of(star: Client) -> Watching:
    watching = Watching(star, star.others)  # type: ignore[arg-type]
    for number in range(2):
        watching._users[number] = f"usr_{number}"
    watching._users[2] = "usr_star"
    return watching


async def test_each_watcher_counts_once_for_each_change(star: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "EVERY_S", 0.0)
    watching = watching_of(star)
    result = await watching.change(3)
    assert (result["changes"], result["told"], result["untold"]) == (3, 6, 0)
    assert [params["status"] for _, params in star.asked] == ["busy", "online", "busy"]
    assert result["change"]["p99_ms"] >= 0.0


async def test_who_is_not_told_is_counted(star: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "EVERY_S", 0.0)
    monkeypatch.setattr(presence, "HEAR_S", 0.01)
    watching = watching_of(star)
    star.others.pop()
    assert (await watching.change(2))["untold"] == 1


async def test_they_subscribe_to_the_star_and_it_asks_for_many(star: Client) -> None:
    watching = watching_of(star)
    async with asyncio.timeout(5.0):
        await watching.subscribe(star.others[0])  # type: ignore[arg-type]
        figures = await watching.get(2)
    assert star.others[0].asked == [("presence.subscribe", {"user_ids": ["usr_star"]})]
    asked = star.asked[-1][1]["user_ids"]
    assert (len(asked), len(set(asked)), asked[:3]) == (BULK, BULK, ["usr_0", "usr_1", "usr_star"])
    assert figures["max_ms"] is not None
    star.presences = BULK - 1
    with pytest.raises(Ours):
        await watching.get(1)


def test_memory_is_measured_in_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    said = subprocess.CompletedProcess([], 0, stdout=json.dumps({"bytes_per_user": 7}))
    asked: list[list[str]] = []

    def run(argv: list[str], **how: Any) -> Any:
        asked.append(argv)
        assert how["timeout"] == presence.MEMORY_S
        return said

    monkeypatch.setattr(subprocess, "run", run)
    assert presence._memory(1_500, 1) == {"bytes_per_user": 7}
    assert asked == [[sys.executable, "-m", presence.MEASURE, "1500", "1"]]
    assert importlib.util.find_spec(presence.MEASURE) is not None
    said.stdout = "no JSON"
    with pytest.raises(Ours):
        presence._memory(1_500, 1)


def a_result(p99: float | None = 90.0, size: int = 800, untold: int = 0) -> dict[str, Any]:
    return {"untold": untold, "change": {"p99_ms": p99}, "memory": [{"bytes_per_user": size}]}


@pytest.mark.parametrize(
    ("result", "problems"),
    [
        (a_result(), 0),
        (a_result(p99=251.0), 1),
        (a_result(p99=None, untold=3), 2),
        (a_result(size=1_025), 1),
    ],
)
def test_what_it_falls_short_of(result: dict[str, Any], problems: int, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(shortcomings(result)) == problems
    monkeypatch.setattr(cli, "run_presence", lambda *args, **kwargs: result)
    assert cli.bench_presence(10, 1_000, as_json=True) == (1 if problems else 0)
