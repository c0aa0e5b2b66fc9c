"""The load's sockets: picows, binary framing, and an inbox that is read in batches, because that is cheaper.

Each frame keeps the time at which it came; what it says is looked at up to a batch later.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.common import WSHandshakeError

from cluster.bench.ledger import Seen
from rayrealm_client import codec
from rayrealm_client.anys import Json
from rayrealm_client.errors import ConnectionLost, DeadlineExceeded, Refused, rpc_error
from rayrealm_client.link import READY_METHOD, socket_url
from rayrealm_client.models import Ready
from rayrealm_client.policy import Backoff, Random, Step, after_refusal
from realm_proto import realtime_pb2 as pb

BINARY = WSMsgType.BINARY
HANDSHAKE_S = 10.0
READ_BUFFER_BYTES = 4096

_parse = pb.WebSocketMessage.FromString


def now_ms() -> float:
    return time.monotonic_ns() / 1e6


class Inbox:
    """Frames of all sockets in the order they came. `other_bytes`: on the wire, of frames without a view, so far."""

    def __init__(self) -> None:
        self.sockets: dict[int, LoadSocket] = {}
        self.other_bytes = 0
        self._raw: list[bytes] = []
        self._client: list[int] = []
        self._at: list[float] = []

    def put(self, client: int, raw: bytes) -> None:
        self._raw.append(raw)
        self._client.append(client)
        self._at.append(time.monotonic_ns() / 1e6)

    def drain(self) -> list[Seen]:
        """The views since the last time; everything else goes to its socket. Raises CodecError, DecodeError."""
        raw, clients, times = self._raw, self._client, self._at
        self._raw, self._client, self._at = [], [], []
        views: list[Seen] = []
        for data, client, at in zip(raw, clients, times, strict=True):
            message = _parse(data)
            if message.HasField("view"):
                size = len(data)
                views.append((client, at, size + (2 if size < 126 else 4), message.view))
            else:
                views += self._seldom(client, at, data, message)
        return views

    def _seldom(self, client: int, at: float, data: bytes, message: pb.WebSocketMessage) -> list[Seen]:
        """A frame that is no view; a batch may have some in it."""
        size = len(data) + (2 if len(data) < 126 else 4 if len(data) < 65_536 else 10)
        parts = codec.parts(message.batch) if message.HasField("batch") else ()
        views: list[Seen] = []
        for part in parts:
            if part.HasField("view"):
                views.append((client, at, 0 if views else size, part.view))
        if not views:
            self.other_bytes += size
        for item in codec.decode(data):
            self.sockets[client].hear(item)
        return views


class LoadSocket(WSListener):
    """One client's socket. `closed`: it was, by the server."""

    def __init__(self, client: int, inbox: Inbox) -> None:
        self.client = client
        self.closed = False
        self._inbox = inbox
        self._put = inbox.put
        self._transport: WSTransport | None = None
        self._ids = itertools.count(1)
        self._pending: dict[codec.Id, asyncio.Future[Json]] = {}
        self.ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        inbox.sockets[client] = self

    # --- called by picows --------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == BINARY:
            self._put(self.client, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed = True
        self._transport = None
        lost = ConnectionLost(1006, "the server closed the socket")
        for waiting in (self.ready, *self._pending.values()):
            if not waiting.done():
                waiting.set_exception(lost)

    # --- called by the load ------------------------------------------------------------------------------------

    def send(self, frame: bytes | memoryview) -> bool:
        """False if the socket is gone."""
        if self._transport is None:
            return False
        self._transport.send(BINARY, frame)
        return True

    async def request(self, method: str, params: dict[str, Json], timeout_s: float) -> Json:
        """The result. Raises an RpcError, ConnectionLost, DeadlineExceeded."""
        id_ = next(self._ids)
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._pending[id_] = answer
        try:
            if not self.send(codec.encode(codec.Request(id_, method, params), "proto")):
                raise ConnectionLost(1006, "the socket is closed")
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise DeadlineExceeded(f"{method}: no answer in {timeout_s} s") from error
        finally:
            del self._pending[id_]

    def hear(self, item: codec.Item) -> None:
        if isinstance(item, codec.Notification):
            if item.method == READY_METHOD and isinstance(item.params, dict) and not self.ready.done():
                self.ready.set_result(Ready.of(item.params))
        elif isinstance(item, codec.Result | codec.Failure):
            waiting = None if item.id is None else self._pending.get(item.id)
            if waiting is not None and not waiting.done():
                if isinstance(item, codec.Result):
                    waiting.set_result(item.value)
                else:
                    waiting.set_exception(rpc_error(item.code, item.message, item.data))

    def disconnect(self) -> None:
        if self._transport is not None:
            self._transport.send_close()
            self._transport.disconnect()


async def open_socket(
    url: str, token: str, make: Callable[[], LoadSocket], rng: Random, deadline_s: float
) -> LoadSocket:
    """Tries again with backoff while the realm has no room. Raises Refused, DeadlineExceeded."""
    headers = {"Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": codec.SUBPROTOCOLS["proto"]}
    backoff = Backoff(0.2, 5.0)
    try:
        async with asyncio.timeout(deadline_s):
            for attempt in itertools.count():
                try:
                    _, socket = await ws_connect(
                        make,
                        socket_url(url, None),
                        extra_headers=headers,
                        websocket_handshake_timeout=HANDSHAKE_S,
                        read_buffer_init_size=READ_BUFFER_BYTES,
                    )
                except WSHandshakeError as error:
                    status = int(error.response.status) if error.response is not None else 503
                    if after_refusal(status) is not Step.RETRY:
                        raise Refused(status, "upgrade refused") from error
                except (OSError, asyncio.IncompleteReadError):
                    pass  # nobody listens yet, or the connection broke: the next attempt tells
                else:
                    assert isinstance(socket, LoadSocket)  # noqa: S101 - what `make` made
                    await asyncio.shield(socket.ready)
                    return socket
                await asyncio.sleep(backoff.delay(attempt, rng))
    except TimeoutError as error:
        raise DeadlineExceeded(f"not connected in {deadline_s} s") from error
    raise AssertionError("unreachable")
