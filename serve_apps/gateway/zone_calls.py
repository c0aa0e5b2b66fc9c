"""Requests to the zone that a client's character is in, over the bus, and their answers (rows 3.4 and 7.6).

A zone answers at its tick, when what was changed is durable. Either way may be lost, so that a call is said again; it keeps its
number, by which the zone knows it. It goes where the character goes: a zone that has handed it over says to which.
"""

from __future__ import annotations

import asyncio
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from cluster.errors import Elsewhere, Ours, RateLimited, Unavailable
from cluster.refusals import from_refusal
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client

REPEAT_S = 1.0
PAUSE_S = 0.05  # until a zone is asked again that does not know (yet) where the character is
MOST_PENDING = 10_000
BUSY_RETRY_S = 0.5
MAX_RESULT_BYTES = 10 * 1024 * 1024


class Carrier(Protocol):
    """What is needed of the link to the zones (zone_link.py)."""

    def call(self, zone_id: str, call: internal_pb2.ZoneCall) -> None:
        """With the next ZoneInput of that zone."""

    def epoch(self, zone_id: str) -> int:
        """Of the zone's newest incarnation that was heard of, 0 if none was."""


@dataclass(slots=True)
class _Asked:
    """A call on its way; `answer` is settled by the first of its answers."""

    zone_id: str
    answer: asyncio.Future[internal_pb2.ZoneAnswer] = field(compare=False)


class ZoneCalls:
    """`asked`, `repeated`, `strays` (answers that nobody waits for) and `stale` (answers of an older incarnation) are totals."""

    def __init__(
        self, carrier: Carrier, clock: Callable[[], float], deadline_s: float, seed: int | None = None
    ) -> None:
        self.asked = 0
        self.repeated = 0
        self.strays = 0
        self.stale = 0
        self._carrier = carrier
        self._clock = clock
        self._deadline_s = deadline_s
        self._random = random.Random(seed)  # noqa: S311 - jitter
        self._pending: dict[int, _Asked] = {}

    def __len__(self) -> int:
        return len(self._pending)

    async def call(
        self, client: Client, method: str, params: dict[str, Any], idempotent: bool = False
    ) -> dict[str, Any]:
        """The zone's result. Raises what it refused with; Unavailable without an answer in time: it may or may not have acted.

        `idempotent`: may be done twice, as by an incarnation of the zone and by the next one.
        """
        if len(self._pending) >= MOST_PENDING:
            raise RateLimited("too_many_calls", BUSY_RETRY_S)
        until = self._clock() + self._deadline_s
        params_json = orjson.dumps(params)
        zone_id, straight_on = client.zone_id, True
        while True:
            try:
                return await self._ask(client, zone_id, method, params_json, idempotent, until)
            except Elsewhere as told:
                # Nothing was done. Two that name each other are in the middle of a hand-over.
                follow = told.zone_id if told.zone_id != zone_id else ""
                if not follow or not straight_on:
                    await self._pause(until, zone_id)
                straight_on = not straight_on if follow else True
                zone_id = follow or client.zone_id or zone_id

    async def _pause(self, until: float, zone_id: str) -> None:
        pause = PAUSE_S * self._random.uniform(0.5, 1.5)
        if self._clock() + pause >= until:
            raise Unavailable(f"zone:{zone_id}")
        await asyncio.sleep(pause)

    async def _ask(
        self, client: Client, zone_id: str, method: str, params_json: bytes, idempotent: bool, until: float
    ) -> dict[str, Any]:
        """Ask one zone, again and again. Raises Elsewhere when it says so."""
        self.asked += 1
        number, epoch = self.asked, self._carrier.epoch(zone_id)
        asked = self._pending[number] = _Asked(zone_id, asyncio.get_running_loop().create_future())
        call = internal_pb2.ZoneCall(
            id=number,
            session_id=client.session_id,
            attach_epoch=client.attach_epoch,
            method=method,
            params_json=params_json,
        )
        self._carrier.call(zone_id, call)
        try:
            while True:
                left = until - self._clock()
                if left <= 0.0:
                    raise Unavailable(f"zone:{zone_id}")
                wait = min(left, REPEAT_S * self._random.uniform(0.8, 1.2))
                done, _ = await asyncio.wait({asked.answer}, timeout=wait)
                if done:
                    return _result(asked.answer.result())
                if client.zone_id not in ("", zone_id) and idempotent:
                    raise Elsewhere(client.zone_id)
                # Who does not know which incarnation it asked first must not ask another: the call might be done twice.
                if epoch or idempotent:
                    self.repeated += 1
                    again = internal_pb2.ZoneCall()
                    again.CopyFrom(call)
                    again.epoch = 0 if idempotent else epoch
                    self._carrier.call(zone_id, again)
        finally:
            del self._pending[number]

    def receive(self, answers: internal_pb2.ZoneAnswers) -> None:
        """From GatewayControl. What an older incarnation than the newest one says is not believed (DESIGN, "Fencing")."""
        if answers.epoch < self._carrier.epoch(answers.zone_id):
            self.stale += len(answers.answers)
            return
        for answer in answers.answers:
            asked = self._pending.get(answer.id)
            if asked is None or asked.zone_id != answers.zone_id or asked.answer.done():
                self.strays += 1
            else:
                asked.answer.set_result(answer)


def _result(answer: internal_pb2.ZoneAnswer) -> dict[str, Any]:
    """Raises what the answer says if it is no result."""
    match answer.WhichOneof("what"):
        case "refusal":
            raise from_refusal(answer.refusal)
        case "elsewhere":
            raise Elsewhere(answer.elsewhere)
        case "result_zlib":
            stream = zlib.decompressobj()
            data = stream.decompress(answer.result_zlib, MAX_RESULT_BYTES)
        case "result_json":
            data = answer.result_json
        case _:
            raise Ours("a zone's answer says nothing")
    result: dict[str, Any] = orjson.loads(data)
    return result
