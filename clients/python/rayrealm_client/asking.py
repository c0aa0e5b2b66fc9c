"""What the groups of calls need of the client, and how they read answers."""

from __future__ import annotations

from typing import Any, Protocol

from rayrealm_client.anys import Json, Params
from rayrealm_client.errors import CodecError


class Asking(Protocol):
    async def request(self, method: str, params: Params = None, timeout_s: float | None = None) -> Json:
        """Any method of PROTOCOL.md: its result."""

    async def repeat(self, method: str, params: dict[str, Json]) -> Json:
        """A request that does no harm when it is done twice: again after each lost connection, within the deadline."""


def object_of(body: Json) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise CodecError("no object where one was agreed")
    return body


def text_of(body: dict[str, Any], member: str) -> str:
    value = body.get(member)
    if not isinstance(value, str):
        raise CodecError(f"{member} is no string")
    return value


def integer_of(body: dict[str, Any], member: str) -> int:
    value = body.get(member)
    if type(value) is not int:
        raise CodecError(f"{member} is no integer")
    return value


def number_of(body: dict[str, Any], member: str) -> float:
    value = body.get(member)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CodecError(f"{member} is no number")
    return float(value)


def strings_of(body: Json, member: str) -> list[str]:
    items = object_of(body).get(member, [])
    if not isinstance(items, list):
        raise CodecError(f"{member} is no list")
    return [str(item) for item in items]


def whom(user_id: str | None, name: str | None) -> dict[str, Json]:
    """Somebody by id, or by a character's name. Raises ValueError unless it is one of the two."""
    if (user_id is None) == (name is None):
        raise ValueError("say who by user_id or by name")
    return {"name": name} if user_id is None else {"user_id": user_id}
