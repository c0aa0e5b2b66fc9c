"""Against a configuration of the shape that Ray writes; tests/contract/test_haproxy_config.py takes the real one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.edge.orders import Orders
from cluster.haproxy import UnknownConfigError, corrected, prepare, wrapper

ANY = "0.0.0.0"  # noqa: S104 - text, nothing is bound
HERE = Orders(secret="a-secret-of-this-test-only")
OPEN = replace(HERE, host=ANY)
GENERATED = """global
    stats socket /tmp/admin.sock mode 666 level admin
    maxconn 400
defaults
    mode http
    timeout connect 5s
    timeout client 3600s
    option httplog
    retry-on conn-failure
frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind 127.0.0.1:8000
    acl healthcheck path -i /-/healthz
    acl is_http-gateway path_beg /ws/
    acl is_http-gateway path /ws
    acl is_http-web path_beg /
    acl is_http-web path /
    use_backend http-gateway if is_http-gateway
backend http-gateway
    log global

    server g 127.0.0.1:30001 check
    server fallback 127.0.0.1:8500 check backup
backend http-web
    server a 127.0.0.1:30000 check
    server fallback 127.0.0.1:8500 check backup
listen stats
  bind *:8404
  stats enable
"""


def test_pages_about_the_proxy_are_for_this_machine() -> None:
    config = corrected(GENERATED, HERE)
    assert "bind 127.0.0.1:9101\n" in config
    assert "bind 127.0.0.1:8404\n" in config
    assert "bind :" not in config
    assert "bind *:" not in config


@pytest.mark.parametrize("host", ["127.0.0.1", ANY, "192.0.2.1"])
def test_only_the_front_listens_where_players_come_from(host: str) -> None:
    binds = [
        line.split()[1]
        for line in corrected(GENERATED, replace(HERE, host=host)).splitlines()
        if line.strip().startswith("bind ")
    ]
    assert binds == ["127.0.0.1:9101", f"{host}:8000", "127.0.0.1:8404", '"unix@/tmp/peers.sock"']


def test_a_client_cannot_say_where_it_comes_from() -> None:
    front = corrected(GENERATED, HERE).split("frontend http_frontend\n")[1].split("backend")[0]
    assert "http-request set-header X-Forwarded-For %[src]\n" in front


def test_a_head_that_never_ends_is_cut_off() -> None:
    defaults = corrected(GENERATED, HERE).split("defaults\n")[1].split("frontend")[0]
    assert "timeout http-request 5s\n" in defaults
    assert "timeout client 15s\n" in defaults


def test_twice_is_once() -> None:
    once = corrected(GENERATED, OPEN)
    assert corrected(once, OPEN) == once


def section(config: str, head: str) -> str:
    return config.split(f"\n{head}\n")[1].split("\nbackend ")[0].split("\nlisten ")[0]


def test_only_what_changes_nothing_is_tried_again_elsewhere() -> None:
    config = corrected(GENERATED, HERE)
    assert "    retry-on conn-failure empty-response 425\n" in section(config, "defaults")
    front = section(config, "frontend http_frontend")
    assert "http-request disable-l7-retry if !METH_GET\n" in front
    assert 'http-response set-status 503 reason "Service Unavailable" if { status 425 }\n' in front
    assert "http-request set-header X-Rayrealm-Edge a-secret-of-this-test-only\n" in front


def test_gateways_have_no_other_fallback_than_to_say_so() -> None:
    config = corrected(GENERATED, HERE)
    gateways = section(config, "backend http-gateway")
    assert "if { nbsrv eq 0 }" in gateways
    assert "Retry-After 2" in gateways
    assert "backup" not in gateways
    assert gateways.endswith("    server g 127.0.0.1:30001 check tcp-ut 5s")
    assert "    option srvtcpka\n" in gateways
    assert section(config, "backend http-web") == section(GENERATED, "backend http-web")


def test_before_there_are_gateways() -> None:
    config = GENERATED.replace("/ws", "/elsewhere")
    assert "nbsrv" not in corrected(config, HERE)


def test_orders_to_haproxy_are_its_owners() -> None:
    assert "stats socket /tmp/admin.sock mode 600 level admin\n" in corrected(GENERATED, HERE)


def test_the_next_process_is_taught_by_a_socket_beside() -> None:
    config = corrected(GENERATED, HERE)
    assert "global\n    localpeer rayrealm\n" in config
    assert 'peers rr_peers\n    bind "unix@/tmp/peers.sock" mode 600\n    server rayrealm\n' in config


def test_the_file_is_for_nobody_else_once_it_has_the_secret(tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(GENERATED)
    config.chmod(0o644)
    prepare(config, HERE)
    assert config.stat().st_mode & 0o777 == 0o600
    assert config.read_text() == corrected(GENERATED, HERE)


@pytest.mark.parametrize(
    "missing",
    [
        "frontend http_frontend\n",
        "    bind :9101\n",
        "  bind *:8404\n",
        "defaults\n",
        "127.0.0.1:8000",
        "    retry-on conn-failure\n",
        "    timeout client 3600s\n",
        "    option httplog\n",
        " mode 666",
        "global\n",
        "backend http-gateway\n",
    ],
)
def test_another_template_is_not_guessed_at(missing: str) -> None:
    with pytest.raises(UnknownConfigError):
        corrected(GENERATED.replace(missing, ""), HERE)


def test_wrapper() -> None:
    script = wrapper("/a path/python", "/bin/haproxy", Path("/run/a realm/edge.json"))
    shebang, command = script.splitlines()
    assert shebang == "#!/bin/sh"
    assert command.startswith("exec '/a path/python' -I -S ")
    assert '"$PPID"' in command
    assert command.endswith("/bin/haproxy '/run/a realm/edge.json' \"$@\"")
    assert "secret" not in command
