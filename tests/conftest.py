"""Fixtures for every kind of test: real servers, started once and only when a test asks for them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import pytest
from hypothesis import settings

from cluster.telemetry import logs
from tests.real_realm import RealRealm, real_realm
from tests.servers import Nats, Valkey

# The same examples in every run; `HYPOTHESIS_PROFILE=explore` looks for new ones. Deadlines would measure the machine.
settings.register_profile("seeded", derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=2_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "seeded"))


# Seconds for one test with what it starts and ends. Nothing should come near them.
REALM_S, SLOW_S = 480.0, 1_500.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A realm of Ray takes its time to start, and what is slow says so."""
    for item in items:
        for name, seconds in (("slow", SLOW_S), ("realm", REALM_S)):
            if item.get_closest_marker(name) is not None:
                item.add_marker(pytest.mark.timeout(seconds))
                break


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Whatever a test makes of the process's log, the next one hears every line."""
    level, stream = logs.level(), logs._live.stream
    yield
    logs.set_level(level)
    logs._live.stream = stream


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The Valkey that tests share; one that wants to kill a server starts its own."""
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


@pytest.fixture(scope="session")
def valkey_url(valkey_server: Valkey) -> str:
    """redis://:password@127.0.0.1:port/0"""
    return valkey_server.url


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nats]:
    """The NATS that tests share; one that wants to kill a server starts its own."""
    with Nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="session")
def nats_url(nats_server: Nats) -> str:
    """nats://127.0.0.1:port"""
    return nats_server.url


@pytest.fixture(scope="session")
def nats_token(nats_server: Nats) -> str:
    return nats_server.token


@pytest.fixture
def namespace() -> str:
    """Unique for each test: a prefix of keys and subjects, so that tests share servers and nothing else."""
    return f"test-{secrets.token_hex(6)}"


# Passwords are not what these tests are about.
REALM_CONFIG = """
[accounts]
argon2_memory_kib = 256
argon2_time_cost = 1
"""


@pytest.fixture(scope="session")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRealm]:
    """A whole realm on Ray, which the tests marked `realm` share, with two gateways.

    A test that kills something waits until it is back; one that stops the realm starts its own.
    """
    with real_realm(tmp_path_factory.mktemp("realm"), REALM_CONFIG) as running:
        yield running
