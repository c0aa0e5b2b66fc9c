"""Which processes there are to be scraped, for Prometheus's `http_sd_configs`: each is a target of its own (row 5.4).

All have the same address, that of the realm, which asks over the bus the one that is meant: no process opens a port, and one on a
node that only the cluster reaches is scraped as well. The form: prometheus.io/docs/prometheus/latest/http_sd.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cluster.beats import Beat
from cluster.errors import InvalidInput

LOST_S = 60.0  # as long a process that is not heard any more stays a target, so that it is seen to be down
MOST = 10_000
PATH = "/metrics"


class Targets:
    """Fed with beats (cluster/beats.py). `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._known: dict[str, tuple[float, Beat]] = {}

    def heard(self, data: bytes) -> None:
        """A beat; what cannot be read is of another version, and left out."""
        try:
            beat = Beat.load(data)
        except InvalidInput:
            return
        if beat.name in self._known or len(self._known) < MOST:
            self._known[beat.name] = self._clock(), beat

    def groups(self, address: str) -> list[dict[str, Any]]:
        """One group for each process, by name. `address`: host and port as Prometheus has reached this realm."""
        until = self._clock() - LOST_S
        self._known = {name: known for name, known in self._known.items() if known[0] >= until}
        return [_group(beat, address) for _, (_, beat) in sorted(self._known.items())]


def _group(beat: Beat, address: str) -> dict[str, Any]:
    return {
        "targets": [address],
        "labels": {
            "__metrics_path__": PATH,
            "__param_process": beat.name,
            "instance": beat.name,
            "process": beat.name,
            "kind": beat.kind,
            "host": beat.host,
        },
    }
