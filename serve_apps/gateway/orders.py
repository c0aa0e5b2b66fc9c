"""What the watch on abuse orders all gateways to do (row 6.3): slow a user down, or close a user's sockets."""

from __future__ import annotations

from collections.abc import Callable

from realm_proto import internal_pb2
from serve_apps.gateway.connection import Close
from serve_apps.gateway.hub import Hub
from serve_apps.gateway.reporting import Reporter


class Orders:
    """`take` is the handler of `Subjects.gateways_control`, beside the hub's own."""

    def __init__(self, hub: Hub, reporter: Reporter, clock: Callable[[], float]) -> None:
        self._hub = hub
        self._reporter = reporter
        self._clock = clock

    def take(self, data: bytes) -> None:
        """A GatewayControl. What is not the watch's is the hub's."""
        control = internal_pb2.GatewayControl.FromString(data)
        if control.HasField("slow"):
            self._reporter.slow(control.slow, self._clock())
        elif control.HasField("expel"):
            order = control.expel
            for client in [c for c in self._hub.clients.values() if c.user_id == order.user_id]:
                self._hub.close(client, Close(order.code), order.reason)
