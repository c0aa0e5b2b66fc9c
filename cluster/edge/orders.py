"""What the realm's HAProxy is told: one JSON file, readable by its owner alone, because it holds the edge's secret (row 6.1).

Read by `cluster/haproxy.py`, which runs without site-packages: the standard library alone here.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self

HOST = re.compile(r"[A-Za-z0-9_.:-]{1,255}")
SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")
OTHERS = 0o077


class BadOrdersError(Exception):
    """The file is not one that `rayrealm config edge` wrote, or others may read it."""


@dataclass(frozen=True, slots=True)
class Orders:
    """`certificate` (a chain) and `key` are PEM files, "" for plain HTTP. `port`: where clients come in. Networks are in CIDR.

    Rates are (per second, at once). `connections`: at once, of one address. `redirect_port` 0: none. `hsts_s` 0: no such header.
    """

    secret: str
    host: str = "127.0.0.1"
    port: int = 8_000
    certificate: str = ""
    key: str = ""
    redirect_port: int = 0
    hsts_s: int = 0
    trusted_proxies: tuple[str, ...] = ()
    proxy_protocol: bool = False
    metrics_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    console_from: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    exempt: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    connections: int = 100
    connects: tuple[float, int] = (5.0, 50)
    requests: tuple[float, int] = (20.0, 200)
    head_s: float = 5.0
    head_bytes: int = 8_192

    @property
    def tls(self) -> bool:
        return bool(self.certificate)

    def dump(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=1)

    def write(self, path: Path) -> None:
        """Whole or not at all, mode 0600."""
        private(path, self.dump())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises BadOrdersError, OSError."""
        if path.stat().st_mode & OTHERS:
            raise BadOrdersError(f"{path} holds a secret and others may read it: chmod 600 {path}")
        return cls.parse(path.read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """What could break out of HAProxy's configuration is refused. Raises BadOrdersError."""
        try:
            said: dict[str, Any] = json.loads(text)
            unknown = sorted(set(said) - {field.name for field in fields(cls)})
            if unknown:
                raise BadOrdersError(f"no such order: {', '.join(unknown)}")
            values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in said.items()}
            return cls(**values)._checked()
        except (TypeError, ValueError, AttributeError) as error:
            raise BadOrdersError(f"not the edge's orders: {error}") from error

    def _checked(self) -> Self:
        if not SECRET.fullmatch(self.secret) or not HOST.fullmatch(self.host):
            raise BadOrdersError("not the edge's orders: host or secret has other characters than it may")
        for path in (self.certificate, self.key):
            if any(not character.isprintable() for character in path):
                raise BadOrdersError(f"{path!r} is no path to a certificate or key")
        for network in (*self.trusted_proxies, *self.metrics_from, *self.console_from, *self.exempt):
            ip_network(network)
        numbers = (self.port, self.redirect_port, self.hsts_s, self.connections, self.head_s, self.head_bytes)
        if not all(isinstance(n, int | float) and n >= 0 for n in (*numbers, *self.connects, *self.requests)):
            raise BadOrdersError("not the edge's orders: a number is none")
        return self


def private(path: Path, text: str) -> None:
    """Write a file that nobody else may read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
