"""The way between a player and its gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from serve_apps.gateway.client import Client
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.upgrade import Refusal, Upgrade
from tests.simulation.network import IN_ORDER_S
from tests.simulation.virtual_time import OUTSIDE


class Gate(Protocol):
    """A gateway, as a player reaches it."""

    async def attach(self, upgrade: Upgrade) -> tuple[Any, str] | Refusal: ...

    def connect(self, attached: Any, actor: str, upgrade: Upgrade, socket: Socket) -> Client: ...

    def receive(self, client: Client, payload: bytes) -> None: ...

    def heard(self, client: Client) -> None: ...

    def disconnected(self, client: Client) -> None: ...


class End(Protocol):
    """The player's end."""

    def take(self, socket: Socket, frame: bytes) -> None: ...

    def lost(self, socket: Socket, why: str) -> None: ...


class Socket:
    """`serve_apps.gateway.client.Socket` with a way between its ends; in order, as TCP is."""

    def __init__(self, player: End, gate: Gate, delay_s: float) -> None:
        self.client: Client | None = None
        self.open = True
        self._player = player
        self._gate = gate
        self._delay_s = delay_s
        self._newest = [0.0, 0.0]  # when the newest message comes, by direction

    def _after(self, way: int, then: Callable[..., None], *args: Any) -> None:
        loop = asyncio.get_running_loop()
        at = self._newest[way] = max(self._newest[way] + IN_ORDER_S, loop.time() + self._delay_s)
        loop.call_at(at, then, *args, context=OUTSIDE)

    # The gateway's end.

    def send(self, frame: bytes, framing: Framing) -> None:
        self._after(0, self._arrive, frame)

    def ping(self) -> None:
        self._after(1, self._pong)

    def close(self, code: int, reason: str) -> None:
        self._after(0, self.cut, f"{code} {reason}")

    # The player's end.

    def say(self, frame: bytes) -> None:
        self._after(1, self._hear, frame)

    def cut(self, why: str) -> None:
        """Both ends learn of it."""
        if not self.open:
            return
        self.open = False
        self._player.lost(self, why)
        if self.client is not None:
            self._gate.disconnected(self.client)

    def _arrive(self, frame: bytes) -> None:
        if self.open:
            self._player.take(self, frame)

    def _hear(self, frame: bytes) -> None:
        if self.open and self.client is not None and not self.client.closed:
            self._gate.receive(self.client, frame)

    def _pong(self) -> None:
        if self.open and self.client is not None:
            self._gate.heard(self.client)
