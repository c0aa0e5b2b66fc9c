"""What wants to know of each client of a gateway: who comes, who goes, and once a second who is there."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from serve_apps.gateway.client import Client


class Watcher(Protocol):
    """Each call returns at once. Times are seconds on the hub's clock."""

    def opened(self, client: Client, now: float) -> None:
        """Its socket is open, and nothing was sent on it yet."""

    def gone(self, client: Client, now: float) -> None:
        """Its socket is closed."""

    def sweep(self, clients: Collection[Client], now: float) -> None:
        """About once a second."""
