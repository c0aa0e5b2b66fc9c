"""Each JSON-RPC code has its class; what a server adds is there to read."""

from __future__ import annotations

import pytest

from rayrealm_client import errors
from rayrealm_client.errors import RpcError, rpc_error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (-32700, errors.ParseError),
        (-32600, errors.InvalidRequest),
        (-32601, errors.MethodNotFound),
        (-32602, errors.InvalidParams),
        (-32603, errors.InternalError),
        (-32000, errors.Unauthorized),
        (-32001, errors.RateLimited),
        (-32002, errors.SessionExpired),
        (-32003, errors.InvalidState),
        (-32004, errors.SubscriptionLimit),
        (-32005, errors.Conflict),
        (-32006, errors.Unavailable),
        (-1, RpcError),
    ],
)
def test_codes(code: int, kind: type[RpcError]) -> None:
    error = rpc_error(code, "message", {"reason": "why"})
    assert type(error) is kind
    assert (error.code, error.message, error.reason) == (code, "message", "why")


def test_what_the_data_says() -> None:
    assert rpc_error(-32001, "", {"retryAfter": 2}).retry_after_s == 2.0
    assert rpc_error(-32001, "", {"retryAfter": "soon"}).retry_after_s == 0.0
    state = rpc_error(-32003, "", {"state": "in_world"})
    assert isinstance(state, errors.InvalidState)
    assert state.state == "in_world"
    conflict = rpc_error(-32005, "", {"current": {"version": 4}})
    assert isinstance(conflict, errors.Conflict)
    assert conflict.current == {"version": 4}
    internal = rpc_error(-32603, "", {"error_id": "e1"})
    assert isinstance(internal, errors.InternalError)
    assert internal.error_id == "e1"
    assert rpc_error(-32603, "", None).data == {}
