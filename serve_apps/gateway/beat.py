"""What a gateway tells of itself with each beat (cluster/beats.py): its sockets, what went over them, what waits. Plain Python."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cluster.telemetry.counts import PlainHistogram
from cluster.telemetry.gateway_metrics import GatewayMetrics
from serve_apps.gateway.client import Client
from serve_apps.gateway.hub import Hub

SHARE = 0.95


class GatewayBeat:
    """Totals are since the start; `latency_ms_p95` is of the answers since the beat before, None if there were none.

    It is also a watcher (`serve_apps/gateway/watcher.py`): what went over a socket that is gone stays in the totals.
    """

    def __init__(self, hub: Hub, metrics: GatewayMetrics) -> None:
        self._hub = hub
        self._metrics = metrics
        self._before: list[int] = []
        self._messages_out = self._bytes_out = self._closes = 0  # of sockets that are gone

    def values(self) -> dict[str, Any]:
        hub, metrics = self._hub, self._metrics
        queued = [client.outgoing.queued_bytes for client in hub.clients.values()]
        return {
            "sockets": len(hub.clients),
            "capacity": hub.settings.gateway.capacity,
            "draining": hub.leaving.draining,
            "degraded": list(hub.degraded),
            "messages_in": sum(metrics.received.values()),
            "messages_out": self._messages_out + sum(client.messages_out for client in hub.clients.values()),
            "bytes_out": self._bytes_out + sum(client.bytes_out for client in hub.clients.values()),
            "closes": self._closes,
            "queue_bytes": sum(queued),
            "queue_worst": max(queued, default=0),
            "refusals": metrics.refusals,
            "latency_ms_p95": self._latency_ms(),
        }

    # --- Watcher -----------------------------------------------------------------------------------------------

    def opened(self, client: Client, now: float) -> None:
        """It is among the hub's clients from now on."""

    def gone(self, client: Client, now: float) -> None:
        self._messages_out += client.messages_out
        self._bytes_out += client.bytes_out
        self._closes += 1

    def sweep(self, clients: Collection[Client], now: float) -> None:
        """Nothing is kept of those who are here."""

    # -----------------------------------------------------------------------------------------------------------

    def _latency_ms(self) -> float | None:
        histograms = list(self._metrics.latency_s.values())
        if not histograms:
            return None
        counts = [sum(bucket) for bucket in zip(*(histogram.counts for histogram in histograms), strict=True)]
        before, self._before = self._before or [0] * len(counts), counts
        found = quantile(histograms[0], [now - then for now, then in zip(counts, before, strict=True)], SHARE)
        return None if found is None else found * 1_000


def quantile(histogram: PlainHistogram, counts: list[int], share: float) -> float | None:
    """The upper bound of the bucket that so much of it is in or below; the last bound for what is above all. None: no counts."""
    left = share * sum(counts)
    if left <= 0:
        return None
    for bound, count in zip((*histogram.bounds, histogram.bounds[-1]), counts, strict=True):
        left -= count
        if left <= 0:
            return bound
    return histogram.bounds[-1]
