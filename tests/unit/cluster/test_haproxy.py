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
frontend prometheus
    bind :9101
    mode http
frontend http_frontend
    bind 127.0.0.1:8000
    acl healthcheck path -i /-/healthz
backend http-web
    server a 127.0.0.1:30000 check
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
