"""Asking clients to connect elsewhere: when this gateway drains, and when others have more room (rows 1.6 and 1.8)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import orjson
import structlog

from cluster.settings import GatewaySettings
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.drain import Drain
from serve_apps.gateway.rebalance import Rebalance

ALONE_S = 1.0

log = structlog.get_logger(__name__)


class Leaving:
    """`ask(client, params_json)` sends `session.reconnect`, with a recovery token of `token(client)`.

    `close_all()` closes what is left with 1012.
    """

    def __init__(
        self,
        gateway_id: str,
        settings: GatewaySettings,
        clients: Mapping[str, Client],
        ask: Callable[[Client, bytes], None],
        close_all: Callable[[], None],
        token: Callable[[Client], dict[str, object]],
    ) -> None:
        self.asked = 0
        self._settings = settings
        self._clients = clients
        self._ask = ask
        self._close_all = close_all
        self._token = token
        self._drain: Drain | None = None
        self._rebalance = Rebalance(gateway_id, settings)
        self._done = False
        self._for_good = False

    @property
    def draining(self) -> bool:
        return self._drain is not None

    @property
    def retry_after_s(self) -> int:
        """For those who are refused: another gateway takes them at once, so soon."""
        return 1

    @property
    def done(self) -> bool:
        """Drained: nobody is left, or the time was over."""
        return self._done

    def drain(self, now: float, deadline_s: float, *, for_good: bool = True) -> None:
        """Give up all sockets within `deadline_s`, at most the setting. Asked again, the earlier deadline counts.

        Not `for_good`: an operator's order, which `stay` takes back.
        """
        self._for_good |= for_good
        deadline_s = min(deadline_s, self._settings.drain_s) if math.isfinite(deadline_s) else self._settings.drain_s
        if self._drain is None:
            log.info("draining", sockets=len(self._clients), deadline_s=deadline_s)
            self._drain = Drain(now, deadline_s, self._settings.drain_batch_s)
        else:
            self._drain.hasten(now, deadline_s)

    def stay(self) -> None:
        """Take new sockets again, unless the process ends. Who was told to connect elsewhere may do so all the same."""
        if self._drain is not None and not self._for_good:
            log.info("stays", sockets=len(self._clients))
            self._drain, self._done = None, False

    def heard(self, alive: internal_pb2.GatewayAlive, now: float) -> None:
        self._rebalance.heard(alive.gateway_id, alive.sockets, alive.capacity, alive.draining, now)

    def pulse(self, now: float) -> None:
        """Called many times a second: the next step of draining."""
        if self._drain is None or self._done:
            return
        if self._rebalance.alone(
            now
        ):  # the realm stops, or this was its only gateway: nobody is better off for waiting
            self._drain.hasten(now, ALONE_S)
        step = self._drain.step(now, list(self._clients))
        self._tell(step.tell, "draining", step.within_s)
        if step.close:
            self._close_all()
        if step.done:
            self._done = True
            log.info("drained", left=len(self._clients))

    def sweep(self, now: float) -> None:
        """Called once a second: somebody may be better off elsewhere."""
        if self._drain is None:
            self._tell(self._rebalance.step(now, list(self._clients)), "rebalance", self._rebalance.within_s)

    def _tell(self, session_ids: tuple[str, ...], reason: str, within_s: float) -> None:
        for session_id in session_ids:
            client = self._clients.get(session_id)
            if client is not None and not client.closed:
                self.asked += 1
                params = {**self._token(client), "reason": reason, "within_s": round(within_s, 3)}
                self._ask(client, orjson.dumps(params))
