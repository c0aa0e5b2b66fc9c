from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Iterator

import pytest
from argon2 import extract_parameters
from argon2.exceptions import InvalidHashError
from argon2.low_level import Type

from cluster.errors import Unavailable
from cluster.settings import AccountSettings
from serve_apps.accounts import passwords as module
from serve_apps.accounts.passwords import Passwords, Verdict

CHEAP = AccountSettings(argon2_memory_kib=8, argon2_time_cost=1, hashing_concurrency=2, hashing_queue=3)
PLACES = CHEAP.hashing_concurrency + CHEAP.hashing_queue


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(CHEAP)
    yield passwords
    passwords.close()


class TestHashes:
    async def test_only_the_same_password_matches(self, passwords: Passwords) -> None:
        stored = await passwords.hash("correct horse")
        assert await passwords.verify(stored, "correct horse") == Verdict(matches=True)
        assert await passwords.verify(stored, "correct horsE") == Verdict(matches=False)
        assert "correct" not in stored

    async def test_the_same_password_twice_has_two_hashes(self, passwords: Passwords) -> None:
        assert await passwords.hash("correct horse") != await passwords.hash("correct horse")

    async def test_the_parameters_are_those_of_the_settings(self, passwords: Passwords) -> None:
        found = extract_parameters(await passwords.hash("correct horse"))
        assert (found.type, found.memory_cost, found.time_cost, found.parallelism) == (Type.ID, 8, 1, 1)

    def test_the_defaults_are_what_owasp_asks_for(self) -> None:
        defaults = AccountSettings()
        assert defaults.argon2_memory_kib >= 19 * 1024
        assert defaults.argon2_time_cost >= 2

    async def test_a_hash_with_old_parameters_is_replaced(self, passwords: Passwords) -> None:
        old = Passwords(CHEAP.model_copy(update={"argon2_time_cost": 2}))
        stored = await old.hash("correct horse")
        old.close()
        assert (await passwords.verify(stored, "wrong horse")).replacement is None
        verdict = await passwords.verify(stored, "correct horse")
        assert verdict.matches
        assert verdict.replacement is not None
        assert await passwords.verify(verdict.replacement, "correct horse") == Verdict(matches=True)

    async def test_a_damaged_hash_is_our_fault(self, passwords: Passwords) -> None:
        with pytest.raises(InvalidHashError):
            await passwords.verify("no hash", "correct horse")


class TestNobody:
    async def test_nobody_has_a_password(self, passwords: Passwords) -> None:
        assert await passwords.verify(None, "correct horse") == Verdict(matches=False)

    async def test_it_costs_what_a_wrong_password_costs(
        self, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The same argon2 call with the same parameters: counted, because a stopwatch would be a bad witness."""
        verified: list[object] = []
        hasher = passwords._hasher
        stored = await passwords.hash("correct horse")

        class Counting:
            def verify(self, stored: str, password: str) -> bool:
                verified.append(extract_parameters(stored))
                return hasher.verify(stored, password)

        monkeypatch.setattr(passwords, "_hasher", Counting())
        await passwords.verify(stored, "wrong horse")
        await passwords.verify(None, "wrong horse")
        assert len(verified) == 2
        assert verified[0] == verified[1]


class Gate:
    """Work that waits until it is let go."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.started = threading.Semaphore(0)
        self.running = 0
        self.most = 0
        self._lock = threading.Lock()

    def __call__(self, password: str) -> str:
        with self._lock:
            self.running += 1
            self.most = max(self.most, self.running)
        self.started.release()
        assert self.open.wait(10)
        with self._lock:
            self.running -= 1
        return f"hash of {password}"


@pytest.fixture
def gate(passwords: Passwords, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate()

    class Hasher:
        hash = staticmethod(gate)

    monkeypatch.setattr(passwords, "_hasher", Hasher())
    yield gate
    gate.open.set()


class TestBounds:
    async def test_room_can_be_asked_for_without_taking_it(self, passwords: Passwords, gate: Gate) -> None:
        async with asyncio.timeout(10):
            for _ in range(PLACES * 2):
                passwords.expect_room()
            tasks = [asyncio.create_task(passwords.hash(str(n))) for n in range(PLACES)]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable) as refused:
                passwords.expect_room()
            assert refused.value.retry_after_s > 0
            gate.open.set()
            await asyncio.gather(*tasks)
            passwords.expect_room()

    @pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority of their own on Linux alone")
    async def test_hashing_yields_to_everything_else(
        self, passwords: Passwords, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Asking:
            def hash(self, password: str) -> str:
                return str(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))

        monkeypatch.setattr(passwords, "_hasher", Asking())
        here = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
        assert int(await passwords.hash("x")) == max(module._NICE, here) > 0
        assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == here, "the event loop stays as it was"

    async def test_only_so_many_run_and_wait(self, passwords: Passwords, gate: Gate) -> None:
        async with asyncio.timeout(10):
            tasks = [asyncio.create_task(passwords.hash(str(n))) for n in range(PLACES)]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable) as refused:
                await passwords.hash("one too many")
            assert refused.value.retry_after_s > 0
            gate.open.set()
            assert await asyncio.gather(*tasks) == [f"hash of {n}" for n in range(PLACES)]
            assert gate.most <= CHEAP.hashing_concurrency
            assert await passwords.hash("room again") == "hash of room again"

    async def test_a_caller_that_goes_away_does_not_free_the_thread(self, passwords: Passwords, gate: Gate) -> None:
        async with asyncio.timeout(10):
            tasks = [asyncio.create_task(passwords.hash(str(n))) for n in range(PLACES)]
            await asyncio.sleep(0)
            for _ in range(CHEAP.hashing_concurrency):
                assert await asyncio.to_thread(gate.started.acquire, timeout=5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # What only waited is dropped; what runs cannot be stopped and still counts.
            later = [asyncio.create_task(passwords.hash("x")) for _ in range(CHEAP.hashing_queue)]
            await asyncio.sleep(0)
            with pytest.raises(Unavailable):
                await passwords.hash("one too many")
            gate.open.set()
            assert await asyncio.gather(*later) == ["hash of x"] * CHEAP.hashing_queue

    async def test_waiting_ends(self, passwords: Passwords, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "DEADLINE_S", 0.01)
        with pytest.raises(Unavailable):
            await passwords.hash("x")
