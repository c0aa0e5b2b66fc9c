"""A whole realm, started by the command that people start it with."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.own_realm import OwnRealm, own_realm

COMMAND_DEADLINE_S = 90.0
HTTP_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class RealRealm:
    """`environment` is what its commands need to find it, and not another one of this user."""

    own: OwnRealm
    environment: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.own.url

    @property
    def data(self) -> Path:
        return self.own.data

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def command(self, *arguments: str, deadline_s: float = COMMAND_DEADLINE_S) -> subprocess.CompletedProcess[str]:
        """`rayrealm ARGUMENTS`, to its end."""
        return command(self.environment, *arguments, deadline_s=deadline_s)

    def processes(self) -> list[dict[str, Any]]:
        """As `rayrealm status --json` lists them: kind, name, pid, node, alive."""
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stderr
        listed: list[dict[str, Any]] = json.loads(done.stdout)["processes"]
        return listed

    def pids(self, kind: str) -> list[int]:
        """Those of the living."""
        return [process["pid"] for process in self.processes() if process["kind"] == kind and process["alive"]]

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HTTP_TIMEOUT_S)
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer.headers.get_content_type(), answer.read()
        finally:
            connection.close()


def command(
    environment: Mapping[str, str], *arguments: str, deadline_s: float = COMMAND_DEADLINE_S
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cluster.cli.main", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=deadline_s,
        check=False,
    )


@contextmanager
def real_realm(
    folder: Path, config: str = "", gateways: int = 2, variables: Mapping[str, str] | None = None
) -> Iterator[RealRealm]:
    """With `config` as its realm.toml; its state folder and its file are in `folder`. `variables`: for its processes."""
    toml = folder / "realm.toml"
    toml.write_text(config)
    environment = {"RAYREALM_CONFIG": str(toml), "XDG_STATE_HOME": str(folder / "state"), **(variables or {})}
    with own_realm(gateways=gateways, environment=environment) as own:
        yield RealRealm(own, environment)
