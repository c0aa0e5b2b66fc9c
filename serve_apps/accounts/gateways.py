"""What gateways say of themselves, for the health check: who can be connected to. Plain rules."""

from __future__ import annotations

from realm_proto import internal_pb2

SILENCE_S = 5.0
NEEDED = frozenset({"redis", "nats"})


class Gateways:
    """Fed with every GatewayAlive. Times are seconds on one monotonic clock."""

    def __init__(self) -> None:
        self._heard: dict[str, tuple[float, bool]] = {}

    def heard(self, data: bytes, now: float) -> None:
        """A serialised GatewayAlive."""
        said = internal_pb2.GatewayAlive.FromString(data)
        well = not said.draining and not NEEDED & set(said.degraded)
        self._heard[said.gateway_id] = (now, well)

    def serving(self, now: float) -> int:
        """Gateways that take clients, and whose own probes through Redis and NATS come back."""
        self._heard = {gateway: (at, well) for gateway, (at, well) in self._heard.items() if now - at < SILENCE_S}
        return sum(well for _, well in self._heard.values())
