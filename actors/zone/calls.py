"""The desk of a zone: requests of its players, taken as they come and judged in order at the tick (rows 3.4 and 7.6).

A request and its answer go over the bus, so either may be lost, and a gateway that hears nothing says it again. Nothing is done
twice: the desk remembers what it has answered.
"""

from __future__ import annotations

import math
import time
import zlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import structlog

from actors.zone.entities import Entity
from actors.zone.game_zone import World
from actors.zone.properties import check_change, check_value, check_whole, size_of
from cluster.errors import (
    Conflict,
    Elsewhere,
    InvalidInput,
    InvalidState,
    NotFound,
    RateLimited,
    RealmError,
    Unavailable,
)
from cluster.refusals import to_refusal
from realm_proto import internal_pb2

PENDING_LIMIT = 1_000  # calls of one gateway that wait for a tick; about as many may be refused in the tick
REMEMBERED = 1_000  # of each gateway's calls, the newest
REMEMBERED_S = 30.0
REFUSED_RETRY_S = 0.5
STORE_RETRY_S = 1.0
LARGE_BYTES = 64 * 1024  # results from here on are compressed
MAX_BYTES = 900_000  # of a message; NATS takes 1 MiB unless it is told otherwise
MAX_KIND = 64
MAX_DATA_BYTES = 4_096
MAX_VERSION = 0xFFFFFFFF

log = structlog.get_logger(__name__)

Message = Callable[[Entity, str, Any, float], Any]


@dataclass(frozen=True, slots=True)
class Done:
    """`durable`: to be sent when what the tick changed is in the store. `id` is the gateway's own for the call."""

    gateway_id: str
    id: int
    answer: internal_pb2.ZoneAnswer
    durable: bool


@dataclass(slots=True)
class _Known:
    """A call that was seen. No answer: it waits for its tick, or for the store."""

    at: float
    answer: internal_pb2.ZoneAnswer | None = None


