"""Operators' records and sessions as bytes, one way only: what is compared must be equal byte for byte.

While a realm is upgraded two releases run: what a newer one keeps in a record beside what is known here is `more`, and stays there.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import orjson

from cluster.ports.operators import ApiToken, Invitation, OperatorRecord, OperatorSession

SESSION = frozenset(each.name for each in fields(OperatorSession))


def encode(record: OperatorRecord) -> bytes:
    said = _said(record)
    said["invitation"] = None if record.invitation is None else _said(record.invitation)
    said["tokens"] = [_said(token) for token in record.tokens]
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def decode(data: bytes) -> OperatorRecord:
    said: dict[str, Any] = orjson.loads(data)
    invitation = said.pop("invitation")
    return OperatorRecord(
        **_known(OperatorRecord, said)
        | {
            "recovery": tuple(said["recovery"]),
            "invitation": None if invitation is None else Invitation(**_known(Invitation, invitation)),
            "tokens": tuple(ApiToken(**_known(ApiToken, token)) for token in said["tokens"]),
        }
    )


def encode_session(session: OperatorSession) -> bytes:
    return orjson.dumps(asdict(session))


def decode_session(data: bytes) -> OperatorSession:
    """Nobody writes one again: what is not known here is passed over."""
    said: dict[str, Any] = orjson.loads(data)
    return OperatorSession(**{name: value for name, value in said.items() if name in SESSION})


def _said(value: OperatorRecord | Invitation | ApiToken) -> dict[str, Any]:
    said = {each.name: getattr(value, each.name) for each in fields(value) if each.name != "more"}
    return said | (orjson.loads(value.more) if value.more else {})


def _known(kind: type[OperatorRecord | Invitation | ApiToken], said: dict[str, Any]) -> dict[str, Any]:
    names = {each.name for each in fields(kind)} - {"more"}
    known = {name: value for name, value in said.items() if name in names}
    more = {name: value for name, value in said.items() if name not in names}
    return known | ({"more": orjson.dumps(more, option=orjson.OPT_SORT_KEYS).decode()} if more else {})
