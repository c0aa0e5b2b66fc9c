"""Requests of one client, one after another; answers of a batch together (row 2.3, JSON-RPC 2.0 section 6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import orjson
from structlog.contextvars import bind_contextvars

from cluster.errors import InvalidState
from cluster.telemetry import tracing
from cluster.telemetry.gateway_metrics import GatewayMetrics
from serve_apps.gateway import json_framing, proto_framing
from serve_apps.gateway.client import Client, Work
from serve_apps.gateway.connection import Close
from serve_apps.gateway.faults import to_fault
from serve_apps.gateway.messages import NO_ID, Call, Code, Decoded, Fault, Framing, Result, Sizes
from serve_apps.gateway.outgoing import Priority
from serve_apps.gateway.router import MethodNotFound, Router

if TYPE_CHECKING:
    from serve_apps.gateway.services import Services

T = TypeVar("T")

ERROR_NOTICE_S = 1.0
RETRY_S = 0.5
LEAST_RETRY_S = 0.001
UNTRACED = frozenset({"world.position.update", "world.position.batch"})  # the hot lane


class Dispatcher:
    """Runs a client's requests in order, one at a time; clients do not wait for each other.

    What never waits, and has nothing to wait behind, is done as it comes: the last one counts of the moves that a network held back
    and brings all at once.
    """

    def __init__(
        self,
        router: Router,
        services: Services,
        clock: Callable[[], float],
        max_pending: int,
        metrics: GatewayMetrics,
        signed_only: frozenset[str] = frozenset(),
        sampling: tracing.Sampling | None = None,
    ) -> None:
        """`signed_only`: methods that are refused on a connection whose messages are not signed. `sampling`: None: no traces."""
        self._sampling = sampling
        self._router = router
        self._services = services
        self._clock = clock
        self._max_pending = max_pending
        self._metrics = metrics
        self._signed_only = signed_only

    @property
    def sizes(self) -> Sizes:
        """Of the params of the methods there are."""
        return self._router.sizes

    def take(self, client: Client, decoded: Decoded) -> None:
        """Queue what a frame said. Over the bound, its requests are refused at once (policy: refuse, row 1.4).

        A client with nothing pending may send a batch of any size that the framing takes.
        """
        size = len(decoded.items)
        client.tally.frames += 1
        if client.pending_requests and client.pending_requests + size > self._max_pending:
            client.tally.pending += size
            data = {"retryAfter": RETRY_S, "reason": "too_many_pending"}
            self._answer(client, self._refuse(client, decoded, data), decoded.batch)
            return
        if not client.pending_requests and size == 1 and self._at_once(decoded.items[0]):
            client.pending_requests = 1
            self._answer(client, Context().run(_finished, self._all(client, decoded.items)), decoded.batch)
            return
        client.pending_requests += size
        client.work.append((decoded.items, decoded.batch))
        if client.worker is None:
            # In a context of its own: nothing of what was being done as the frame came, or as the socket was opened.
            client.worker = asyncio.create_task(self._work(client), context=Context())

    def _at_once(self, item: Call | Fault) -> bool:
        return isinstance(item, Call) and item.method in self._router.at_once

    def refuse(self, client: Client, decoded: Decoded, wait_s: float) -> None:
        """A frame over one of the gateway's limits: its requests are answered with that, and nothing is done."""
        client.tally.frames += 1
        self._answer(client, self._refuse(client, decoded, _limited(client, wait_s)), decoded.batch)

    def tell_limited(self, client: Client, wait_s: float, now: float) -> None:
        """Something was dropped unread."""
        self._tell(client, "", Fault(Code.RATE_LIMITED, _limited(client, wait_s), NO_ID))

    def _refuse(self, client: Client, decoded: Decoded, data: dict[str, Any]) -> list[Result | Fault]:
        """The answers to a frame of which nothing is done."""
        answers: list[Result | Fault] = []
        for item in decoded.items:
            if isinstance(item, Fault):
                method, fault = "", item
            else:
                method, fault = item.method, Fault(Code.RATE_LIMITED, data, item.id)
            if fault.id is NO_ID:
                self._tell(client, method, fault)
            else:
                answers.append(fault)
        return answers

    async def _work(self, client: Client) -> None:
        bind_contextvars(session=client.session_id, attach=client.attach_epoch)  # for the log, whoever writes into it
        try:
            while client.work and not client.closed:
                items, batch = client.work.popleft()
                self._answer(client, await self._all(client, items), batch)
        finally:
            client.worker = None

    async def _all(self, client: Client, items: Work) -> list[Result | Fault]:
        """A frame's items, one after another. What a client that is being closed still wanted is not begun."""
        answers: list[Result | Fault] = []
        for index, item in enumerate(items):
            if client.closed:
                break
            answer = await self._one(client, item, index == 0)
            client.pending_requests -= 1
            if answer is not None:
                answers.append(answer)
        return answers

    async def _one(self, client: Client, item: Call | Fault, first: bool) -> Result | Fault | None:
        """The answer, or None for a notification. The `first` of a frame was counted with it."""
        if isinstance(item, Fault):
            self._metrics.protocol_error(item.code.name.lower())
            client.tally.malformed += 1
            if item.id is NO_ID:
                self._tell(client, "", item)
                return None
            return item
        began = self._clock()
        wait_s = (0.0 if first else client.meter.frame(0, began)) or client.meter.method(item.method, began)
        if wait_s:
            return self._over(client, item, wait_s)
        client.tally.calls += 1
        try:
            if item.method in self._signed_only and client.connection.signer is None:
                raise InvalidState("signature_required", client.state.value)
            if self._sampling is None:
                value = await self._router.dispatch(self._services, client, item.method, item.params)
            else:
                value = await self._sampled(self._sampling, client, item)
        except MethodNotFound:
            fault = Fault(Code.METHOD_NOT_FOUND, {"method": item.method}, item.id)
        except Exception as error:
            fault = to_fault(error, item.id, item.method)
        else:
            return None if item.id is NO_ID else Result(value, item.id)
        finally:
            self._metrics.received.add(item.method)
            self._metrics.latency_s.observe(item.method, self._clock() - began)
        client.tally.failed(fault.code)
        if fault.code is not Code.UNAVAILABLE and client.connection.error(self._clock()):  # not for an outage
            self._services.close(client, Close.TOO_MANY_ERRORS, "too many errors")
            return None
        if item.id is NO_ID:
            self._tell(client, item.method, fault)
            return None
        return fault

    async def _sampled(self, sampling: tracing.Sampling, client: Client, item: Call) -> dict[str, Any]:
        parent = None if item.method in UNTRACED else sampling.parent(item.trace)
        if parent is None:
            return await self._router.dispatch(self._services, client, item.method, item.params)
        method = item.method if item.method in self._router.methods else "unknown"
        gateway, session = self._services.hub.gateway_id, client.session_id
        with tracing.root(method, tracing.Kind.SERVER, parent, gateway=gateway, session=session):
            return await self._router.dispatch(self._services, client, item.method, item.params)

    def _over(self, client: Client, item: Call, wait_s: float) -> Fault | None:
        """A call over a limit of the gateway's, which is no error of the client's that counts as such: strikes do."""
        if client.meter.flooding:
            self._services.close(client, Close.FLOODING, "flooding")
            return None
        fault = Fault(Code.RATE_LIMITED, _limited(client, wait_s), item.id)
        if item.id is NO_ID:
            self._tell(client, item.method, fault)
            return None
        return fault

    def _tell(self, client: Client, method: str, fault: Fault) -> None:
        """A notification is never answered; a developer is told all the same, at most once a second."""
        now = self._clock()
        if now - client.last_error_told < ERROR_NOTICE_S:
            return
        client.last_error_told = now
        said = {"method": method, "code": fault.code.value, "data": fault.data}
        self._services.notify(client, "system.error", orjson.dumps(said, default=str), Priority.NORMAL)

    def _answer(self, client: Client, answers: list[Result | Fault], batch: bool) -> None:
        if not answers or client.closed:
            return
        framing = json_framing if client.outgoing.framing is Framing.JSON else proto_framing
        try:
            frame = framing.encode_answers(answers, batch)
        except Exception:
            # A handler returned what the framing cannot say: its own answer becomes an error, the others stay.
            frame = framing.encode_answers([_sayable(answer, framing) for answer in answers], batch)
        self._metrics.sent["answer"] += len(answers)
        client.write(client.outgoing.frame(frame, self._clock()))
        if client.outgoing.overfull:
            self._services.close(client, Close.SLOW_CONSUMER, "not reading")


def _finished(work: Coroutine[Any, Any, T]) -> T:
    """The result of what never waits. Raises RuntimeError if it does."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    work.close()
    raise RuntimeError("a handler that was to answer at once has waited")


def _limited(client: Client, wait_s: float) -> dict[str, Any]:
    """Error data: the limit that refused last, and when it will allow one more."""
    return {"retryAfter": max(LEAST_RETRY_S, round(wait_s, 3)), "reason": "too_fast", "limit": client.meter.limit}


def _sayable(answer: Result | Fault, framing: ModuleType) -> Result | Fault:
    """The answer, or an internal error in its place if it cannot be encoded."""
    try:
        framing.encode_answers([answer], False)
    except Exception as error:
        return to_fault(error, answer.id, "encode")
    return answer
