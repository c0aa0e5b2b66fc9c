"""The gateway's answers to requests about one session (cluster/session_route.py): only for sessions whose socket it has.

`deliver` hands a notification over, `about` tells how the socket is (row 7.8).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from cluster.errors import InvalidInput, NotFound, Unavailable
from cluster.session_route import ABOUT, DELIVER, NOT_HERE, check_notice
from cluster.world_control import responder
from serve_apps.gateway.client import Client
from serve_apps.gateway.outgoing import Priority

MAX_PARAMS_BYTES = 64 * 1024
PONG_S = 1.0


class Routed:
    """`notify` queues a notification for a client's socket. `clock`: monotonic seconds."""

    def __init__(
        self,
        clients: Mapping[str, Client],
        notify: Callable[[Client, str, bytes, Priority], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clients = clients
        self._notify = notify
        self._clock = clock
        self.respond = responder({DELIVER: self._deliver, ABOUT: self._about})

    async def _deliver(self, session_id: str, attach_epoch: int, notice: str, params: dict[str, Any]) -> None:
        """It is in the socket's queue when this returns. `attach_epoch`: of the socket that the session's record knows."""
        check_notice(notice, params)
        params_json = orjson.dumps(params)
        if len(params_json) > MAX_PARAMS_BYTES:
            raise InvalidInput([("params", f"must be at most {MAX_PARAMS_BYTES} bytes")])
        client = self._find(session_id, attach_epoch)
        self._notify(client, notice, params_json, Priority.IMMEDIATE)
        if client.closed:
            raise Unavailable(f"the connection of {session_id}, which takes no more,")

    async def _about(self, session_id: str, attach_epoch: int) -> dict[str, Any]:
        """How its socket is. `quiet_s`: since its user did something last, moves included. `latency_ms`: of a ping that is sent for
        it, None if the client does not answer it in time.
        """
        client = self._find(session_id, attach_epoch)
        return {
            "address": client.address,
            "open_s": round(self._clock() - client.connected_at, 1),
            "quiet_s": round(max(0.0, self._clock() - client.deed_at), 1),
            "framing": client.outgoing.framing.name.lower(),
            "queue_bytes": client.outgoing.queued_bytes,
            "messages_out": client.messages_out,
            "bytes_out": client.bytes_out,
            "latency_ms": await self._round_trip_ms(client),
        }

    async def _round_trip_ms(self, client: Client) -> float | None:
        if client.outgoing.blocked_since is not None:  # the ping would wait behind what the client does not read
            return None
        if client.pong is None:
            client.pong = asyncio.Event()
        ponged, began = client.pong, self._clock()
        client.socket.ping()
        try:
            async with asyncio.timeout(PONG_S):
                await ponged.wait()
        except TimeoutError:
            return None
        return round((self._clock() - began) * 1_000, 2)

    def _find(self, session_id: str, attach_epoch: int) -> Client:
        """Raises NotFound."""
        client = self._clients.get(session_id)
        # A newer socket of the session is somewhere else: this one is about to be closed.
        if client is None or client.closed or client.attach_epoch < attach_epoch:
            raise NotFound(NOT_HERE)
        return client
