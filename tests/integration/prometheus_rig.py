"""A real Prometheus (Debian's package) with the exported configuration, and what it says."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from tests.servers import Server

PROMETHEUS = shutil.which("prometheus") or "prometheus"
# PromQL (prometheus.io/docs/prometheus/latest/querying): what is no name of a metric.
STRINGS, DURATIONS = re.compile(r"\"[^\"]*\"|'[^']*'"), re.compile(r"\[[^\]]*\]")
MATCHERS, GROUPING = (
    re.compile(r"\{[^}]*\}"),
    re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)"),
)
OFFSETS = re.compile(r"\boffset\s+\w+")
NAME = re.compile(r"(?<![\w:.])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
WORDS = frozenset({"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "e"})
CHOSEN = re.compile(r"\$\w+")


class Prometheus(Server):
    """`configuration` is a prometheus.yml beside its rules; data is below `directory`."""

    def __init__(self, configuration: Path, directory: Path) -> None:
        def argv(port: int) -> list[str]:
            return [
                PROMETHEUS,
                f"--config.file={configuration}",
                f"--storage.tsdb.path={directory / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
                "--log.level=warn",
            ]

        super().__init__("prometheus", argv, _ready, directory)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Asked:
    """Prometheus's HTTP API."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def targets(self) -> dict[str, str]:
        """Health by process."""
        answer = await self._data("targets", state="active")
        return {target["labels"]["process"]: target["health"] for target in answer["activeTargets"]}

    async def rules(self) -> list[dict[str, Any]]:
        """All of them, as they were evaluated last."""
        return [rule for group in (await self._data("rules"))["groups"] for rule in group["rules"]]

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """The series that it gives now. Raises AssertionError if it cannot be read."""
        answer = await self._data("query", query=expr)
        if answer["resultType"] == "scalar":
            return [{"metric": {}, "value": answer["result"]}]
        found: list[dict[str, Any]] = answer["result"]
        return found

    async def _data(self, what: str, **params: str) -> Any:
        answer = (await self._http.get(f"/api/v1/{what}", params=params)).json()
        assert answer["status"] == "success", (params, answer)
        return answer["data"]


def readable(expr: str) -> str:
    """A dashboard's expression as Grafana sends it while all is chosen."""
    return CHOSEN.sub(".*", expr)


def metrics_in(expr: str) -> set[str]:
    """The names of the metrics that an expression refers to."""
    for pattern in (STRINGS, MATCHERS, DURATIONS, GROUPING, OFFSETS):
        expr = pattern.sub(" ", expr)
    return {name for name in NAME.findall(expr) if name not in WORDS and not name.isdigit()}


def series_of(families: Mapping[str, str]) -> set[str]:
    """The names of series that families (name to type, as in a page's TYPE lines) have."""
    made = set()
    for name, kind in families.items():
        made |= {f"{name}_{part}" for part in ("bucket", "sum", "count")} if kind == "histogram" else {name}
    return made


def _ready(connection: socket.socket) -> bool:
    connection.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
    return b" 200 " in connection.recv(256)
