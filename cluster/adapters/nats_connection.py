"""One connection to a NATS server: used until it is lost, and never again.

nats-py connects, authenticates, buffers, writes and parses. Three things are done differently, by way of its
private members (pinned in pyproject.toml, checked by tests/contract/test_private_seams.py):

- A message goes straight from the parser to its sink, where nats-py would queue it and wake a task.
- A failure is reported at once and nothing else happens. nats-py's own reconnecting can wait for minutes on a
  peer that fell silent, keeps the sockets of failed attempts, and ends for good at most errors of the server.
- `discard` cuts the connection without waiting for anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from nats import errors
from nats.aio.client import Client
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport

from cluster.settings import NatsSettings

# So far beyond the bus's own bound would nats-py make a publisher wait; the bus refuses long before.
BUFFER_MARGIN_BYTES = 8 * 1024 * 1024
NO_RESPONDERS = b"NATS/1.0 503"

Sink = Callable[[str, str, bytes, bytes | None], None]
"""Gets the subject, the reply subject or "", the data, and the headers in NATS's form. See `nobody`."""

log = structlog.get_logger(__name__)


def nobody(headers: bytes | None) -> bool:
    """Whether it is the server saying that nobody listens."""
    return headers is not None and headers.startswith(NO_RESPONDERS)


class Connection(Client):
    """`on_lost` is called at most once, on the event loop."""

    def __init__(self, on_lost: Callable[[Connection, Exception], None]) -> None:
        super().__init__()
        self._on_lost = on_lost
        self._open = False
        self._sinks: dict[int, Sink] = {}

    async def open(self, settings: NatsSettings, name: str) -> None:
        """Connect and authenticate. Raises OSError, nats.errors.Error or TimeoutError."""
        failures: list[Exception] = []

        async def keep(error: Exception) -> None:
            failures.append(error)

        try:
            await self.connect(
                servers=settings.url.get_secret_value().split(","),
                name=name,
                token=settings.token.get_secret_value() or None,
                connect_timeout=settings.timeout_s,  # type: ignore[arg-type]  # a float is fine
                pending_size=settings.pending_bytes + BUFFER_MARGIN_BYTES,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                error_cb=keep,
            )
        except errors.NoServersError as error:
            raise (failures[-1] if failures else error) from error
        self._open = True
        for task in self._own_tasks():
            task.add_done_callback(self._task_ended)

    def send(self, subject: str, data: bytes, reply: str = "", headers: dict[str, str] | None = None) -> None:
        """Append to the buffer. Raises ValueError for a bad subject and for data over the server's limit.

        `Client.publish` is a coroutine that waits only for room in its buffer: it runs to its end right here.
        """
        sending = self.publish(subject, data, reply, headers)
        try:
            sending.send(None)
        except StopIteration:
            return
        except (errors.BadSubjectError, errors.MaxPayloadError) as error:
            raise ValueError(f"cannot send {len(data)} bytes on {subject!r}: {error}") from error
        sending.close()  # in the buffer already; only the waiting is cut short

    async def listen(self, subject: str, sink: Sink) -> Subscription:
        subscription = await self.subscribe(subject)
        self._sinks[subscription._id] = sink
        return subscription

    async def unlisten(self, subscription: Subscription) -> None:
        self._sinks.pop(subscription._id, None)
        if self._open:
            await subscription.unsubscribe()

    def discard(self) -> None:
        """End at once; what is still in the buffer is lost. Twice is fine."""
        self._open = False
        self._sinks.clear()
        for task in self._own_tasks():
            task.cancel()
        transport = self._transport
        if isinstance(transport, TcpTransport) and transport._io_writer is not None:
            transport._io_writer.transport.abort()

    def _own_tasks(self) -> list[asyncio.Task[None]]:
        tasks = (self._reading_task, self._flusher_task, self._ping_interval_task)
        return [task for task in tasks if task is not None]

    def _fail(self, error: Exception) -> None:
        if self._open:
            self._open = False
            self._on_lost(self, error)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        self._fail(error if isinstance(error, Exception) else errors.ConnectionClosedError())

    async def _process_op_err(self, e: Exception) -> None:
        self._fail(e)

    async def _process_err(self, err_msg: str) -> None:
        """An -ERR line. After a refused permission the server goes on, after most others it hangs up."""
        if "permissions violation" in err_msg:
            log.error("bus_permission_refused", error=err_msg)
        else:
            self._fail(errors.Error(err_msg))

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes | None) -> None:
        sink = self._sinks.get(sid)
        if sink is not None:
            sink(subject.decode(), reply.decode(), data, headers)
