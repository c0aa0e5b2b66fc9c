"""Light clients that come back: one picows socket each, the Python client's rules for when and how, and as little else as will do.

For loads of hundreds of players in one process: views are not decoded, only their time is taken.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.common import WSHandshakeError

from rayrealm_client import codec
from rayrealm_client.anys import Json
from rayrealm_client.errors import ConnectionLost, DeadlineExceeded, rpc_error
from rayrealm_client.link import READY_METHOD, socket_url, subprotocols
from rayrealm_client.models import MoveOver, Ready, RecoveryToken
from rayrealm_client.policy import Random, Reconnect, Step, after_close, after_refusal
from rayrealm_client.recovery import Opening, Recovery
from rayrealm_client.reliable import Reliable
from rayrealm_client.view import View

Decode = Callable[[bytes], Sequence[codec.Item]]

BINARY = WSMsgType.BINARY
VIEW_TAG = 0x42  # a WebSocketMessage that begins with `view` is nothing else
HANDSHAKE_S = 10.0
READY_S = 10.0
READ_BUFFER_BYTES = 4096
NO_CLOSE_FRAME = 1006


class _Wire(WSListener):
    """One socket. `ended`: its close code, 1006 without one."""

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        self.transport: WSTransport | None = None
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._hear = hear
        self._code = NO_CLOSE_FRAME

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == BINARY:
            self._hear(frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            code = frame.get_payload_as_bytes()[:2]  # picows has names for those of the RFC only
            self._code = int.from_bytes(code, "big") if code else NO_CLOSE_FRAME
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.transport = None
        if not self.ended.done():
            self.ended.set_result(self._code)


class Returning:
    """One client. `run` keeps it connected; set the hooks before.

    `on_ready(ready, gateway)`, `on_notice(notification)` for numbered ones that are new, `on_view(seconds)`. `codes`: how its
    sockets ended; `sessions`: all that it ever had; `holes`: how often it was told that something was missed.
    """

    def __init__(self, url: str, token: str, rng: Random, decode: Decode = codec.decode) -> None:
        self.character_id = ""
        self.on_ready: Callable[[Ready, str], None] | None = None
        self.on_notice: Callable[[codec.Notification], None] | None = None
        self.on_view: Callable[[float], None] | None = None
        self.reliable = Reliable()
        self.connected = False
        self.connects = 0
        self.gateway = ""
        self.codes: list[int] = []
        self.sessions: list[str] = []
        self.holes = 0
        self.refused: dict[int, int] = {}
        self.ended: str | None = None
        self._url = url
        self._token = token
        self._rng = rng
        self._decode = decode
        self._left = False
        self._recovery = Recovery(self.reliable)
        self._policy = Reconnect(give_up_s=None)
        self._wire: _Wire | None = None
        self._first: asyncio.Future[None] | None = None
        self._ids = itertools.count(1)
        self._pending: dict[codec.Id, asyncio.Future[Json]] = {}
        self._ack: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._moving_over = False

    async def run(self) -> None:
        """Until cancelled, or until the realm does not want it: `ended` says why."""
        while not self._left:
            step, wait_s = await self._once()
            delay = self._policy.lost(step, time.monotonic(), self._rng, wait_s)
            if delay is None and not self._left:
                self.ended = f"{step.value} after {self.codes[-1:]} {self.refused}"
                return
            await asyncio.sleep(delay or 0.0)
        self.ended = "left"

    def send(self, frame: bytes) -> bool:
        """False if there is no socket."""
        transport = self._wire.transport if self._wire is not None and self.connected else None
        if transport is None:
            return False
        transport.send(BINARY, frame)
        return True

    async def request(self, method: str, params: dict[str, Json], timeout_s: float) -> Json:
        """Raises an RpcError, ConnectionLost, DeadlineExceeded."""
        id_ = next(self._ids)
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._pending[id_] = answer
        try:
            if not self.send(codec.encode(codec.Request(id_, method, params), "proto")):
                raise ConnectionLost(NO_CLOSE_FRAME, "there is no socket")
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise DeadlineExceeded(f"{method}: no answer in {timeout_s} s") from error
        finally:
            self._pending.pop(id_, None)

    def close(self) -> None:
        """The socket; `run` opens another one unless it is cancelled."""
        if self._wire is not None and self._wire.transport is not None:
            self._wire.transport.send_close(WSCloseCode.OK)
            self._wire.transport.disconnect()

    def leave(self) -> None:
        """For good: `run` ends. Its session is left to the grace period."""
        self._left = True
        self.close()

    # --- one socket --------------------------------------------------------------------------------------------

    async def _once(self) -> tuple[Step, float]:
        """What to do next, and how long the server asked to wait before."""
        opening = self._recovery.opening(time.monotonic())
        try:
            wire = await self._open(opening)
        except WSHandshakeError as error:
            self._wire = None
            return self._refused(error, opening)
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            self._wire = None
            return Step.RETRY, 0.0  # nobody listens, or the connection broke
        try:
            async with asyncio.timeout(READY_S):
                await asyncio.wait({wire.ended, self._first or wire.ended}, return_when=asyncio.FIRST_COMPLETED)
            code = await wire.ended
        except TimeoutError:
            return Step.RETRY, 0.0
        finally:
            self._lost(wire)
        if self._moving_over:
            self._moving_over = False
            return Step.AT_ONCE, 0.0
        self.codes.append(code)
        return after_close(code), 0.0

    async def _open(self, opening: Opening) -> _Wire:
        headers = {"Sec-WebSocket-Protocol": ", ".join(subprotocols("proto", opening.recovery))}
        if opening.recovery is None:
            headers["Authorization"] = f"Bearer {self._token}"
        self._first = asyncio.get_running_loop().create_future()
        _, wire = await ws_connect(
            self._new_wire,
            socket_url(self._url, opening.session_id, opening.last),
            extra_headers=headers,
            websocket_handshake_timeout=HANDSHAKE_S,
            read_buffer_init_size=READ_BUFFER_BYTES,
        )
        assert isinstance(wire, _Wire)  # noqa: S101 - what the factory made
        return wire

    def _new_wire(self) -> _Wire:
        """It is the one to send by from its first frame on: that may come before `ws_connect` returns."""
        self._wire = _Wire(self._hear)
        return self._wire

    def _refused(self, error: WSHandshakeError, opening: Opening) -> tuple[Step, float]:
        answer = error.response
        status = int(answer.status) if answer is not None else 503
        self.refused[status] = self.refused.get(status, 0) + 1
        step = after_refusal(status, recovering=opening.recovery is not None)
        if step is Step.UNRECOVERED:
            self._recovery.forget_token()
        try:
            return step, float(answer.headers.get("Retry-After", "0")) if answer is not None else 0.0
        except ValueError:
            return step, 0.0

    def _lost(self, wire: _Wire) -> None:
        self.connected = False
        self._wire = None
        if wire.transport is not None:
            wire.transport.disconnect()
        for timer in (self._ack, self._leaving):
            if timer is not None:
                timer.cancel()
        self._ack = self._leaving = None
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(ConnectionLost(NO_CLOSE_FRAME, "the socket closed"))

    # --- what comes --------------------------------------------------------------------------------------------

    def _hear(self, frame: bytes) -> None:
        if frame[0] == VIEW_TAG:
            if self.on_view is not None:
                self.on_view(time.monotonic())
            return
        for item in self._decode(frame):
            if isinstance(item, codec.Notification):
                self._notice(item)
            elif isinstance(item, codec.Result | codec.Failure):
                self._answer(item)
            elif isinstance(item, View) and self.on_view is not None:  # a large one, in a batch
                self.on_view(time.monotonic())

    def _notice(self, item: codec.Notification) -> None:
        params = item.params if isinstance(item.params, dict) else {}
        now = time.monotonic()
        if item.seq is not None:
            new = self.reliable.take(item.seq, now)
            self._arm(now)
            if new and self.on_notice is not None:
                self.on_notice(item)
        elif item.method == READY_METHOD:
            self._ready(Ready.of(params), str(params["gateway"]), now)
        elif item.method == "session.token":
            newer = RecoveryToken.of(params)
            self._recovery.renewed(newer.token, newer.expires_in, now)
        elif item.method == "session.reconnect":
            told = MoveOver.of(params)
            self._recovery.renewed(told.recovery.token, told.recovery.expires_in, now)
            if self._leaving is None:
                wait_s = self._rng.random() * told.within_s
                self._leaving = asyncio.get_running_loop().call_later(wait_s, self.move_over)

    def _ready(self, ready: Ready, gateway: str, now: float) -> None:
        self._recovery.attached(ready.session_id, ready.recovery.token, ready.recovery.expires_in, now)
        if not self.sessions or self.sessions[-1] != ready.session_id:
            self.sessions.append(ready.session_id)
        resumed = ready.resumed
        if not self.reliable.begin(ready.stream, ready.seq, recovered=ready.recovered, resumed=resumed, now=now):
            self.holes += 1
        self._policy.opened(now)
        self.gateway, self.connected = gateway, True
        self.connects += 1
        if self._first is not None and not self._first.done():
            self._first.set_result(None)
        if self.on_ready is not None:
            self.on_ready(ready, gateway)
        self._arm(now)

    def _answer(self, item: codec.Result | codec.Failure) -> None:
        waiting = None if item.id is None else self._pending.get(item.id)
        if waiting is None or waiting.done():
            return
        if isinstance(item, codec.Result):
            waiting.set_result(item.value)
        else:
            waiting.set_exception(rpc_error(item.code, item.message, item.data))

    def _arm(self, now: float) -> None:
        """The next acknowledgement, when it is due."""
        wait_s = self.reliable.ack_in(now)
        if wait_s is not None and self._ack is None:
            self._ack = asyncio.get_running_loop().call_later(wait_s, self._acknowledge)

    def _acknowledge(self) -> None:
        self._ack = None
        if self.connected:
            self.send(codec.encode(codec.Notification("session.ack", {"seq": self.reliable.ack()}), "proto"))

    def move_over(self) -> None:
        """Connect again, by recovery, as after `session.reconnect`."""
        self._moving_over = True
        self.close()
