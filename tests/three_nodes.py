"""A realm on three Ray nodes of this machine, by `scripts/cluster`: each node has an address and an edge of its own.

    @pytest.fixture(scope="module")
    def nodes() -> Iterator[ThreeNodes]:
        with three_nodes(bots=20) as realm:
            yield realm

Needs root (network namespaces), or takes addresses of loopback. It ends with the test run, even if that is killed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
UP_DEADLINE_S = 400.0
COMMAND_DEADLINE_S = 180.0


@dataclass(frozen=True, slots=True)
class ThreeNodes:
    """`state`: where the script keeps what stands. `said`: what `up` printed, an operator's invitation among it."""

    state: Path
    said: str

    @property
    def url(self) -> str:
        """Of the head's edge; others have one, too (`edges`)."""
        url: str = self.status()["url"]
        return url

    @property
    def nodes(self) -> dict[str, str]:
        """Name -> its address. The head is first."""
        return {node["name"]: node["address"] for node in self.status()["nodes"]}

    @property
    def edges(self) -> dict[str, str]:
        """Name -> URL of the nodes that clients can connect to: the head, and those that had a gateway at the start."""
        edges: dict[str, str] = self.status()["edges"]
        return edges

    @property
    def folder(self) -> Path:
        """Logs: up.log, bots.log, <node>/session_latest/logs."""
        return Path(self.status()["folder"])

    def status(self) -> dict[str, Any]:
        """As `scripts/cluster status --json` has it."""
        said: dict[str, Any] = json.loads(_script(self.state, "status", "--json").stdout)
        return said

    def add_node(self) -> str:
        """Its name, when Ray runs there."""
        return self._done("add-node").strip()

    def remove_node(self, name: str) -> None:
        """Its zones and clients go elsewhere first."""
        self._done("remove-node", name)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`rayrealm ARGUMENTS` on the head, to its end."""
        return _script(self.state, "exec", "rayrealm", *arguments)

    def _done(self, *arguments: str) -> str:
        done = _script(self.state, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@contextmanager
def three_nodes(nodes: int = 3, gateways: int = 3, bots: int = 0, config: str = "") -> Iterator[ThreeNodes]:
    """Running, and at the end nothing is left of it. `config`: a realm.toml; without one the example game."""
    with tempfile.TemporaryDirectory(prefix="rr3-") as folder:
        state = Path(folder)
        wanted = [
            "--nodes",
            str(nodes),
            "--gateways",
            str(gateways),
            "--bots",
            str(bots),
            "--as-long-as",
            str(os.getpid()),
        ]
        if config:
            toml = state / "realm.toml"
            toml.write_text(config)
            wanted += ["--config", str(toml)]
        try:
            up = _script(state, "up", *wanted, deadline_s=UP_DEADLINE_S)
            assert up.returncode == 0, up.stderr[-6000:]
            yield ThreeNodes(state, up.stdout)
        finally:
            down = _script(state, "down", "--now")
            assert down.returncode == 0, down.stderr[-4000:]


def _script(state: Path, *arguments: str, deadline_s: float = COMMAND_DEADLINE_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ROOT / "scripts" / "cluster"), *arguments],
        env={**os.environ, "XDG_STATE_HOME": str(state), "PYTHON": sys.executable},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=deadline_s,
        check=False,
    )
