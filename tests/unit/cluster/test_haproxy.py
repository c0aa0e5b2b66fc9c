"""Against a configuration of the shape that Ray writes; tests/contract/test_haproxy_config.py takes the real one."""

from __future__ import annotations

import pytest

from cluster.haproxy import UnknownConfigError, corrected, wrapper

ANY = "0.0.0.0"  # noqa: S104 - text, nothing is bound
GENERATED = """global
    maxconn 400
defaults
    mode http
    timeout connect 5s
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
    config = corrected(GENERATED, "127.0.0.1")
    assert "bind 127.0.0.1:9101\n" in config
    assert "bind 127.0.0.1:8404\n" in config
    assert "bind :" not in config
    assert "bind *:" not in config


@pytest.mark.parametrize("host", ["127.0.0.1", ANY, "192.0.2.1"])
def test_only_the_front_listens_where_players_come_from(host: str) -> None:
    binds = [line.split()[1] for line in corrected(GENERATED, host).splitlines() if line.strip().startswith("bind ")]
    assert binds == ["127.0.0.1:9101", f"{host}:8000", "127.0.0.1:8404"]


def test_a_client_cannot_say_where_it_comes_from() -> None:
    front = corrected(GENERATED, "127.0.0.1").split("frontend http_frontend\n")[1].split("backend")[0]
    assert "http-request set-header X-Forwarded-For %[src]\n" in front


def test_a_head_that_never_ends_is_cut_off() -> None:
    defaults = corrected(GENERATED, "127.0.0.1").split("defaults\n")[1].split("frontend")[0]
    assert "timeout http-request 10s\n" in defaults


def test_twice_is_once() -> None:
    once = corrected(GENERATED, ANY)
    assert corrected(once, ANY) == once


def section(config: str, head: str) -> str:
    return config.split(f"\n{head}\n")[1].split("\nbackend ")[0].split("\nlisten ")[0]


@pytest.mark.parametrize("host", ["127.0.0.1", ""])
def test_only_what_changes_nothing_is_tried_again_elsewhere(host: str) -> None:
    config = corrected(GENERATED, host)
    assert "    retry-on conn-failure empty-response 425\n" in section(config, "defaults")
    front = section(config, "frontend http_frontend")
    assert "http-request disable-l7-retry if !METH_GET\n" in front
    assert 'http-response set-status 503 reason "Service Unavailable" if { status 425 }\n' in front
    assert "http-request set-header X-Rayrealm-Edge 1\n" in front


def test_gateways_have_no_other_fallback_than_to_say_so() -> None:
    config = corrected(GENERATED, "127.0.0.1")
    gateways = section(config, "backend http-gateway")
    assert "if { nbsrv eq 0 }" in gateways
    assert "Retry-After 2" in gateways
    assert "backup" not in gateways
    assert gateways.endswith("    server g 127.0.0.1:30001 check tcp-ut 5s")
    assert "    option srvtcpka\n" in gateways
    assert section(config, "backend http-web") == section(GENERATED, "backend http-web")


def test_before_there_are_gateways() -> None:
    config = GENERATED.replace("/ws", "/elsewhere")
    assert "nbsrv" not in corrected(config, "127.0.0.1")


def test_where_ray_has_many_nodes_interfaces_are_the_operators() -> None:
    config = corrected(GENERATED, "")
    assert [line for line in config.splitlines() if "bind " in line] == [
        line for line in GENERATED.splitlines() if "bind " in line
    ]
    assert "X-Forwarded-For" not in config
    assert corrected(config, "") == config


@pytest.mark.parametrize(
    "missing",
    ["frontend http_frontend\n", "defaults\n", "    retry-on conn-failure\n", "backend http-gateway\n"],
)
def test_another_template_is_not_guessed_at_there_either(missing: str) -> None:
    with pytest.raises(UnknownConfigError):
        corrected(GENERATED.replace(missing, ""), "")


@pytest.mark.parametrize(
    "missing", ["frontend http_frontend\n", "    bind :9101\n", "  bind *:8404\n", "defaults\n", "127.0.0.1:8000"]
)
def test_another_template_is_not_guessed_at(missing: str) -> None:
    with pytest.raises(UnknownConfigError):
        corrected(GENERATED.replace(missing, ""), "127.0.0.1")


def test_wrapper() -> None:
    script = wrapper("/a path/python", "/bin/haproxy", ANY)
    shebang, command = script.splitlines()
    assert shebang == "#!/bin/sh"
    assert command.startswith("exec '/a path/python' -I -S ")
    assert '"$PPID"' in command
    assert command.endswith('/bin/haproxy 0.0.0.0 "$@"')
