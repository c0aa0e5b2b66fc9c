"""What HAProxy has refused by itself, by reason, for /metrics. It counts from 0 again when Ray starts it anew."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from cluster.edge.admin import ask
from cluster.edge.front import REFUSED
from cluster.edge.renew import sockets

PATIENCE_S = 0.2
WAIT_S = 0.05  # for whoever collects, which is the event loop
ROW = re.compile(r"key=(\w+) .*gpc0=(\d+)")


class EdgeRefusals(Collector):
    """A collector over the HAProxy processes of this machine. `environment`: of a process that Ray started."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._found: Counter[str] = Counter()
        self._looking: threading.Thread | None = None

    def collect(self) -> Iterable[Metric]:
        """What the last look has found; one that takes longer than WAIT_S is for the next time."""
        if self._looking is None or not self._looking.is_alive():
            self._looking = threading.Thread(target=self._look, name="edge refusals", daemon=True)
            self._looking.start()
        self._looking.join(WAIT_S)
        family = CounterMetricFamily("rayrealm_edge_refused", "Requests refused by HAProxy itself", labels=["reason"])
        for reason, count in sorted(self._found.items()):
            family.add_metric([reason], count)
        yield family

    def _look(self) -> None:
        found: Counter[str] = Counter()
        until = time.monotonic() + PATIENCE_S
        for admin in sockets(self._environment):
            found.update(refusals(admin, max(0.0, until - time.monotonic())))
        self._found = found


def refusals(admin: Path, patience_s: float = PATIENCE_S) -> dict[str, int]:
    """Reason to count. Nothing while there is no HAProxy of ours at the socket that answers within `patience_s`."""
    try:
        said = ask(admin, f"show table {REFUSED}\n", patience_s)
    except OSError:
        return {}
    return {reason: int(count) for reason, count in ROW.findall(said)}
