"""What the operator's commands ask the supervisor, over the bus (row 7.3): a request is `{"method", "params"}`, an answer
`{"result"}` or `{"refused": {"kind", "args"}}`, all JSON.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog

from cluster.errors import InvalidInput, RealmError, Unavailable
from cluster.ports.bus import Bus
from cluster.refusals import from_refusal, to_refusal
from realm_proto import internal_pb2

LOOK_S = 3.0  # for what the supervisor has at hand
ASK_S = 10.0  # for a plan: it asks the zone first
ASK_AGAIN_S = 20.0  # the supervisor may be restarting, and an answer lost with the one before
LOOKS = frozenset({"world", "zones", "nodes", "state"})
PAUSE_S = 0.25

Method = Callable[..., Awaitable[Any]]

log = structlog.get_logger(__name__)


async def ask(bus: Bus, subject: str, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
    """The result. Raises what the supervisor raised, Unavailable if it does not answer."""
    request = orjson.dumps({"method": method, "params": dict(params)})
    return result_of(await bus.request(subject, request, timeout_s))


def asking(
    bus: Bus, subject: str, clock: Callable[[], float], pause: Callable[[float], Awaitable[None]]
) -> Callable[[str, dict[str, Any]], Awaitable[Any]]:
    """To the supervisor: everything may be asked again, and is for as long as it may take to restart it."""

    async def question(method: str, params: dict[str, Any]) -> Any:
        until = clock() + ASK_AGAIN_S
        while True:
            try:
                return await ask(bus, subject, method, params, LOOK_S if method in LOOKS else ASK_S)
            except Unavailable:
                if clock() > until:
                    raise
            await pause(PAUSE_S)

    return question


def result_of(data: bytes) -> Any:
    """Of an answer. Raises what it says."""
    answer = orjson.loads(data)
    if (error := refused(answer)) is not None:
        raise error
    return answer["result"]


def refused(answer: Mapping[str, Any]) -> Exception | None:
    """What an answer refuses with; None if it has a result."""
    said = answer.get("refused")
    if said is None:
        return None
    return from_refusal(internal_pb2.ZoneRefusal(kind=said["kind"], args_json=orjson.dumps(said["args"])))


def responder(methods: Mapping[str, Method]) -> Callable[[bytes], Awaitable[bytes]]:
    """Answers with what the methods return, or with what they raise. They are called with the params by name."""

    async def respond(data: bytes) -> bytes:
        try:
            request = orjson.loads(data)
            method, params = methods[request["method"]], dict(request["params"])
        except (ValueError, KeyError, TypeError):
            return _refused(InvalidInput([("request", "cannot be read")]))
        try:
            inspect.signature(method).bind(**params)
        except TypeError as error:
            return _refused(InvalidInput([("params", str(error))]))
        try:
            return orjson.dumps({"result": await method(**params)})
        except RealmError as error:
            return _refused(error)
        except Exception as error:
            log.exception("world_request_failed", method=request["method"])
            return _refused(error)

    return respond


def _refused(error: Exception) -> bytes:
    refusal = to_refusal(error)
    return orjson.dumps({"refused": {"kind": refusal.kind, "args": orjson.loads(refusal.args_json)}})
