"""Errors of `cluster/errors.py` as a ZoneRefusal and back: what a zone refuses, a client hears as if its gateway had refused it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from cluster.errors import (
    Conflict,
    InvalidInput,
    InvalidState,
    NotFound,
    Ours,
    RateLimited,
    RealmError,
    SessionGone,
    SubscriptionLimit,
    Theirs,
    Unauthorized,
    Unavailable,
)
from realm_proto import internal_pb2

MAX_SAID = 1_000  # characters of an error that nobody expected


def _word(error: Any) -> list[Any]:
    """The arguments of those that have a reason and a message."""
    return [error.reason, error.message]


# The class, and the arguments that make the error again. A subclass that is not named here goes as the nearest one that is.
_KINDS: dict[type[RealmError], Callable[[Any], list[Any]]] = {
    Unavailable: lambda e: [e.what, e.retry_after_s],
    InvalidInput: lambda e: [e.errors],
    InvalidState: lambda e: [e.reason, e.state],
    Conflict: lambda e: [e.reason, e.current],
    RateLimited: lambda e: [e.reason, e.retry_after_s],
    SubscriptionLimit: lambda e: [e.limit],
    Unauthorized: _word,
    SessionGone: _word,
    NotFound: _word,
    Theirs: _word,
}
_BY_NAME = {kind.__name__: kind for kind in _KINDS}


def to_refusal(error: Exception) -> internal_pb2.ZoneRefusal:
    """Any error; one that is no refusal becomes `Ours`, which a client is told nothing of."""
    kind = next((kind for kind in type(error).__mro__ if kind in _KINDS), None)
    if kind is None:
        said = f"{type(error).__name__}: {error}"[:MAX_SAID]
        return internal_pb2.ZoneRefusal(kind=Ours.__name__, args_json=orjson.dumps([said]))
    return internal_pb2.ZoneRefusal(kind=kind.__name__, args_json=orjson.dumps(_KINDS[kind](error)))


def from_refusal(refusal: internal_pb2.ZoneRefusal) -> RealmError:
    """The error again. What cannot be read is a fault of ours, and says so."""
    kind = _BY_NAME.get(refusal.kind)
    try:
        args = orjson.loads(refusal.args_json)
        if kind is InvalidInput:
            return InvalidInput([(str(field), str(why)) for field, why in args[0]])
        return Ours(str(args[0])) if kind is None else kind(*args)
    except (ValueError, TypeError, IndexError, KeyError) as error:
        return Ours(f"a refusal that cannot be read: {refusal.kind[:100]!r}, {error}")
