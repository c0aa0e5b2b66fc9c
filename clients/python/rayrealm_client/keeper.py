"""Keeps one Link open for as long as it is wanted: connects, reads, and by the policy connects again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from rayrealm_client.accounts import Accounts
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
from rayrealm_client.models import Ready
from rayrealm_client.policy import Random, Reconnect, Step, after_close, after_refusal

log = logging.getLogger("rayrealm_client")

OpenLink = Callable[[str, str | None], Awaitable[Link]]
"""Takes an access token and the session to resume."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A connection that ended or did not come about. `retry_in_s` None: the client has stopped."""

    code: int
    reason: str
    retry_in_s: float | None


class Host(Protocol):
    """What the keeper tells its client."""

    def adopt(self, ready: Ready) -> None:
        """Before anything else of this link is read."""

    async def restore(self, link: Link, ready: Ready) -> None:
        """Beside the reading; cancelled when the link closes."""

    def lost(self, loss: Loss) -> None: ...


@dataclass(frozen=True, slots=True)
class _Outcome:
    step: Step
    error: ConnectionEnded
    retry_after_s: float = 0.0


class Keeper:
    """`link` is the open, greeted link or None; `session_id` what to resume; `ended` why it stopped."""

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
        self.session_id: str | None = None
        self.ended: ConnectionEnded | None = None
        self._accounts = accounts
        self._open_link = open_link
        self._host = host
        self._policy = policy
        self._rng = rng
        self._timeout_s = timeout_s
        self._refused_token: str | None = None
        self._settled = asyncio.Event()  # there is a link, or an end
        self._wanted = asyncio.Event()
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
            if outcome.step is Step.FRESH:
                self.session_id = None
            delay = None
            if self._policy is not None:
                now = time.monotonic()
                delay = self._policy.lost(outcome.step, now, self._rng, outcome.retry_after_s)
            self._host.lost(Loss(outcome.error.code, outcome.error.reason, delay))
            if delay is None:
                self._end(outcome.error)
                return
            if outcome.step is Step.LATER:
                await self._wanted.wait()
            await asyncio.sleep(delay)

    async def _once(self) -> _Outcome:
        """One connection, from the token to its end."""
        try:
            token = await self._accounts.access_token(newer_than=self._refused_token)
        except HttpProblem as problem:
            step = Step.STOP if problem.status in (401, 403) else Step.RETRY
            return _Outcome(step, Refused(problem.status, problem.reason), problem.retry_after_s)
        except Unauthorized as error:
            return _Outcome(Step.STOP, Refused(401, error.reason))
        except RealmError as error:
            return _Outcome(Step.RETRY, ConnectionEnded(0, str(error)))
        outcome = await self._use(token)
        if outcome.step is Step.RENEW:
            self._refused_token = token
        return outcome

    async def _use(self, token: str) -> _Outcome:
        try:
            link = await self._open_link(token, self.session_id)
        except Refused as refused:
            return _Outcome(after_refusal(refused.code), refused, refused.retry_after_s)
        except (NotConnected, DeadlineExceeded) as error:
            return _Outcome(Step.RETRY, ConnectionEnded(0, str(error)))
        restoring: asyncio.Task[None] | None = None
        try:
            ready = await link.ready(self._timeout_s)
            self.session_id = ready.session_id
            if self._policy is not None:
                self._policy.opened(time.monotonic())
            self._host.adopt(ready)
            restoring = asyncio.create_task(_logged(self._host.restore(link, ready)))
            self._wanted.clear()
            self.link = link
            self._settled.set()
            code, reason = await link.run()
        except ConnectionLost as lost:
            code, reason = lost.code, lost.reason
        except (CodecError, DeadlineExceeded) as error:
            return _Outcome(Step.RETRY, ConnectionEnded(0, str(error)))
        finally:
            self.link = None
            if self.ended is None:
                self._settled.clear()
            if restoring is not None:
                restoring.cancel()
            await link.close()
        return _Outcome(after_close(code), ConnectionEnded(code, reason))

    def _end(self, why: ConnectionEnded) -> None:
        if self.ended is None:
            self.ended = why
        self._settled.set()


async def _logged(restoring: Awaitable[None]) -> None:
    try:
        await restoring
    except Exception:
        log.exception("setting up the connection again failed")
