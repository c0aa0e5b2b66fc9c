"""What the operator's commands ask the supervisor, over the bus (row 7.3): a request is `{"method", "params"}`, an answer
`{"result"}` or `{"refused": {"kind", "args"}}`, all JSON.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
import structlog

from cluster.errors import InvalidInput, RealmError
from cluster.ports.bus import Bus, Responder
from cluster.refusals import from_refusal, to_refusal
from realm_proto import internal_pb2

Method = Callable[..., Awaitable[Any]]

log = structlog.get_logger(__name__)


async def ask(bus: Bus, subject: str, method: str, params: Mapping[str, Any], timeout_s: float) -> Any:
    """The result. Raises what the supervisor raised, Unavailable if it does not answer."""
    request = orjson.dumps({"method": method, "params": dict(params)})
    answer = orjson.loads(await bus.request(subject, request, timeout_s))
    if refused := answer.get("refused"):
        raise from_refusal(internal_pb2.ZoneRefusal(kind=refused["kind"], args_json=orjson.dumps(refused["args"])))
    return answer["result"]


def responder(methods: Mapping[str, Method]) -> Responder:
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
