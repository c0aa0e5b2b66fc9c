from __future__ import annotations

from pathlib import Path

import pytest
from uvicorn.middleware.proxy_headers import _TrustedHosts

from cluster import rayenv
from cluster.rayenv import RayFacts
from cluster.settings import RaySettings, Settings

SESSION = Path("/tmp/rr-abcd1234")
UNIX_PATH_MAX = 107
NODE_ID = "a" * 56  # HAProxy's manager puts its files into a folder named after the node
PENDING = ".4194304.tmp"  # what HAProxy adds while it binds


@pytest.fixture
def settings() -> Settings:
    return Settings.model_construct(**{name: f.default for name, f in Settings.model_fields.items()})


@pytest.fixture
def facts() -> RayFacts:
    return RayFacts(
        cpus=2,
        session=SESSION,
        token_file=Path("/data/ray-token"),
        haproxy=SESSION / "haproxy",
        ports=(5_001, 5_002, 5_003),
    )


def test_what_serve_needs_anywhere(settings: Settings) -> None:
    flags = rayenv.serve_flags(settings, 20_000, "module:install")
    assert flags["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert flags["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"] == "module:install"
    assert flags["RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD"] == "0"
    assert flags["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"] == "86400"
    assert flags["RAY_worker_niceness"] == "0"
    assert 2.5 * int(flags["RAY_SERVE_HAPROXY_MAXCONN"]) + 436 <= 20_000


def test_a_leaving_gateway_is_noticed_soon(settings: Settings) -> None:
    assert rayenv.serve_flags(settings, 20_000, "m:f")["RAY_SERVE_HAPROXY_HEALTH_CHECK_INTER"] == "1s"


def test_a_vanished_node_is_missed_within_ten_seconds() -> None:
    flags = rayenv.node_flags(Path("/opt/realm/bin"), {})
    each_ms = int(flags["RAY_health_check_period_ms"]) + int(flags["RAY_health_check_timeout_ms"])
    assert int(flags["RAY_health_check_failure_threshold"]) * each_ms < 10_000 - 2_000


def test_a_machine_that_stalls_keeps_its_only_node(settings: Settings, facts: RayFacts) -> None:
    own = rayenv.serve_flags(settings, 20_000, "m:f") | rayenv.local_flags(settings, facts)
    assert not [name for name in own if name.startswith("RAY_health_check")]


def test_nodes_have_our_haproxy() -> None:
    flags = rayenv.node_flags(Path("/opt/realm/bin"), {})
    assert flags["RAY_SERVE_HAPROXY_BINARY_PATH"] == "/opt/realm/bin/rayrealm-haproxy"
    assert flags["RAYREALM_EDGE_FILE"] == "/etc/rayrealm/edge.json"
    assert rayenv.node_flags(Path("/bin"), {"RAYREALM_EDGE_FILE": "/run/e"})["RAYREALM_EDGE_FILE"] == "/run/e"


def test_uvicorn_believes_no_client(settings: Settings) -> None:
    """It takes X-Forwarded-For from this machine for true, unless told."""
    flags = rayenv.serve_flags(settings, 20_000, "m:f")
    trusted = _TrustedHosts(flags["FORWARDED_ALLOW_IPS"])
    assert "127.0.0.1" not in trusted
    assert "::1" not in trusted
    assert "" not in trusted


def test_ports_come_back_before_a_crashing_gateway_uses_them_up(settings: Settings) -> None:
    flags = rayenv.serve_flags(settings, 20_000, "m:f")
    assert float(flags["RAY_SERVE_PORT_QUARANTINE_S"]) < float(flags["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"])


def test_every_value_is_text(settings: Settings, facts: RayFacts) -> None:
    flags = rayenv.serve_flags(settings, 20_000, "m:f") | rayenv.local_flags(settings, facts) | rayenv.joined_flags({})
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in flags.items())


def test_a_local_ray_keeps_to_itself(settings: Settings, facts: RayFacts) -> None:
    flags = rayenv.local_flags(settings, facts)
    assert flags["RAY_AUTH_MODE"] == "token"
    assert flags["RAY_AUTH_TOKEN_PATH"] == "/data/ray-token"
    assert flags["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert flags["RAY_SERVE_HAPROXY_METRICS_PORT"] == "5001"
    assert flags["RAY_SERVE_HAPROXY_STATS_PORT"] == "5002"
    assert flags["RAY_SERVE_FALLBACK_PROXY_HTTP_PORT"] == "5003"


def test_unix_sockets_fit(settings: Settings, facts: RayFacts) -> None:
    flags = rayenv.local_flags(settings, facts)
    for name in ("RAY_SERVE_HAPROXY_SOCKET_PATH", "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH"):
        path = Path(flags[name])
        assert len(str(path.parent / NODE_ID / path.name) + PENDING) <= UNIX_PATH_MAX


def test_nothing_is_left_in_shared_folders(settings: Settings, facts: RayFacts) -> None:
    """Serve's defaults are in /tmp/haproxy-serve, for all realms and all users."""
    flags = rayenv.local_flags(settings, facts)
    files = [value for name, value in flags.items() if "HAPROXY" in name and value.startswith("/")]
    assert len(files) == 6
    assert all(Path(file).is_relative_to(SESSION) for file in files)


@pytest.mark.parametrize(("cpus", "threads"), [(1, "1"), (2, "1"), (6, "3"), (64, "4")])
def test_haproxy_threads(settings: Settings, facts: RayFacts, cpus: int, threads: str) -> None:
    few = RayFacts(cpus, facts.session, facts.token_file, facts.haproxy, facts.ports)
    assert rayenv.local_flags(settings, few)["RAY_SERVE_HAPROXY_NBTHREAD"] == threads


def test_ray_measures_itself_only_for_its_dashboard(settings: Settings, facts: RayFacts) -> None:
    assert rayenv.local_flags(settings, facts)["RAY_enable_metrics_collection"] == "0"
    shown = settings.model_copy(update={"ray": RaySettings(dashboard_port=8265)})
    assert "RAY_enable_metrics_collection" not in rayenv.local_flags(shown, facts)


def test_who_joins_says_whether_there_are_tokens() -> None:
    assert rayenv.joined_flags({}) == {"RAY_AUTH_MODE": "disabled"}
    assert rayenv.joined_flags({"RAY_AUTH_MODE": "token"}) == {"RAY_AUTH_MODE": "token"}


def test_a_cluster_that_was_started_without_them(settings: Settings) -> None:
    wanted = rayenv.serve_flags(settings, 20_000, "m:f")
    lacking = rayenv.differences(wanted, wanted)
    assert lacking == ["RAYREALM_EDGE_FILE=/etc/rayrealm/edge.json"]  # HAProxy would not start
    wanted["RAYREALM_EDGE_FILE"] = "/run/edge.json"
    assert rayenv.differences(wanted, wanted) == []
    assert rayenv.differences(wanted, {**wanted, "RAY_SERVE_HAPROXY_MAXCONN": "1"}) == []
    lacking = rayenv.differences(wanted, {**wanted, "RAY_SERVE_ENABLE_HA_PROXY": "0"})
    assert lacking == ["RAY_SERVE_ENABLE_HA_PROXY=1"]
    assert len(rayenv.differences(wanted, {})) > 5
