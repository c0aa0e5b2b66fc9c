"""WebSockets by picows inside the Serve replica's own HTTP server (ray-notes: half the cost of the ASGI path).

Serve calls `install` in every replica before it builds its uvicorn server (RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH). uvicorn then
hands each upgrade to `Doorman`, which decides, and lets picows take the connection over. tests/contract/test_private_seams.py
holds what this relies on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

import structlog
import uvicorn.config
from picows import (
    WSAutoPingStrategy,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined] # private: see the contract test
from starlette.middleware import Middleware

from actors.session.attaching import Attached
from serve_apps.gateway import edge, inward_app, signing
from serve_apps.gateway.admission import Admission
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close
from serve_apps.gateway.edge import HealthGate
from serve_apps.gateway.firewall import Firewall
from serve_apps.gateway.hub import Hub
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.tally import AddressTallies
from serve_apps.gateway.upgrade import NO_SUCH_PATH, VERSION, Refusal, Upgrade, parse_head, read

MAX_EARLY_BYTES = 16 * 1024
HANDSHAKE_S = 5
FAREWELL_S = 2.0  # for a client to stop sending once it has our close frame
READ_BUFFER = 2_048
TEXT, BINARY = WSMsgType.TEXT, WSMsgType.BINARY
KINDS = {Framing.JSON: TEXT, Framing.PROTO: BINARY}
# Applications of Serve that take WebSockets themselves, by uvicorn's own means (cluster/parts.py).
OWN_SOCKETS = frozenset({"console"})
# What a refused client should send instead (RFC 6750, section 3; RFC 6455, section 4.4).
CHALLENGES = {
    HTTPStatus.UNAUTHORIZED: "WWW-Authenticate: Bearer\r\n",
    HTTPStatus.BAD_REQUEST: f"Sec-WebSocket-Version: {VERSION}\r\n",
}

log = structlog.get_logger(__name__)
# picows makes a Logger per connection of a Logger; an adapter is shared.
_picows_logger = logging.getLogger("picows.gateway")
_picows_logger.setLevel(logging.WARNING)
# A broken frame is a client's fault: it is counted with the closes, and no client may fill the log.
_picows_logger.addFilter(lambda record: not str(record.msg).startswith("WS parser error"))
_picows_log = logging.LoggerAdapter(_picows_logger)


class Door:
    """What this process's gateway lets sockets in by. Empty in replicas of other deployments, which have no sockets."""

    hub: Hub | None = None
    admission: Admission | None = None
    firewall: Firewall | None = None
    edge_secret = ""
    addresses = AddressTallies()


def install() -> list[Middleware]:
    """Make uvicorn hand WebSocket upgrades to Doorman. The middleware answers health checks while there is no room."""
    inward_app.install()
    if inward_app.application() not in OWN_SOCKETS:
        uvicorn.config.WS_PROTOCOLS["auto"] = f"{__name__}:Doorman"
    return [Middleware(HealthGate, room=lambda: Door.hub.room() if Door.hub is not None else None)]


