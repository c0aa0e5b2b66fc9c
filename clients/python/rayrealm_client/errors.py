"""What can go wrong, as one tree.

Sources: PROTOCOL.md, "Errors" (JSON-RPC 2.0 codes) and "HTTP API" (RFC 9457 problems).
"""

from __future__ import annotations

from typing import Any, ClassVar


class RealmError(Exception):
    """The root of everything this package raises on purpose."""


class CodecError(RealmError):
    """Bytes that are no message of the protocol, or a value that has no place in one."""


class DeadlineExceeded(RealmError, TimeoutError):
    """The answer did not come in time. The realm may or may not have acted."""


class NotConnected(RealmError):
    """There is no open socket now, and none is wanted for this call (a move is not worth keeping)."""


class ConnectionEnded(RealmError):
    """The connection is over for good. `code`: the close code, 0 without one; `reason`: a stable word."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason

    def __str__(self) -> str:
        return f"connection ended: {self.reason or 'no reason given'} ({self.code})"


class ConnectionLost(ConnectionEnded):
    """The socket closed while a request was under way; the realm may or may not have acted."""


class Refused(ConnectionEnded):
    """The upgrade was answered with the HTTP status `code`; `retry_after_s` is 0 if none was given."""

    def __init__(self, status: int, reason: str, retry_after_s: float = 0.0) -> None:
        super().__init__(status, reason)
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"upgrade refused: {self.reason} ({self.code})"


class HttpProblem(RealmError):
    """An RFC 9457 answer. `reason` is the stable word, `retry_after_s` 0 if none was given."""

    def __init__(self, status: int, reason: str, detail: str, retry_after_s: float = 0.0) -> None:
        super().__init__(status, reason, detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        return f"{self.status} {self.reason}: {self.detail}"


class NoticesLost(RealmError):
    """The reader of `notices()` was too slow, `count` of them are gone. Iteration goes on with the next."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.count = count


class RpcError(RealmError):
    """A JSON-RPC error answer: `code`, the server's message, and `data` (a dict, empty if there was none)."""

    expected_code: ClassVar[int | None] = None

    def __init__(self, code: int, message: str, data: dict[str, Any]) -> None:
        super().__init__(code, message, data)
        self.code = code
        self.message = message
        self.data = data

    def __str__(self) -> str:
        return f"{self.message} ({self.code}) {self.data}" if self.data else f"{self.message} ({self.code})"

    @property
    def reason(self) -> str:
        return str(self.data.get("reason", ""))

    @property
    def retry_after_s(self) -> float:
        """Seconds the server asked to wait; 0 if it did not say."""
        value = self.data.get("retryAfter", 0)
        return float(value) if isinstance(value, int | float) and value > 0 else 0.0


class ParseError(RpcError):
    expected_code = -32700


class InvalidRequest(RpcError):
    expected_code = -32600


class MethodNotFound(RpcError):
    expected_code = -32601


class InvalidParams(RpcError):
    expected_code = -32602


class InternalError(RpcError):
    expected_code = -32603

    @property
    def error_id(self) -> str:
        """Finds the entry in the realm's log."""
        return str(self.data.get("error_id", ""))


class Unauthorized(RpcError):
    expected_code = -32000


class RateLimited(RpcError):
    expected_code = -32001


class SessionExpired(RpcError):
    expected_code = -32002


class InvalidState(RpcError):
    expected_code = -32003

    @property
    def state(self) -> str:
        return str(self.data.get("state", ""))


class SubscriptionLimit(RpcError):
    expected_code = -32004


class Conflict(RpcError):
    expected_code = -32005

    @property
    def current(self) -> dict[str, Any]:
        """What holds now."""
        value = self.data.get("current")
        return value if isinstance(value, dict) else {}


class Unavailable(RpcError):
    """A part of the realm is away; safe to retry."""

    expected_code = -32006


_BY_CODE: dict[int, type[RpcError]] = {
    kind.expected_code: kind for kind in RpcError.__subclasses__() if kind.expected_code is not None
}


def rpc_error(code: int, message: str, data: dict[str, Any] | None) -> RpcError:
    """The error of an answer, in the class of its code; an unknown code gives a plain RpcError."""
    return _BY_CODE.get(code, RpcError)(code, message, data or {})
