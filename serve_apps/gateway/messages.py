"""What a frame says, whichever framing it came in (row 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

RequestId = str | int | float | None


class Framing(Enum):
    """How an answer is written."""

    JSON = "rayrealm.v1+json"
    PROTO = "rayrealm.v1+proto"


class NoId(Enum):
    """A notification has no id; an id of null is an id."""

    NO_ID = "no id"


NO_ID = NoId.NO_ID


class Code(int, Enum):
    """JSON-RPC error codes (row 2.4; JSON-RPC 2.0, section 5.1)."""

    PARSE_ERROR = -32700
    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    INVALID_PARAMS = -32602
    INTERNAL_ERROR = -32603
    UNAUTHORIZED = -32000
    RATE_LIMITED = -32001
    SESSION_EXPIRED = -32002
    INVALID_STATE = -32003
    SUBSCRIPTION_LIMIT = -32004
    CONFLICT = -32005
    UNAVAILABLE = -32006


MESSAGES = {
    Code.PARSE_ERROR: "Parse error",
    Code.INVALID_REQUEST: "Invalid Request",
    Code.METHOD_NOT_FOUND: "Method not found",
    Code.INVALID_PARAMS: "Invalid params",
    Code.INTERNAL_ERROR: "Internal error",
    Code.UNAUTHORIZED: "Unauthorized",
    Code.RATE_LIMITED: "Rate limited",
    Code.SESSION_EXPIRED: "Session expired",
    Code.INVALID_STATE: "Invalid state",
    Code.SUBSCRIPTION_LIMIT: "Subscription limit",
    Code.CONFLICT: "Conflict",
    Code.UNAVAILABLE: "Unavailable",
}


@dataclass(frozen=True, slots=True)
class Fault:
    """An error object, and the request it answers."""

    code: Code
    data: dict[str, Any] = field(default_factory=dict)
    id: RequestId | NoId = None


@dataclass(frozen=True, slots=True)
class Call:
    """A request, or a notification if `id` is NO_ID. `params` is an object of plain JSON. `trace`: the client's word, unchecked."""

    method: str
    params: dict[str, Any]
    id: RequestId | NoId
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    value: dict[str, Any]
    id: RequestId


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame's content. In a batch the answers go back together."""

    items: tuple[Call | Fault, ...]
    batch: bool = False


MAX_DEPTH = 64  # of arrays and objects in params: what is deeper, no encoder takes
MAX_VALUES = 4_096  # in the params of one frame: what Python makes of each costs a hundred times its byte
ANY_SIZE = 2**31

# The methods there are, and the most bytes that the params of each may have. None: whatever the frame has, and any method.
Sizes = Mapping[str, int] | None


def most_bytes(sizes: Sizes, method: str) -> int:
    """What the params of a method may have; negative: there is no such method, and nobody needs its params."""
    return ANY_SIZE if sizes is None else sizes.get(method, -1)


def too_deep(value: Any) -> bool:
    """Whether plain JSON is nested deeper than MAX_DEPTH. Without recursion, whatever the depth."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return False
    return True


class BadParams(Exception):
    """Params that cannot become a JSON object; `reason` goes to the client."""

    def __init__(self, reason: str, field_name: str = "params") -> None:
        super().__init__(reason)
        self.reason = reason
        self.field = field_name


class Budget:
    """How many values the params of one frame may still have. Charged before they are made."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def charge(self, values: int) -> None:
        """Raises BadParams."""
        self.left -= values
        if self.left < 0:
            raise BadParams(f"more than {MAX_VALUES} values in one frame")
