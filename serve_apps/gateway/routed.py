"""The gateway's answers to requests about one session (cluster/session_route.py): only for sessions whose socket it has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from cluster.errors import InvalidInput, NotFound, Unavailable
from cluster.session_route import DELIVER, NOT_HERE, check_notice
from cluster.world_control import responder
from serve_apps.gateway.client import Client
from serve_apps.gateway.outgoing import Priority

MAX_PARAMS_BYTES = 64 * 1024


class Routed:
    """`notify` queues a notification for a client's socket."""

    def __init__(self, clients: Mapping[str, Client], notify: Callable[[Client, str, bytes, Priority], None]) -> None:
        self._clients = clients
        self._notify = notify
        self.respond = responder({DELIVER: self._deliver})

    async def _deliver(self, session_id: str, attach_epoch: int, notice: str, params: dict[str, Any]) -> None:
        """It is in the socket's queue when this returns. `attach_epoch`: of the socket that the session's record knows."""
        check_notice(notice, params)
        params_json = orjson.dumps(params)
        if len(params_json) > MAX_PARAMS_BYTES:
            raise InvalidInput([("params", f"must be at most {MAX_PARAMS_BYTES} bytes")])
        client = self._clients.get(session_id)
        # A newer socket of the session is somewhere else: this one is about to be closed.
        if client is None or client.closed or client.attach_epoch < attach_epoch:
            raise NotFound(NOT_HERE)
        self._notify(client, notice, params_json, Priority.IMMEDIATE)
        if client.closed:
            raise Unavailable(f"the connection of {session_id}, which takes no more,")
