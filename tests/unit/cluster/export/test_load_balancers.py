"""What Envoy, HAProxy and Istio are told of a realm, and when that is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cluster.cli import export
from cluster.errors import SettingsError
from cluster.export import envoy, haproxy, istio
from cluster.export.upstreams import most_sockets, places, silence_s
from cluster.security_settings import TlsSettings
from cluster.settings import EdgeSettings, GatewaySettings, Settings

NODES = ["10.0.0.11", "10.0.0.12:9000"]
NEAR = (ip_network("10.0.1.0/24"),)
SIDECAR = (ip_network("127.0.0.6/32"),)


def settings(**edge: Any) -> Settings:
    return Settings(edge=EdgeSettings(**{"trusted_proxies": NEAR, **edge}))


def bootstrap(given: Settings) -> Any:
    return json.loads(envoy.render(given, NODES, "play.example.org"))


def manager(given: Settings) -> Any:
    return bootstrap(given)["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]


def manifests(given: Settings, **more: Any) -> dict[str, Any]:
    return {each["kind"]: each for each in yaml.safe_load_all(istio.render(given, "play.example.org", **more))}


RENDERS: list[Callable[[Settings], str]] = [
    lambda given: envoy.render(given, NODES),
    lambda given: haproxy.render(given, NODES),
    lambda given: istio.render(given, "play.example.org"),
]


@pytest.mark.parametrize("render", RENDERS)
def test_refused_where_the_edges_would_believe_nobody(render: Callable[[Settings], str]) -> None:
    with pytest.raises(SettingsError) as refused:
        render(Settings())
    assert refused.value.problems[0][0] == "edge.trusted_proxies"


@pytest.mark.parametrize("render", RENDERS[:2])
def test_refused_with_a_certificate_of_this_machine_alone(render: Callable[[Settings], str]) -> None:
    with pytest.raises(SettingsError, match="one machine"):
        render(settings(tls=TlsSettings(local=True)))


@pytest.mark.parametrize("nodes", [[], ["a b"], ["host:0"], ["host:70000"], ["host\nglobal"], ["[::1"], ["host:"]])
def test_nodes_that_are_none(nodes: list[str]) -> None:
    with pytest.raises(SettingsError):
        places(nodes, 8000)


def test_nodes() -> None:
    assert places(["a", "b:1", "[::1]", "[::1]:2"], 8000) == [("a", 8000), ("b", 1), ("::1", 8000), ("::1", 2)]


@pytest.mark.parametrize("idle_s", [60.0, 1_800.0, 90_000.0])
def test_a_socket_may_be_silent_for_longer_than_gateways_allow(idle_s: float) -> None:
    given = settings().model_copy(update={"gateway": GatewaySettings(idle_timeout_s=idle_s)})
    assert silence_s(given) > given.gateway.idle_timeout_s
    assert silence_s(given) > given.gateway.ping_interval_s + given.gateway.pong_deadline_s
    assert f"timeout tunnel {silence_s(given)}s\n" in haproxy.render(given, NODES)
    routes = manager(given)["route_config"]["virtual_hosts"][0]["routes"]
    assert [route["route"]["idle_timeout"] for route in routes[:2]] == [f"{silence_s(given)}s"] * 2


def test_envoy_upgrades_sockets_and_nothing_else() -> None:
    told = manager(settings())
    assert told["upgrade_configs"] == [{"upgrade_type": "websocket", "enabled": False}]
    routes = told["route_config"]["virtual_hosts"][0]["routes"]
    assert [route["match"] for route in routes] == [{"path": "/ws"}, {"path": "/console/ws"}, {"prefix": "/"}]
    assert [route["route"]["timeout"] for route in routes] == ["0s", "0s", "30.0s"]
    assert [bool(route["route"].get("upgrade_configs")) for route in routes] == [True, True, False]
    assert told["request_timeout"] == "0s"
    assert all(route["route"]["retry_policy"]["retry_on"] == "connect-failure" for route in routes)


def test_envoy_lets_through_as_many_sockets_as_gateways_hold() -> None:
    given = settings()
    for cluster in bootstrap(given)["static_resources"]["clusters"]:
        (limits,) = cluster["circuit_breakers"]["thresholds"]
        assert limits["max_connections"] == limits["max_requests"] == most_sockets(given)
        assert most_sockets(given) > given.gateways * given.gateway.capacity


def test_a_refusal_takes_no_node_out() -> None:
    """A gateway that is full, or a realm under maintenance, answers 503."""
    for cluster in bootstrap(settings())["static_resources"]["clusters"]:
        judged = cluster["outlier_detection"]
        assert judged["enforcing_consecutive_5xx"] == judged["enforcing_consecutive_gateway_failure"] == 0
    judged = manifests(settings(trusted_proxies=SIDECAR))["DestinationRule"]["spec"]["trafficPolicy"][
        "outlierDetection"
    ]
    assert judged["consecutive5xxErrors"] == judged["consecutiveGatewayErrors"] == 0


def test_health_is_asked_where_sockets_and_pages_are() -> None:
    asked = {
        cluster["name"]: cluster["health_checks"][0]["http_health_check"]["path"]
        for cluster in bootstrap(settings())["static_resources"]["clusters"]
    }
    assert asked == {"rayrealm_sockets": "/-/healthz", "rayrealm_web": "/v1/healthz"}
    text = haproxy.render(settings(), NODES)
    assert "uri /-/healthz " in text
    assert "uri /v1/healthz " in text


def test_whose_address_it_is() -> None:
    plain, told = haproxy.render(settings(), NODES), manager(settings())
    assert "http-request set-header X-Forwarded-For %[src]" in plain
    assert (told["use_remote_address"], told["skip_xff_append"]) == (True, False)
    spoken = settings(proxy_protocol=True)
    text = haproxy.render(spoken, NODES)
    assert "send-proxy-v2" in text
    assert "X-Forwarded-For" not in text
    assert manager(spoken)["skip_xff_append"]
    for cluster in bootstrap(spoken)["static_resources"]["clusters"]:
        assert cluster["transport_socket"]["name"] == "envoy.transport_sockets.upstream_proxy_protocol"


def test_tls_goes_on_to_the_edges() -> None:
    given = settings(tls=TlsSettings(certificate="/c.pem", key="/k.pem", redirect_port=80))
    text = haproxy.render(given, NODES, server_name="play.example.org")
    assert "verify required" in text
    assert "verifyhost play.example.org" in text
    assert "redirect location https://" in text
    clusters = bootstrap(given)["static_resources"]["clusters"]
    assert [each["transport_socket"]["typed_config"]["sni"] for each in clusters] == ["play.example.org"] * 2
    listeners = bootstrap(given)["static_resources"]["listeners"]
    assert [each["name"] for each in listeners] == ["players", "plain"]


def test_istio_documents() -> None:
    made = manifests(settings(trusted_proxies=SIDECAR))
    assert list(made) == ["Gateway", "VirtualService", "DestinationRule", "PeerAuthentication"]
    sockets, web = made["VirtualService"]["spec"]["http"]
    assert [match["uri"]["exact"] for match in sockets["match"]] == ["/ws", "/console/ws"]
    assert (sockets["timeout"], web["timeout"]) == ("0s", "30s")
    http = made["DestinationRule"]["spec"]["trafficPolicy"]["connectionPool"]["http"]
    assert http["h2UpgradePolicy"] == "DO_NOT_UPGRADE"
    assert made["Gateway"]["spec"]["servers"][1]["tls"] == {"httpsRedirect": True}
    assert made["PeerAuthentication"]["spec"]["mtls"] == {"mode": "STRICT"}
    plain = manifests(settings(trusted_proxies=SIDECAR), credential="")
    assert [server["port"]["number"] for server in plain["Gateway"]["spec"]["servers"]] == [80]


@pytest.mark.parametrize(
    ("edge", "named"),
    [
        ({"trusted_proxies": NEAR}, "edge.trusted_proxies"),
        ({"trusted_proxies": SIDECAR, "proxy_protocol": True}, "edge.proxy_protocol"),
        ({"trusted_proxies": SIDECAR, "tls": TlsSettings(certificate="/c", key="/k")}, "edge.tls"),
    ],
)
def test_istio_refuses_what_would_open_the_realm(edge: dict[str, Any], named: str) -> None:
    """Behind a sidecar everybody comes from loopback, which has no limits and may read metrics."""
    with pytest.raises(SettingsError) as refused:
        manifests(settings(**edge))
    assert [name for name, _ in refused.value.problems] == [named]


COMMANDS = [
    (["envoy", "10.0.0.1", "10.0.0.2:9000", "--admin-port", "0"], "envoy.json"),
    (["haproxy", "10.0.0.1", "--certificate", "/etc/c.pem"], "haproxy.cfg"),
    (["istio", "play.example.org", "--credential", ""], "istio.yaml"),
]


@pytest.mark.parametrize(("words", "name"), COMMANDS, ids=lambda each: each if isinstance(each, str) else "")
def test_commands(words: list[str], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAYREALM_EDGE__TRUSTED_PROXIES", '["127.0.0.6/32"]')
    printed = CliRunner().invoke(export.app, words)
    assert printed.exit_code == 0, printed.output
    written = CliRunner().invoke(export.app, [*words, "--out", str(tmp_path)])
    assert written.exit_code == 0, written.output
    assert (tmp_path / name).read_text() == printed.stdout
