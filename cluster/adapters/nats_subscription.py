"""A subscription that outlives connections."""

from __future__ import annotations

from collections.abc import Callable

from nats.aio.subscription import Subscription as ConnectionSubscription

from cluster.adapters.nats_connection import Connection, Sink


class NatsSubscription:
    """What the caller holds; in each connection it is another subscription of nats-py. `forget`: the bus attaches it no more."""

    def __init__(self, subject: str, sink: Sink, forget: Callable[[NatsSubscription], None]) -> None:
        self.connection: Connection | None = None
        self._subject = subject
        self._sink = sink
        self._forget = forget
        self._inner: ConnectionSubscription | None = None

    async def attach(self, connection: Connection) -> None:
        self.connection = connection
        self._inner = await connection.listen(self._subject, self._sink)

    async def unsubscribe(self) -> None:
        self._forget(self)
        connection, self.connection = self.connection, None
        inner, self._inner = self._inner, None
        if connection is not None and inner is not None:
            await connection.unlisten(inner)
