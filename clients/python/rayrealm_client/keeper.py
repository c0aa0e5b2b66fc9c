"""Keeps one Link open for as long as it is wanted: connects, reads, and by the policy connects again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from rayrealm_client import renewal
from rayrealm_client.accounts import Accounts
from rayrealm_client.anys import Json
from rayrealm_client.codec import Notification
from rayrealm_client.errors import (
    CodecError,
    ConnectionEnded,
    ConnectionLost,
    DeadlineExceeded,
    HttpProblem,
    NotConnected,
    RealmError,
    Refused,
    Unauthorized,
)
from rayrealm_client.link import Link
from rayrealm_client.models import MoveOver, Ready
from rayrealm_client.policy import Backoff, Random, Reconnect, Step, after_close, after_refusal
from rayrealm_client.recovery import Opening, Recovery
from rayrealm_client.reliable import Reliable

log = logging.getLogger("rayrealm_client")

ACK_METHOD = "session.ack"
RESTART = 1012
MAINTENANCE = "maintenance"  # why the realm refuses, or closes with 1013

OpenLink = Callable[[str | None, Opening], Awaitable[Link]]
"""Takes an access token, None where a recovery token does, and what to resume."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A connection that ended or did not come about. `retry_in_s` None: the client has stopped."""

    code: int
    reason: str
    retry_in_s: float | None


class Host(Protocol):
    """What the keeper tells its client."""

    def adopt(self, ready: Ready, missed: bool) -> None:
        """Before anything else of this link is read. `missed`: notifications were missed, and will not come."""

    async def restore(self, link: Link, ready: Ready, missed: bool) -> None:
        """Beside the reading; cancelled when the link closes."""

    def lost(self, loss: Loss) -> None: ...


@dataclass(frozen=True, slots=True)
class _Outcome:
    step: Step
    error: ConnectionEnded
    retry_after_s: float = 0.0
    moving_over: bool = False


