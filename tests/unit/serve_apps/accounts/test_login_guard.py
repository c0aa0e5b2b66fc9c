"""How often somebody may try (login_guard.py), by what the service answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from cluster.adapters.memory.limits import MemoryLimiter
from cluster.adapters.memory.lockouts import MemoryLockouts
from cluster.errors import Conflict, InvalidInput, RateLimited, Unauthorized, Unavailable
from cluster.security_settings import LOOPBACK, LoginSettings, Network, Rate
from cluster.telemetry.login_metrics import LoginMetrics
from serve_apps.accounts.login_guard import LoginGuard
from serve_apps.accounts.passwords import Passwords, Verdict
from serve_apps.accounts.service import AccountService
from tests.unit.serve_apps.accounts.conftest import World

PASSWORD = "correct horse"
HOME, STRANGER = "198.51.100.1", "203.0.113.9"
SETTINGS = LoginSettings(
    failures=3,
    lock_s=30.0,
    max_lock_s=120.0,
    attempts_per_address=Rate(per_s=0.1, burst=8),
    registrations_per_address=Rate(per_s=0.1, burst=2),
)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What each verification was asked to compare with."""
    seen: list[str | None] = []
    verify = Passwords.verify

    async def counting(self: Passwords, stored: str | None, password: str) -> Verdict:
        seen.append(stored)
        return await verify(self, stored, password)

    monkeypatch.setattr(Passwords, "verify", counting)
    return seen


Guarded = Callable[..., AccountService]


@pytest.fixture
def guarded(service: AccountService, world: World) -> Guarded:
    def make(settings: LoginSettings = SETTINGS, exempt: tuple[Network, ...] = LOOPBACK) -> AccountService:
        def clock() -> float:
            return world.now

        return replace(service, guard=LoginGuard(settings, exempt, MemoryLimiter(clock), MemoryLockouts(clock)))

    return make


async def reason(call: Awaitable[object]) -> str:
    try:
        await call
    except (RateLimited, Unauthorized, Conflict, InvalidInput) as refusal:
        return refusal.reason
    return ""


