"""The fault drill against the mock realm, whose "processes" are shells that sleep: killed ones take the sockets with them."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping

import pytest

from cluster.bench import kills
from cluster.bench.realm_under_test import Member
from tests.integration.mock_realm import MockRealm

AWAY_S = 0.5


class Processes:
    """One of each kind. A dead one comes back after AWAY_S; meanwhile what went through it does not work."""

    def __init__(self, realm: MockRealm) -> None:
        self.realm = realm
        self.running = {kind: self._start() for kind in ("zone", "sessions", "gateway")}
        self.returns = True

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "600"])

    def killed(self, pid: int, number: int) -> None:
        """What the drill kills with: a real actor is away from that moment on, not from when somebody notices."""
        kind = next(kind for kind, process in self.running.items() if process.pid == pid)
        if kind == "sessions" and self.returns:
            self._refuse()
        os.kill(pid, number)

    def _refuse(self) -> None:
        self.realm.failures["system.subscribe"] = [(-32006, {"retryAfter": 0})] * 10_000

    def members(self, url: str, environment: Mapping[str, str] | None = None) -> list[Member]:
        return [Member(kind, f"{kind}/0", p.pid) for kind, p in self.running.items() if p.poll() is None]

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            for kind, process in self.running.items():
                if process.poll() is not None and self.returns:
                    await self._suffer(kind)
                    self.running[kind] = self._start()

    async def _suffer(self, kind: str) -> None:
        realm = self.realm
        if kind == "gateway":
            port = await realm.stop_listening()
            realm.cut()
            await asyncio.sleep(AWAY_S)
            await realm.listen(port)
        elif kind == "zone":
            realm.judges = False
            await asyncio.sleep(AWAY_S)
            realm.judges = True
        else:
            self._refuse()
            await asyncio.sleep(AWAY_S)
            realm.failures.clear()

    def stop(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait(5.0)


@pytest.fixture
async def processes(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Processes]:
    async with MockRealm() as realm:
        realm.judges = True
        made = Processes(realm)
        monkeypatch.setattr(kills, "members", made.members)
        monkeypatch.setattr(kills, "STEADY_S", 1.5)
        monkeypatch.setattr(kills, "kill", made.killed)
        watching = asyncio.create_task(made.watch())
        try:
            yield made
        finally:
            watching.cancel()
            made.stop()


async def test_each_kind_is_killed_and_comes_back(processes: Processes) -> None:
    before = {kind: process.pid for kind, process in processes.running.items()}
    result = await kills._drill(processes.realm.url, 3, ["zone", "sessions", "gateway"], {})
    assert result["good"], result
    assert {kind: process.pid for kind, process in processes.running.items()}.keys() == before.keys()
    assert all(process.pid != before[kind] for kind, process in processes.running.items())
    zone, sessions, gateway = result["faults"]
    assert zone["bots_hit"] == 3
    assert zone["view_gap_max_ms"] >= AWAY_S * 1_000
    assert zone["control_ms"] is None
    assert sessions["control_ms"] >= AWAY_S * 1_000 * 0.9
    assert gateway["bots_hit"] == 3
    assert result["recovery_ms"]["sessions"]["p50"] == sessions["control_ms"]
    assert (result["new_logins"], result["reconnects"]) == (0, 3)


async def test_one_that_does_not_come_back_is_no_good_end(
    processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kills, "RESTART_DEADLINE_S", 1.0)
    processes.returns = False
    result = await kills._drill(processes.realm.url, 2, ["zone"], {})
    assert not result["good"]
    assert result["faults"][0]["restarted"] is False
