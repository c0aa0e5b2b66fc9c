"""One open WebSocket: requests matched with their answers, everything else handed on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from typing import Self
from urllib.parse import urlencode, urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from rayrealm_client.accounts import is_loopback, problem_of
from rayrealm_client.anys import Json, Params
from rayrealm_client.codec import (
    MAX_INFLATED_BYTES,
    SUBPROTOCOLS,
    Failure,
    Framing,
    Id,
    Item,
    Notification,
    Request,
    Result,
    decode,
    encode,
)
from rayrealm_client.errors import (
    CodecError,
    ConnectionLost,
    DeadlineExceeded,
    NotConnected,
    Refused,
    RpcError,
    rpc_error,
)
from rayrealm_client.models import Ready
from rayrealm_client.recovery import Opening
from rayrealm_client.signing import MAX_TRAILER, BadSignature, ClientSigner
from rayrealm_client.view import View

log = logging.getLogger("rayrealm_client")

READY_METHOD = "session.ready"
PENDING_LIMIT = 32
CLOSE_S = 1.0
PING_EVERY_S, PONG_WITHIN_S = 4.0, 8.0  # a gateway that is frozen or cut off does not hang up
SETTLE_S = 1.0  # how long a link that is to be closed waits for answers
RECOVERY_PREFIX = "rayrealm.recovery."
BAD_SIGNATURE = 4505

Deliver = Callable[[View | Notification], None]
Trace = Callable[[], str]  # a traceparent, or ""


def socket_url(base_url: str, session_id: str | None, last: str | None = None, sign: str | None = None) -> str:
    """ws://host:port/ws of the HTTP address, with `session=` and `last=` when there is something to resume.

    `sign`: the public key of a client that signs.
    """
    parts = urlsplit(base_url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme)
    if scheme is None or not parts.netloc:
        raise ValueError(f"not an http(s) address: {base_url!r}")
    asked = (("session", session_id), ("last", last), ("sign", sign))
    query = urlencode({name: value for name, value in asked if value})
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/ws", query, ""))


def subprotocols(framing: Framing, recovery: str | None) -> list[Subprotocol]:
    """A recovery token travels beside the framing, where no log of addresses has it."""
    offered = [SUBPROTOCOLS[framing]]
    if recovery is not None:
        offered.append(RECOVERY_PREFIX + recovery)
    return [Subprotocol(name) for name in offered]


class Link:
    """Made by `open`; `run` reads until the socket closes. Requests fail with ConnectionLost when it does."""

    def __init__(
        self,
        socket: ClientConnection,
        framing: Framing,
        deliver: Deliver,
        signer: ClientSigner | None = None,
        trace: Trace | None = None,
    ) -> None:
        self._trace = trace
        self._socket = socket
        self._signer = signer
        self._sending: set[asyncio.Task[None]] = set()
        self._framing = framing
        self._deliver = deliver
        self._ids = itertools.count(1)
        self._pending: dict[Id, asyncio.Future[Json]] = {}
        self._slots = asyncio.Semaphore(PENDING_LIMIT)
        self._held: list[Item] = []
        self._idle = asyncio.Event()
        self._idle.set()
        self.closed = False

    @classmethod
    async def open(
        cls,
        base_url: str,
        token: str | None,
        opening: Opening,
        framing: Framing,
        deliver: Deliver,
        timeout_s: float,
        sign: bool = False,
        trace: Trace | None = None,
    ) -> Self:
        """`token`: an access token, which recovery does without. `sign`: all messages, both ways. `trace` is asked at the upgrade
        and for each request.

        Raises Refused, NotConnected or DeadlineExceeded.
        """
        signer = ClientSigner() if sign else None
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if trace is not None and (traceparent := trace()):
            headers["traceparent"] = traceparent
        try:
            socket = await connect(
                socket_url(base_url, opening.session_id, opening.last, None if signer is None else signer.offer),
                subprotocols=subprotocols(framing, opening.recovery),
                additional_headers=headers,
                compression=None,
                proxy=None if is_loopback(base_url) else True,
                open_timeout=timeout_s,
                close_timeout=CLOSE_S,
                ping_interval=PING_EVERY_S,
                ping_timeout=PONG_WITHIN_S,
                max_size=MAX_INFLATED_BYTES + (0 if signer is None else MAX_TRAILER),
            )
        except InvalidStatus as error:
            answer = error.response
            problem = problem_of(answer.status_code, bytes(answer.body or b""), answer.headers.get("Retry-After"))
            raise Refused(problem.status, problem.reason, problem.retry_after_s) from error
        except TimeoutError as error:
            raise DeadlineExceeded(f"no upgrade in {timeout_s} s") from error
        except (OSError, InvalidHandshake) as error:
            raise NotConnected(str(error) or type(error).__name__) from error
        return cls(socket, framing, deliver, signer, trace)

    async def ready(self, timeout_s: float) -> Ready:
        """The first message. Raises ConnectionLost, DeadlineExceeded, or CodecError if it is another."""
        try:
            async with asyncio.timeout(timeout_s):
                message = await self._socket.recv()
        except TimeoutError as error:
            raise DeadlineExceeded(f"no {READY_METHOD} in {timeout_s} s") from error
        except ConnectionClosed:
            raise self._lost() from None
        items = decode(message)
        first = items[0]
        if not isinstance(first, Notification) or first.method != READY_METHOD:
            raise CodecError(f"the first message is no {READY_METHOD}")
        if not isinstance(first.params, dict):
            raise CodecError(f"{READY_METHOD} has no params")
        ready = Ready.of(first.params)
        if self._signer is not None:
            self._agree(self._signer, message, ready.session_id, first.params.get("signing"))
        self._slots = asyncio.Semaphore(ready.max_pending_requests)
        self._held = items[1:]
        return ready

    async def run(self) -> tuple[int, str]:
        """Read until the socket closes. Returns the close code (1006 if none was sent) and the reason."""
        try:
            held, self._held = self._held, []  # came with `session.ready`, which had to be heeded first
            for item in held:
                self._take(item)
            while True:
                message = await self._socket.recv()
                for item in decode(message if self._signer is None else self._signer.open(message)):
                    self._take(item)
        except ConnectionClosed:
            pass
        except BadSignature as error:
            log.error("closing: what came is not what the server signed: %s", error.reason)
            await self._socket.close(BAD_SIGNATURE, error.reason)
            return BAD_SIGNATURE, error.reason
        except CodecError as error:
            log.warning("closing: the server sent what is no message: %s", error)
            await self._socket.close(1002, "undecodable message")
            return 1011, "undecodable message"  # theirs, so worth another try; 1002 would be ours
        finally:
            self.closed = True
            lost = self._lost()
            for waiting in self._pending.values():
                if not waiting.done():
                    waiting.set_exception(lost)
            self._pending.clear()
            self._idle.set()
        return self._code(), self._socket.close_reason or ""

    async def request(self, method: str, params: Params, timeout_s: float) -> Json:
        """The result. Raises an RpcError, ConnectionLost or DeadlineExceeded."""
        loop = asyncio.get_running_loop()
        id_ = next(self._ids)
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                if self.closed:
                    raise self._lost()
                answer: asyncio.Future[Json] = loop.create_future()
                self._pending[id_] = answer
                self._idle.clear()
                try:
                    trace = "" if self._trace is None else self._trace()
                    await self.send(Request(id_, method, params, trace))
                    return await answer
                finally:
                    self._pending.pop(id_, None)
                    if not self._pending:
                        self._idle.set()
                    if answer.done() and not answer.cancelled():
                        answer.exception()  # seen, also when sending failed first
        except TimeoutError as error:
            raise DeadlineExceeded(f"{method}: no answer in {timeout_s} s") from error

    async def send(self, item: Item) -> None:
        """Raises CodecError for what cannot be said, ConnectionLost."""
        try:
            if self._signer is None:
                await self._socket.send(encode(item, self._framing))
            else:
                await self._send_signed(self._signer, encode(item, self._framing))
        except ConnectionClosed:
            raise self._lost() from None

    async def _send_signed(self, signer: ClientSigner, message: bytes | str) -> None:
        """Tasks that are made in the order of the sequence write in that order; what has a number is sent, also if nobody waits."""
        sending = asyncio.create_task(self._socket.send(signer.seal(message)))
        self._sending.add(sending)
        sending.add_done_callback(self._sent)
        await asyncio.shield(sending)

    def _sent(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        if not sending.cancelled() and not isinstance(sending.exception(), ConnectionClosed | None):
            log.error("a signed message could not be sent", exc_info=sending.exception())

    @staticmethod
    def _agree(signer: ClientSigner, message: bytes | str, session_id: str, signing: Json) -> None:
        """Raises ConnectionLost: what was asked for is not optional."""
        if not isinstance(signing, dict):
            raise ConnectionLost(BAD_SIGNATURE, "the realm does not sign")
        try:
            signer.agree(message.encode() if isinstance(message, str) else message, session_id, signing)
        except ValueError as error:
            raise ConnectionLost(BAD_SIGNATURE, f"no keys were agreed on: {error}") from error

    async def settle(self) -> None:
        """Wait until all that was asked is answered, at most SETTLE_S seconds."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await self._idle.wait()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """The closing handshake, at most CLOSE_S seconds."""
        await self._socket.close(code, reason)

    def _take(self, item: Item) -> None:
        if isinstance(item, View | Notification):
            self._deliver(item)
        elif isinstance(item, Result):
            waiting = self._pending.get(item.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(item.value)
        elif isinstance(item, Failure):
            self._fail(item)
        else:
            raise CodecError(f"a server sends no {type(item).__name__}")

    def _fail(self, item: Failure) -> None:
        error: RpcError = rpc_error(item.code, item.message, item.data)
        waiting = None if item.id is None else self._pending.get(item.id)
        if waiting is None:
            log.warning("the server refused something it could not name: %s", error)
        elif not waiting.done():
            waiting.set_exception(error)

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(self._code(), self._socket.close_reason or "")

    def _code(self) -> int:
        return self._socket.close_code or 1006