class Doorman(asyncio.Protocol):
    """Stands in the connection while the upgrade is decided. uvicorn makes one per upgrade, with these arguments."""

    def __init__(self, config: object, server_state: object, app_state: object) -> None:
        self._transport: asyncio.Transport | None = None
        self._early = bytearray()
        self._deciding: asyncio.Task[None] | None = None
        self._headers: list[tuple[str, str]] = []
        self._address = ""
        self._leave: Callable[[], None] | None = None  # tells the firewall, once, that this connection is over

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")  # noqa: S101 - uvloop's is no subclass
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        """First the whole request head, as uvicorn has parsed it; then whatever a client sends too early."""
        if self._deciding is None:
            self._deciding = asyncio.create_task(self._guarded(bytes(data)))
            return
        self._early += data
        if len(self._early) > MAX_EARLY_BYTES and self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._left()

    def _left(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    async def _guarded(self, head: bytes) -> None:
        try:
            await self._decide(head)
        except Exception:
            log.exception("upgrade_failed")
            if self._transport is not None:
                self._transport.abort()

    async def _decide(self, head: bytes) -> None:
        hub, admission = Door.hub, Door.admission
        if hub is None or admission is None:
            self._refuse(None, NO_SUCH_PATH)
            return
        method, target, self._headers = parse_head(head)
        self._address = address = edge.address(self._headers, self._peer(), Door.edge_secret)
        if Door.firewall is not None:
            entered = Door.firewall.enter(len(head), self._headers, address)
            if isinstance(entered, Refusal):
                self._refuse(hub, entered)
                return
            self._leave = partial(Door.firewall.leave, entered)
        if self._transport is None:  # it has gone already
            self._left()
            return
        upgrade = read(method, target, self._headers)
        if isinstance(upgrade, Refusal):
            self._refuse(hub, upgrade)
            return
        upgrade = replace(upgrade, address=address)
        unsigned = signing.refused(upgrade, hub.settings.signing)
        who = unsigned or hub.room() or await admission.authenticate(upgrade)
        if isinstance(who, Refusal):
            self._refuse(hub, who)
            return
        hub.reserved += 1
        try:
            attached = await admission.attach(upgrade, who)
        finally:
            hub.reserved -= 1
        if isinstance(attached, Refusal):
            self._refuse(hub, attached)
            return
        draining = hub.room()  # it may have begun meanwhile
        if draining is None:
            self._admit(hub, upgrade, who, *attached)
        else:
            hub.abandoned(*attached)
            self._refuse(hub, draining)

    def _peer(self) -> str:
        """The socket's other end: the edge, or the client where there is none. "" once it has gone."""
        peer = self._transport.get_extra_info("peername") if self._transport is not None else None
        return str(peer[0]) if peer else ""

    def _refuse(self, hub: Hub | None, refusal: Refusal) -> None:
        if hub is not None:
            hub.metrics.refused(refusal.reason)
            Door.addresses.refused(self._address, refusal.reason)
        transport = self._transport
        if transport is None:
            return
        body = refusal.body()
        retry = f"Retry-After: {refusal.retry_after_s}\r\n" if refusal.retry_after_s else ""
        challenge = CHALLENGES.get(refusal.status, "")
        status = edge.status(refusal, self._headers)
        transport.write(
            f"HTTP/1.1 {status.value} {status.phrase}\r\n"
            f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
            f"{retry}{challenge}Connection: close\r\n\r\n".encode()
            + body
        )
        transport.close()

    def _admit(self, hub: Hub, upgrade: Upgrade, who: Identity, attached: Attached, actor: str) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():  # the client has gone meanwhile: the session waits for it
            hub.abandoned(attached, actor)
            return
        leave, self._leave = self._leave, None  # from here on the connection is picows's
        listener = ClientSocket(hub, upgrade, who, attached, actor, leave)
        protocol = WSProtocol(
            None, None, False, listener.answer, _picows_log, True, HANDSHAKE_S,
            False, 1.0, 1.0, WSAutoPingStrategy.PING_WHEN_IDLE, False,
            hub.settings.gateway.max_frame_bytes + signing.room(upgrade, hub.settings.signing), None, READ_BUFFER,
        )  # fmt: skip
        transport.set_protocol(protocol)
        protocol.connection_made(Parting(transport, protocol, listener))
        data = memoryview(upgrade.handshake() + self._early)
        while data:
            room = protocol.get_buffer(len(data))
            step = min(len(room), len(data))
            room[:step] = data[:step]
            protocol.buffer_updated(step)
            data = data[step:]
        if not listener.connected:  # what picows asks for beyond `upgrade.read`
            hub.abandoned(attached, actor)
            listener.left()


class Parting:
    """The transport as picows gets it: closing it hears the client out first, for a while.

    TCP answers what comes to a closed socket with a reset, and a client that is still sending then never reads our close frame.
    """

    __slots__ = ("_listener", "_parted", "_protocol", "_transport", "get_write_buffer_size", "write", "writelines")

    def __init__(self, transport: asyncio.Transport, protocol: WSProtocol, listener: ClientSocket) -> None:
        self._transport = transport
        self._protocol = protocol
        self._listener = listener
        self._parted = False
        # Called for every frame: without the detour of __getattr__.
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.write = transport.write
        self.writelines = transport.writelines

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def close(self) -> None:
        transport = self._transport
        if self._parted or transport.is_closing():
            return
        self._parted = True
        self._listener.parting()
        transport.set_protocol(LastWords(self._protocol, transport))
        try:
            transport.write_eof()
        except OSError:  # the client was faster
            transport.abort()


class LastWords(asyncio.Protocol):
    """Drops what still comes, until the client hangs up or has had long enough."""

    def __init__(self, protocol: WSProtocol, transport: asyncio.Transport) -> None:
        self._protocol = protocol
        self._deadline = asyncio.get_running_loop().call_later(FAREWELL_S, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        self._protocol.connection_lost(exc)


class ClientSocket(WSListener):
    """A picows connection: hands frames to the hub, and is the hub's `Socket`."""

    def __init__(
        self,
        hub: Hub,
        upgrade: Upgrade,
        who: Identity,
        attached: Attached,
        actor: str,
        leave: Callable[[], None] | None = None,
    ) -> None:
        self._hub = hub
        self._leave = leave
        self._upgrade = upgrade
        self._who = who
        self._attached = attached
        self._actor = actor
        self._client: Client | None = None
        self._transport: WSTransport | None = None

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def answer(self, _request: WSUpgradeRequest) -> Any:
        """picows asks for a listener once it has parsed the request."""
        headers = {"Sec-WebSocket-Protocol": self._upgrade.subprotocol} if self._upgrade.subprotocol else None
        return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), self)

    # --- from picows -------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        high = self._hub.settings.gateway.send_buffer_bytes
        transport.underlying_transport.set_write_buffer_limits(high=high, low=high // 4)
        self._client = self._hub.connect(self._attached, self._actor, self._upgrade, self._who, self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        client, kind = self._client, frame.msg_type
        if client is None or client.closed:
            return
        if frame.rsv1 or frame.rsv2 or frame.rsv3:  # no extension was agreed on (RFC 6455, section 5.2)
            self._hub.close(client, Close.PROTOCOL_ERROR, "a reserved bit is set")
        elif kind == BINARY:
            self._hub.receive(client, False, frame.get_payload_as_bytes(), frame.fin)
        elif kind == TEXT:
            self._hub.receive(client, True, frame.get_payload_as_bytes(), frame.fin)
        elif kind == WSMsgType.CONTINUATION:
            self._hub.receive_continuation(client, frame.get_payload_as_bytes(), frame.fin)
        elif kind == WSMsgType.CLOSE:
            code = _close_code(frame)
            self._hub.closed_by_peer(client, code)
            transport.send_close(code)  # type: ignore[arg-type] # any code will do
            transport.disconnect()
        else:
            payload = frame.get_payload_as_bytes()
            answer = self._hub.heard(client, len(payload))
            if kind == WSMsgType.PONG:
                client.ponged()
            # Pongs for one who does not read would pile up; the next ping gets one (RFC 6455, section 5.5.3).
            if answer and kind == WSMsgType.PING and client.outgoing.blocked_since is None:
                transport.send_pong(payload)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        client, self._client = self._client, None
        self.left()
        if client is not None:
            self._hub.disconnected(client)

    def left(self) -> None:
        """The firewall is told once."""
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()

    def parting(self) -> None:
        """The socket is about to be closed: by the hub, which knows, or by picows itself because of a broken frame."""
        client = self._client
        said = self._transport.close_handshake if self._transport is not None else None
        if client is not None and not client.closed and said is not None and said.sent is not None:
            self._hub.closed_by_peer(client, int(said.sent.code))  # type: ignore[call-overload] # an IntEnum

    def pause_writing(self) -> None:
        if self._client is not None:
            self._hub.blocked(self._client)

    def resume_writing(self) -> None:
        if self._client is not None and not self._client.closed:
            self._hub.unblocked(self._client)

    # --- for the hub -------------------------------------------------------------------------------------------

    def send(self, frame: bytes, framing: Framing) -> None:
        if self._transport is not None:
            self._transport.send(KINDS[framing], frame)

    def ping(self) -> None:
        if self._transport is not None:
            self._transport.send_ping()

    def close(self, code: int, reason: str) -> None:
        """Say why, then hang up: at once for a client that does not read, gracefully otherwise."""
        transport = self._transport
        if transport is None:
            return
        transport.send_close(code, reason.encode())  # type: ignore[arg-type] # any code will do
        blocked = self._client is not None and self._client.outgoing.blocked_since is not None
        transport.disconnect(graceful=not blocked)


def _close_code(frame: WSFrame) -> int:
    """How to answer a close frame: with its own code, 1000 if it has none, 1002 if no endpoint may send it."""
    payload = frame.get_payload_as_bytes()
    if not payload:
        return Close.NORMAL.value
    code = int.from_bytes(payload[:2], "big")
    known = 1000 <= code <= 1014 and code not in (1004, 1005, 1006)
    return code if known or 3000 <= code <= 4999 else Close.PROTOCOL_ERROR.value
