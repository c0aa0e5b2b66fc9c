from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr

from cluster import preflight
from cluster.preflight import Facts, PortHolder
from cluster.settings import GatewaySettings, NatsSettings, RedisSettings, Settings

GOOD = Facts(
    python=(3, 11),
    open_files=20_000,
    cpus=2,
    memory_mib=8_000,
    port_free=True,
    port_holder=None,
    missing=(),
)


@pytest.fixture
def settings() -> Settings:
    return Settings.model_construct(**{name: f.default for name, f in Settings.model_fields.items()})


def only(settings: Settings, facts: Facts) -> str:
    (line,) = preflight.problems(settings, facts)
    assert "\n" not in line
    return line


def test_a_good_machine(settings: Settings) -> None:
    assert preflight.problems(settings, GOOD) == []
    assert preflight.problems(settings, replace(GOOD, memory_mib=None)) == []


def test_old_python(settings: Settings) -> None:
    assert only(settings, replace(GOOD, python=(3, 9))) == "Python 3.9 is too old: install Python 3.11 or newer"


def test_port_taken(settings: Settings) -> None:
    line = only(settings, replace(GOOD, port_free=False, port_holder=PortHolder(77, "haproxy")))
    assert line == "port 8000 of 127.0.0.1 is taken by haproxy (pid 77): stop it or choose another with --port"


@pytest.mark.parametrize("holder", [None, PortHolder(None, "another user's process")])
def test_port_taken_by_who_knows(settings: Settings, holder: PortHolder | None) -> None:
    line = only(settings, replace(GOOD, port_free=False, port_holder=holder))
    assert line == "port 8000 of 127.0.0.1 is taken: stop what listens there or choose another with --port"


def test_too_few_files(settings: Settings) -> None:
    line = only(settings, replace(GOOD, open_files=1_024))
    assert "may open 1024 files and the realm needs 4500: run `ulimit -n 4500`" in line
    assert preflight.problems(settings, replace(GOOD, open_files=4_500)) == []


def test_a_small_realm_needs_few_files(settings: Settings) -> None:
    small = settings.model_copy(update={"gateway": GatewaySettings(capacity=100)})
    assert preflight.needed_files(small) == 1_500
    assert preflight.max_connections(small, 1_500) == preflight.MIN_CONNECTIONS


def test_too_little_memory(settings: Settings) -> None:
    line = only(settings, replace(GOOD, memory_mib=900))
    assert line.startswith("900 MiB of memory are free and the realm needs about ")
    many = settings.model_copy(update={"gateways": 20})
    assert preflight.needed_memory_mib(many) > preflight.needed_memory_mib(settings)
    watched = settings.model_copy(update={"world": settings.world.model_copy(update={"standby": True})})
    more = preflight.needed_memory_mib(watched) - preflight.needed_memory_mib(settings)
    assert more == len(settings.world.zones) * preflight.MEMORY_OF_A_PROCESS_MIB


def test_missing_programs_come_first_and_all_are_told(settings: Settings) -> None:
    bad = replace(GOOD, missing=("no Valkey: give --redis",), python=(3, 10), port_free=False)
    lines = preflight.problems(settings, bad)
    assert len(lines) == 3
    assert lines[0] == "no Valkey: give --redis"


class TestMaxConnections:
    """HAProxy 2.8 refuses a configuration if 2.5 x maxconn, 36 and what it needs for each replica is more than the limit.

    It is reloaded whenever a replica comes or goes, so there has to be room for many.
    """

    @pytest.mark.parametrize("limit", [4_500, 20_000, 65_536])
    def test_fits(self, settings: Settings, limit: int) -> None:
        assert 2.5 * preflight.max_connections(settings, limit) + 36 + 400 <= limit

    def test_not_more_than_the_gateways_can_use(self, settings: Settings) -> None:
        assert preflight.max_connections(settings, 1_048_576) == 2 * 4_000 * 5 // 4 + 400

    def test_what_preflight_lets_pass_is_enough_to_be_refused_politely(self, settings: Settings) -> None:
        assert preflight.max_connections(settings, preflight.needed_files(settings)) >= preflight.MIN_CONNECTIONS


class TestReachable:
    OWN = frozenset({"127.0.0.1", "192.0.2.1"})

    def test_one_machine(self, settings: Settings) -> None:
        assert preflight.reachable_only_here(settings, ["127.0.0.1", "192.0.2.1"], self.OWN) is None

    def test_elsewhere(self, settings: Settings) -> None:
        problem = preflight.reachable_only_here(settings, ["192.0.2.1", "192.0.2.7"], self.OWN)
        assert problem is not None
        assert "192.0.2.7" in problem
        assert "give --redis and --nats" in problem

    def test_elsewhere_with_servers_of_ones_own(self, settings: Settings) -> None:
        redis = settings.model_copy(update={"redis": RedisSettings(url=SecretStr("redis://h:1"))})
        problem = preflight.reachable_only_here(redis, ["192.0.2.7"], self.OWN)
        assert problem is not None
        assert problem.endswith("give --nats")
        both = redis.model_copy(update={"nats": NatsSettings(url=SecretStr("nats://h:1"))})
        assert preflight.reachable_only_here(both, ["192.0.2.7"], self.OWN) is None
