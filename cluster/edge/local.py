"""The edge of a realm on one machine: its orders, the program that Ray starts as HAProxy, and the watch over its certificate."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cluster import haproxy
from cluster.datafolder import DataFolder
from cluster.edge.knock import ANY_HOST
from cluster.edge.plan import orders_of
from cluster.edge.reload import SOCKET, CertificateWatch
from cluster.machine import haproxy_binary
from cluster.security.certificates import LocalFiles, ensure_local, local_files
from cluster.settings import Settings

SECRET = "edge-secret"  # noqa: S105 - the name of a file
ORDERS = "edge.json"
HAPROXY = "h"


class LocalEdge:
    """`session`: the folder of this start. `script` is what Ray starts instead of HAProxy. `authority`: for clients, or None."""

    def __init__(self, settings: Settings, data: DataFolder, session: Path, say: Callable[[str], None]) -> None:
        tls = settings.edge.tls
        self._settings = settings
        self._data = data
        self.script = session / "haproxy"
        self.authority: Path | None = None
        local: LocalFiles | None = None
        if tls.local:
            local = local_files(data.root)
            self.authority = local.authority
            self._renew()
        orders = orders_of(settings, data.secret(SECRET), local)
        orders.write(session / ORDERS)
        self.script.write_text(haproxy.wrapper(sys.executable, str(haproxy_binary()), session / ORDERS))
        self.script.chmod(0o700)
        self._watch: CertificateWatch | None = None
        if orders.tls:
            self._watch = CertificateWatch(
                Path(orders.certificate),
                Path(orders.key),
                lambda: (session / HAPROXY).glob(f"*/{SOCKET}"),  # one folder for each node of Ray's
                tls.reload_s,
                say,
                self._renew if local is not None else lambda: None,
            )

    def watch(self) -> None:
        """Once HAProxy runs."""
        if self._watch is not None:
            self._watch.start()

    def stop(self) -> None:
        """Twice is fine."""
        if self._watch is not None:
            self._watch.stop()

    def _renew(self) -> None:
        host = self._settings.host
        ensure_local(self._data.root, [platform.node() or "localhost"] if host in ANY_HOST else [host], time.time())