class Keeper:
    """`link` is the open, greeted link or None; `ended` why it stopped; `moving_over`: between two links, as the server asked."""

    def __init__(
        self,
        accounts: Accounts,
        open_link: OpenLink,
        host: Host,
        policy: Reconnect | None,
        rng: Random,
        timeout_s: float,
    ) -> None:
        """`policy` None: the first loss is the end."""
        self.link: Link | None = None
        self.ended: ConnectionEnded | None = None
        self.moving_over = False
        self.reliable = Reliable()
        self.recovery = Recovery(self.reliable)
        self._accounts = accounts
        self._open_link = open_link
        self._host = host
        self._policy = policy
        self._rng = rng
        self._timeout_s = timeout_s
        self._refused_token: str | None = None
        self._settled = asyncio.Event()  # there is a link, or an end
        self._wanted = asyncio.Event()
        self._ack_sooner = asyncio.Event()
        self._move_over: MoveOver | None = None
        self._beside: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def connected(self, timeout_s: float, *, again: bool = False) -> Link:
        """The link, when there is one. `again` starts over after an end.

        Raises ConnectionEnded (Refused for a refusal) after an end, DeadlineExceeded.
        """
        self.want()
        if self._task is None or (again and self.ended is not None and not self._closed):
            self.ended = None
            self._settled.clear()
            self._task = asyncio.create_task(self._run(), name="rayrealm-client")
        try:
            async with asyncio.timeout(timeout_s):
                return await self._link_or_end()
        except TimeoutError as error:
            raise DeadlineExceeded(f"not connected in {timeout_s} s") from error

    async def _link_or_end(self) -> Link:
        while True:
            link, ended = self.link, self.ended
            if ended is not None:
                raise ended
            if link is not None:
                return link
            await self._settled.wait()

    def want(self) -> None:
        """There is something to do: wakes a client that was closed for being idle."""
        if self.link is None:
            self._wanted.set()

    def take(self, seq: int) -> bool:
        """A numbered notification came on the link. False: it has come before, and is to be dropped."""
        now = time.monotonic()
        waiting = self.reliable.ack_in(now) is None
        new = self.reliable.take(seq, now)
        if waiting or self.reliable.ack_in(now) == 0.0:
            self._ack_sooner.set()
        return new

    def move_over(self, told: MoveOver) -> None:
        """Connect again by recovery, as the server asks, at a random moment. Once a link."""
        self.recovery.renewed(told.recovery.token, told.recovery.expires_in, time.monotonic())
        if self._move_over is None and self._policy is not None:
            self._move_over = told
            self.beside(self._leave_politely(told))

    def renew(self, expires_in: float) -> None:
        """The access token that the link was opened with ends in so many seconds."""
        link = self.link
        if link is None:
            return

        async def ask(method: str, params: dict[str, Json]) -> Json:
            return await link.request(method, params, self._timeout_s)

        backoff = self._policy.backoff if self._policy is not None else Backoff()
        self.beside(renewal.renew(self._accounts, ask, expires_in, backoff, self._rng))

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` while the link is open, and no longer."""
        task = asyncio.create_task(_logged(work))
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def close(self) -> None:
        """Close the socket normally and stop; the client cannot be used after."""
        self._closed = True
        link, task = self.link, self._task
        self._end(ConnectionEnded(1000, "closed by the client"))
        if link is not None:
            await link.close()
        if task is not None:
            task.cancel()
            await asyncio.wait({task}, timeout=self._timeout_s)

    async def _run(self) -> None:
        while True:
            outcome = await self._once()
            if self._closed:
                return
            self.moving_over = outcome.moving_over
            if outcome.step is Step.FRESH:
                self.recovery.forget_session()
            elif outcome.step in (
                Step.RENEW,
                Step.STOP,
            ):  # only an access token helps, now or when it is told to start over
                self.recovery.forget_token()
            delay = None
            if self._policy is not None:
                now = time.monotonic()
                closed = outcome.error.reason == MAINTENANCE
                delay = self._policy.lost(outcome.step, now, self._rng, outcome.retry_after_s, closed=closed)
            self._host.lost(Loss(outcome.error.code, outcome.error.reason, delay))
            if delay is None:
                self._end(outcome.error)
                return
            if outcome.step is Step.LATER:
                await self._wanted.wait()
            await asyncio.sleep(delay)

    async def _once(self) -> _Outcome:
        """One connection, from what opens it to its end. What the server would not have is left out, one thing at a time."""
        outcome = await self._attempt()
        for _ in range(2):
            if outcome.step is Step.UNRECOVERED:
                self.recovery.forget_token()
            elif outcome.step is Step.UNNUMBERED:
                self.recovery.forget_last()
            else:
                break
            log.info("connecting without it: %s", outcome.error)
            outcome = await self._attempt()
        return outcome

    async def _attempt(self) -> _Outcome:
        opening = self.recovery.opening(time.monotonic())
        if opening.recovery is not None:
            return await self._use(None, opening)
        try:
            token = await self._accounts.access_token(newer_than=self._refused_token)
        except HttpProblem as problem:
            step = Step.STOP if problem.status in (401, 403) else Step.RETRY
            return _Outcome(step, Refused(problem.status, problem.reason), problem.retry_after_s)
        except Unauthorized as error:
            return _Outcome(Step.STOP, Refused(401, error.reason))
        except RealmError as error:
            return _Outcome(Step.RETRY, ConnectionEnded(0, str(error)))
        outcome = await self._use(token, opening)
        if outcome.step is Step.RENEW:
            self._refused_token = token
        return outcome

    async def _use(self, token: str | None, opening: Opening) -> _Outcome:
        try:
            link = await self._open_link(token, opening)
        except Refused as refused:
            step = after_refusal(refused.code, refused.reason, recovering=opening.recovery is not None)
            return _Outcome(step, refused, refused.retry_after_s)
        except (NotConnected, DeadlineExceeded) as error:
            return _Outcome(Step.RETRY, ConnectionEnded(0, str(error)))
        self._move_over = None
        try:
            self._greeted(link, await link.ready(self._timeout_s))
            code, reason = await link.run()
        except ConnectionLost as lost:
            code, reason = lost.code, lost.reason
        except (CodecError, DeadlineExceeded) as error:
            return _Outcome(Step.RETRY, ConnectionEnded(0, str(error)))
        finally:
            self.link = None
            if self.ended is None:
                self._settled.clear()
            for task in self._beside:
                task.cancel()
            await link.close()
        return self._closed_with(code, reason)

    def _closed_with(self, code: int, reason: str) -> _Outcome:
        told = self._move_over
        if self.moving_over and told is not None and code < 4000:  # closed by this client, as it was asked to
            return _Outcome(Step.AT_ONCE, ConnectionEnded(RESTART, told.reason), moving_over=True)
        step, tokens = after_close(code), self._accounts.tokens
        if step is Step.RENEW and tokens is not None:  # whatever the socket was opened with: it takes a newer one
            self._refused_token = tokens.access_token
        return _Outcome(step, ConnectionEnded(code, reason))

    def _greeted(self, link: Link, ready: Ready) -> None:
        now = time.monotonic()
        self.recovery.attached(ready.session_id, ready.recovery.token, ready.recovery.expires_in, now)
        whole = self.reliable.begin(ready.stream, ready.seq, recovered=ready.recovered, resumed=ready.resumed, now=now)
        if self._policy is not None:
            self._policy.opened(now)
        self._host.adopt(ready, not whole)
        self.beside(self._acknowledge(link))
        self.beside(self._host.restore(link, ready, not whole))
        self._wanted.clear()
        self.moving_over = False
        self.link = link
        self._settled.set()

    async def _acknowledge(self, link: Link) -> None:
        """Say what has come, when it is time to."""
        while True:
            self._ack_sooner.clear()
            wait_s = self.reliable.ack_in(time.monotonic())
            if wait_s == 0.0:
                await link.send(Notification(ACK_METHOD, {"seq": self.reliable.ack()}))
                continue
            try:
                async with asyncio.timeout(wait_s):
                    await self._ack_sooner.wait()
            except TimeoutError:
                continue

    async def _leave_politely(self, told: MoveOver) -> None:
        await asyncio.sleep(self._rng.random() * told.within_s)
        link = self.link
        if link is None:
            return
        self.moving_over = True
        self.link = None  # from now on requests wait for the next link
        self._settled.clear()
        await link.settle()
        await link.close(1000, "reconnecting")

    def _end(self, why: ConnectionEnded) -> None:
        if self.ended is None:
            self.ended = why
        self._settled.set()


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except ConnectionLost:
        pass  # the next link starts over
    except Exception:
        log.exception("work beside the connection failed")