class CallDesk:
    """`message`: the game's answer to game.message; `guarded`: properties that only the game changes (game.py). `budget_s`: when so
    much of a tick is spent, the rest waits for the next one.

    `done` counts by method, `dropped` by reason: `full` (the gateway is told), `overflow` (nobody is).
    """

    def __init__(
        self,
        world: World,
        message: Message,
        guarded: frozenset[str] = frozenset(),
        budget_s: float = 0.0125,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.done: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._world = world
        self._message = message
        self._guarded = guarded
        self._budget_s = budget_s
        self._timer = timer
        self._calls: deque[tuple[str, internal_pb2.ZoneCall]] = deque()
        self._waiting: Counter[str] = Counter()
        self._at_once: list[Done] = []  # answers that need no judging
        self._told_off: Counter[str] = Counter()  # refused since the last tick, by gateway
        self._known: dict[str, OrderedDict[int, _Known]] = {}
        self._methods = {
            "state.sync.request": self._request,
            "state.sync.delta": self._delta,
            "game.message": self._game,
            "zone.hearers": self._hearers,
        }

    def __bool__(self) -> bool:
        """There is something for `run` to do."""
        return bool(self._calls or self._at_once)

    @property
    def waiting(self) -> int:
        """Calls for the next tick."""
        return len(self._calls)

    def take(self, gateway_id: str, calls: Iterable[internal_pb2.ZoneCall], now: float) -> None:
        """Calls as they came, for the next tick. Those over the bound are refused, and those seen before are not done again."""
        known = self._known.setdefault(gateway_id, OrderedDict())
        for call in calls:
            if call.id in known:
                seen = known[call.id]
                if seen.answer is not None and self._may_refuse(gateway_id):
                    self._at_once.append(Done(gateway_id, call.id, seen.answer, False))
                continue
            if call.epoch and call.epoch != self._world.epoch:
                # It may have been done by the one that is gone; that the client hears, and can look.
                self._refuse(gateway_id, call.id, Unavailable(f"zone:{self._world.id}", STORE_RETRY_S))
                continue
            if self._waiting[gateway_id] >= PENDING_LIMIT:
                self.dropped["full"] += 1
                self._refuse(gateway_id, call.id, RateLimited("zone_busy", REFUSED_RETRY_S))
                continue
            known[call.id] = _Known(now)
            while len(known) > REMEMBERED + self._waiting[gateway_id]:
                known.popitem(last=False)
            self._waiting[gateway_id] += 1
            self._calls.append((gateway_id, call))

    def _may_refuse(self, gateway_id: str) -> bool:
        self._told_off[gateway_id] += 1
        if self._told_off[gateway_id] > PENDING_LIMIT:
            self.dropped["overflow"] += 1
            return False
        return True

    def _refuse(self, gateway_id: str, call_id: int, error: RealmError) -> None:
        if self._may_refuse(gateway_id):
            answer = internal_pb2.ZoneAnswer(id=call_id, refusal=to_refusal(error))
            self._at_once.append(Done(gateway_id, call_id, answer, False))

    # --- the tick -----------------------------------------------------------------------------------------------

    def run(self, now: float) -> list[Done]:
        """Judge what was taken, oldest first. What is not `durable` may be sent at once, the rest when the commit is through;
        `sent` is to be called with each.
        """
        done, self._at_once = self._at_once, []
        self._told_off.clear()
        self._forget(now)
        until = self._timer() + self._budget_s
        while self._calls:
            gateway_id, call = self._calls.popleft()
            self._waiting[gateway_id] -= 1
            writes = self._world.writes
            answer = self._judge(call)
            done.append(Done(gateway_id, call.id, answer, self._world.writes != writes))
            if self._timer() >= until:
                break
        return done

    def sent(self, done: Iterable[Done]) -> None:
        """These were answered: whoever asks again is told the same."""
        for each in done:
            memory = self._known.get(each.gateway_id)
            if memory is not None and each.id in memory:
                memory[each.id].answer = each.answer

    def _forget(self, now: float) -> None:
        for gateway_id, known in list(self._known.items()):
            while known:
                oldest = next(iter(known.values()))
                if oldest.answer is None or now - oldest.at <= REMEMBERED_S:
                    break
                known.popitem(last=False)
            if not known:
                del self._known[gateway_id]
                del self._waiting[gateway_id]

    def _judge(self, call: internal_pb2.ZoneCall) -> internal_pb2.ZoneAnswer:
        answer = internal_pb2.ZoneAnswer(id=call.id)
        method = self._methods.get(call.method)
        try:
            if method is None:
                raise NotFound("no_such_method")
            self.done[call.method] += 1
            entity = self._entity_of(call)
            result = orjson.dumps(method(entity, _params(call)))
            if len(result) < LARGE_BYTES:
                answer.result_json = result
            else:
                answer.result_zlib = zlib.compress(result, 1)
                if len(answer.result_zlib) > MAX_BYTES:
                    raise RateLimited("result_too_large", REFUSED_RETRY_S)
        except Elsewhere as error:
            answer.elsewhere = error.zone_id
        except RealmError as error:
            answer.refusal.CopyFrom(to_refusal(error))
        except Exception as error:  # a bug in one call is not to cost the tick
            log.exception("call_failed", zone=self._world.id, method=call.method)
            answer.refusal.CopyFrom(to_refusal(error))
        return answer

    def _entity_of(self, call: internal_pb2.ZoneCall) -> Entity:
        try:
            entity = self._world.of_session(call.session_id)
        except InvalidState:
            raise Elsewhere("") from None  # a zone that was restarted has forgotten whom it handed over
        if call.attach_epoch < entity.attach_epoch:
            raise Conflict("newer_attach")
        return entity

    # --- methods ------------------------------------------------------------------------------------------------

    def _request(self, entity: Entity, _params: dict[str, Any]) -> dict[str, Any]:
        return self._world.snapshot(entity.session_id)

    def _delta(self, entity: Entity, params: dict[str, Any]) -> dict[str, Any]:
        """A change of the session's own entity, based on the version that the client knows."""
        version = params.get("version")
        if not isinstance(version, int) or not 0 < version <= MAX_VERSION:
            raise InvalidInput([("version", "1 to 4294967295")])
        change = check_change(params.get("properties"))
        if params.get("entity_id") != entity.entity_id:
            raise NotFound("no_such_entity")
        if guarded := sorted(self._guarded & change.keys()):
            raise InvalidInput([(f"properties.{name}", "only the game changes it") for name in guarded])
        if version != entity.version:
            raise Conflict("stale_version", self._world.describe(entity.number, entity.number))
        check_whole(entity.properties, change)
        if self._world.away:
            raise Unavailable("redis", STORE_RETRY_S)
        return {"version": self._world.change(entity, change)}

    def _game(self, entity: Entity, params: dict[str, Any]) -> dict[str, Any]:
        kind, data, seen_tick = params.get("type"), params.get("data"), params.get("tick", 0)
        if not isinstance(kind, str) or not 0 < len(kind) <= MAX_KIND:
            raise InvalidInput([("type", f"1 to {MAX_KIND} characters")])
        if not isinstance(seen_tick, int | float) or not 0 <= seen_tick < math.inf:
            raise InvalidInput([("tick", "that of a view")])
        check_value(data, "data")
        if size_of(data, "data") > MAX_DATA_BYTES:
            raise InvalidInput([("data", f"more than {MAX_DATA_BYTES} bytes")])
        return {"result": self._message(entity, kind, data, seen_tick), "tick": self._world.ticks}

    def _hearers(self, entity: Entity, params: dict[str, Any]) -> dict[str, Any]:
        """Users whose players stand within `range` metres on the ground, the caller first, then the nearest; `most` of them.

        With ghosts, as far as neighbouring zones tell of them (borders.py). A gateway asks, for chat: no route leads here, and what
        it says is the gateway's own.
        """
        reach, most = float(params["range"]), int(params["most"])
        table, number = self._world.table, entity.number
        gap = table.position[:, (0, 2)].astype(np.float64) - table.position[number, (0, 2)]
        far = np.einsum("ij,ij->i", gap, gap)
        far[number] = -1.0
        numbers = np.flatnonzero(table.alive & (far <= reach * reach))
        numbers = numbers[np.argsort(far[numbers], kind="stable")]
        heard: dict[str, None] = {}
        for each in numbers.tolist():
            user_id = table.by_number[each].user_id
            if user_id:  # none: nobody plays it
                heard[user_id] = None
                if len(heard) >= most:
                    break
        return {"user_ids": list(heard)}


def _params(call: internal_pb2.ZoneCall) -> dict[str, Any]:
    try:
        params = orjson.loads(call.params_json) if call.params_json else {}
    except orjson.JSONDecodeError:
        params = None
    if not isinstance(params, dict):
        raise InvalidInput([("params", "no JSON object")])
    return params


def messages(zone_id: str, epoch: int, done: Iterable[Done]) -> list[tuple[str, bytes]]:
    """(gateway id, GatewayControl) that tell the answers, none of them too large for the bus."""
    made: list[tuple[str, bytes]] = []
    open_: dict[str, tuple[internal_pb2.ZoneAnswers, int]] = {}

    def close(gateway_id: str) -> None:
        made.append((gateway_id, internal_pb2.GatewayControl(answers=open_.pop(gateway_id)[0]).SerializeToString()))

    for each in done:
        size = each.answer.ByteSize()
        if each.gateway_id in open_ and open_[each.gateway_id][1] + size > MAX_BYTES:
            close(each.gateway_id)
        answers, before = open_.get(each.gateway_id) or (internal_pb2.ZoneAnswers(zone_id=zone_id, epoch=epoch), 0)
        answers.answers.append(each.answer)
        open_[each.gateway_id] = answers, before + size
    for gateway_id in list(open_):
        close(gateway_id)
    return made
