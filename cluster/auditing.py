"""Audit entries as bytes: what is kept of one, however long the texts in it were."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson

from cluster.ports.audit import AuditEntry

MAX_TEXT = 500
MAX_DETAILS = 32
MOST_INT = 2**63


def encode(entry: AuditEntry) -> bytes:
    """JSON. Texts are cut at MAX_TEXT characters, details after MAX_DETAILS; a number that JSON has not becomes a text."""
    said = asdict(entry)
    del said["entry_id"]
    said["details"] = {_cut(name): _plain(value) for name, value in list(entry.details.items())[:MAX_DETAILS]}
    for name in ("actor", "action", "target", "reason", "result"):
        said[name] = _cut(said[name])
    return orjson.dumps(said)


def decode(data: bytes, entry_id: str) -> AuditEntry:
    """What `encode` made, as the entry of that id."""
    said: dict[str, Any] = orjson.loads(data)
    return AuditEntry(**said, entry_id=entry_id)


def _cut(text: str) -> str:
    """Half of a surrogate pair, which JSON may bring in, is no character that can be stored."""
    return text[:MAX_TEXT].encode("utf-8", "replace").decode()


def _plain(value: str | int | float | bool) -> str | int | float | bool:
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, int):
        return value if -MOST_INT <= value < MOST_INT else _cut(str(value))
    return value if value - value == 0.0 else str(value)