class TestLocks:
    @pytest.mark.parametrize("username", ["ada", "nobody-here", "no name at all"])
    async def test_known_and_unknown_names_answer_the_same(
        self, guarded: Guarded, hashes: list[str | None], username: str
    ) -> None:
        service = guarded()
        await service.register("ada", PASSWORD, HOME)
        answers = [await reason(service.login(username, f"wrong {n}", STRANGER)) for n in range(5)]
        assert answers == ["bad_credentials"] * 3 + ["locked"] * 2
        assert len(hashes) == 3, "one for each guess, none while it is locked"

    async def test_a_locked_name_answers_the_same_for_the_right_password(self, guarded: Guarded) -> None:
        service = guarded()
        await service.register("ada", PASSWORD, HOME)
        for _ in range(3):
            await reason(service.login("ada", "wrong horse", STRANGER))
        refused: list[RateLimited] = []
        for password in ("wrong horse", PASSWORD, "", "x" * 500):
            with pytest.raises(RateLimited) as caught:
                await service.login("ADA", password, STRANGER)
            refused.append(caught.value)
        assert {(str(each), each.reason, each.retry_after_s) for each in refused} == {("locked", "locked", 30.0)}

    async def test_of_guesses_at_once_no_more_are_judged(self, guarded: Guarded, hashes: list[str | None]) -> None:
        service = guarded(SETTINGS.model_copy(update={"attempts_per_address": Rate(per_s=1.0, burst=100)}))
        await service.register("ada", PASSWORD, HOME)
        guesses = [service.login("ada", f"wrong {n}", f"203.0.113.{n}") for n in range(40)]
        answers = await asyncio.gather(*(reason(guess) for guess in guesses))
        assert sorted(answers) == ["bad_credentials"] * 3 + ["locked"] * 37
        assert len(hashes) == 3

    async def test_the_lock_ends_and_a_success_begins_anew(self, guarded: Guarded, world: World) -> None:
        service = guarded()
        await service.register("ada", PASSWORD, HOME)
        for _ in range(4):
            await reason(service.login("ada", "wrong horse", STRANGER))
        world.now += 30.0
        await service.login("ada", PASSWORD, STRANGER)
        answers = [await reason(service.login("ada", "wrong horse", STRANGER)) for _ in range(4)]
        assert answers == ["bad_credentials"] * 3 + ["locked"]

    async def test_a_stranger_does_not_lock_the_owner_out(self, guarded: Guarded, world: World) -> None:
        service = guarded()
        await service.register("ada", PASSWORD, HOME)
        await service.login("ada", PASSWORD, HOME)
        for _ in range(50):
            await reason(service.login("ada", "wrong horse", STRANGER))
            world.now += 10.0
        assert await reason(service.login("ada", PASSWORD, STRANGER)) == "locked"
        await service.login("ada", PASSWORD, HOME)

    async def test_the_networks_of_version_6_are_one_address(self, guarded: Guarded) -> None:
        service = guarded()
        await service.register("ada", PASSWORD, HOME)
        await service.login("ada", PASSWORD, "2001:db8::1")
        for _ in range(3):
            await reason(service.login("ada", "wrong horse", STRANGER))
        await service.login("ada", PASSWORD, "2001:db8::2")
        assert await reason(service.login("ada", PASSWORD, "2001:db8:0:1::1")) == "locked"

    async def test_what_could_not_be_judged_does_not_count(
        self, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = guarded(SETTINGS.model_copy(update={"attempts_per_address": Rate(per_s=1.0, burst=100)}))
        await service.register("ada", PASSWORD, HOME)

        async def busy(stored: str | None, password: str) -> Verdict:
            raise Unavailable("password hashing")

        with monkeypatch.context() as patch:
            patch.setattr(service.passwords, "verify", busy)
            for _ in range(10):
                with pytest.raises(Unavailable):
                    await service.login("ada", PASSWORD, STRANGER)
        await service.login("ada", PASSWORD, STRANGER)

    async def test_without_room_for_a_hash_nothing_is_counted(
        self, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service = guarded()
        monkeypatch.setattr(service.passwords, "_places", type("Full", (), {"acquire": lambda self, blocking: False})())

        async def counted(name: str, address: str) -> None:
            raise AssertionError("counted for nothing")

        monkeypatch.setattr(LoginGuard, "guess", counted)
        with pytest.raises(Unavailable) as refused:
            await service.login("ada", PASSWORD, STRANGER)
        assert refused.value.retry_after_s > 0


class TestAddresses:
    async def test_many_names_from_one_address(self, guarded: Guarded, hashes: list[str | None]) -> None:
        service = guarded()
        answers = [await reason(service.login(f"name-{n}", "some password", STRANGER)) for n in range(12)]
        assert answers == ["bad_credentials"] * 8 + ["too_many_attempts"] * 4
        assert len(hashes) == 8, "refused before anything is hashed"
        assert await reason(service.login("name-99", "some password", "203.0.113.10")) == "bad_credentials"

    async def test_it_takes_as_long_as_it_says(self, guarded: Guarded, world: World) -> None:
        service = guarded()
        for n in range(8):
            await reason(service.login(f"name-{n}", "some password", STRANGER))
        with pytest.raises(RateLimited) as refused:
            await service.login("name-9", "some password", STRANGER)
        world.now += refused.value.retry_after_s
        assert await reason(service.login("name-9", "some password", STRANGER)) == "bad_credentials"

    async def test_registrations_have_a_limit_of_their_own_and_probes_count(self, guarded: Guarded) -> None:
        """A probe for taken names is a registration like any other."""
        service = guarded()
        await service.register("ada", PASSWORD, HOME)
        answers = [await reason(service.register("ada", PASSWORD, STRANGER)) for _ in range(4)]
        assert answers == ["username_taken"] * 2 + ["too_many_attempts"] * 2
        assert await reason(service.login("ada", PASSWORD, STRANGER)) == ""

    async def test_exempt_ones_have_no_limit_but_locks_hold(self, guarded: Guarded) -> None:
        service = guarded()
        names = [await reason(service.login(f"name-{n}", "some password", "127.0.0.1")) for n in range(30)]
        assert names == ["bad_credentials"] * 30
        guesses = [await reason(service.login("ada", f"wrong {n}", "127.0.0.1")) for n in range(4)]
        assert guesses == ["bad_credentials"] * 3 + ["locked"]
        assert await reason(guarded(exempt=()).login("ada", "wrong one", "127.0.0.1")) == "bad_credentials"


class TestRegistration:
    async def test_a_refused_password_tells_nothing_of_the_name(self, guarded: Guarded) -> None:
        service = guarded(SETTINGS.model_copy(update={"registrations_per_address": Rate(per_s=1.0, burst=100)}))
        await service.register("ada", PASSWORD, HOME)
        for username in ("ada", "eve"):
            assert await reason(service.register(username, "password1", HOME)) == "password_too_common"


def outcomes(registry: CollectorRegistry, what: str) -> dict[str, float]:
    samples = next(m for m in registry.collect() if m.name == f"rayrealm_{what}_attempts").samples
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.value}


async def test_outcomes_are_counted_by_reason(guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    service = replace(guarded(), tried=LoginMetrics(registry).attempt)
    await service.register("ada", PASSWORD, HOME)
    await reason(service.register("ada", PASSWORD, HOME))
    await reason(service.register("eve", "password1", STRANGER))
    await reason(service.register("eve", PASSWORD, HOME))
    for _ in range(8):
        await reason(service.login("ada", "wrong horse", STRANGER))
    await reason(service.login("ada", "wrong horse", STRANGER))
    assert outcomes(registry, "register") == {
        "done": 1,
        "username_taken": 1,
        "password_too_common": 1,
        "too_many_attempts": 1,
    }
    assert outcomes(registry, "login") == {"bad_credentials": 3, "locked": 5, "too_many_attempts": 1}
    monkeypatch.setattr(LoginGuard, "login", _broken)
    with pytest.raises(RuntimeError):
        await service.login("ada", PASSWORD, STRANGER)
    assert outcomes(registry, "login")["failed"] == 1


async def _broken(self: LoginGuard, address: str) -> None:
    raise RuntimeError("a bug")
