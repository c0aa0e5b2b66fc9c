"""The port to topics (rows 1.5 and 2.3): one bounded log each, so that a message is kept before its sender is told so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

T = TypeVar("T", int, float)


@dataclass(frozen=True, slots=True)
class TopicMessage:
    """`id` orders the messages of a topic; `previous` is the id before it, "" for the first ever.

    `sender`: the user who said it: those who block that user do not get it. `refresh`: what the listening sessions must look up
    again in the store because of it ("ties", "party"); such a message may have no method, and is then for nobody's client. `trace`:
    the context in which it was said, if that is traced (cluster/telemetry/tracing.py).
    """

    topic: str
    id: str
    previous: str
    method: str
    params_json: bytes
    sender: str = ""
    refresh: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Published:
    """`message` is None when the key was seen before; `result` is then what was kept with it the first time."""

    message: TopicMessage | None
    result: str


@dataclass(frozen=True, slots=True)
class PublishedMany:
    """One message in several topics; `messages` is empty when the key was seen before, and `result` as in Published."""

    messages: tuple[TopicMessage, ...]
    result: str


def each_params(topics: Sequence[str], params_json: bytes | Sequence[bytes]) -> dict[str, bytes]:
    """Those of each topic, for `publish_many`."""
    each = [params_json] * len(topics) if isinstance(params_json, bytes) else params_json
    return dict(zip(topics, each, strict=True))


def each_of(topics: Sequence[str], value: T | Sequence[T]) -> dict[str, T]:
    """The limit, or the time, of each topic, for `publish_many`."""
    each = value if isinstance(value, Sequence) else [value] * len(topics)
    return dict(zip(topics, each, strict=True))


class TopicLog(Protocol):
    async def publish(
        self,
        topic: str,
        method: str,
        params_json: bytes,
        limit: int,
        key: str = "",
        result: str = "",
        key_ttl_s: float = 600.0,
        keep_s: float = 3_600.0,
        sender: str = "",
        refresh: str = "",
        trace: str = "",
    ) -> Published:
        """Append, keeping about `limit` messages, until `keep_s` after this one, or for as long as an earlier one asked for.

        With a `key` that was used in the last `key_ttl_s` nothing is appended. The same call again after a lost answer appends
        twice unless it has a key: callers give one. Raises Unavailable.
        """

    async def publish_many(
        self,
        topics: Sequence[str],
        method: str,
        params_json: bytes | Sequence[bytes],
        limit: int | Sequence[int],
        key: str = "",
        result: str = "",
        key_ttl_s: float = 600.0,
        keep_s: float | Sequence[float] = 3_600.0,
        sender: str = "",
        refresh: str = "",
        trace: str = "",
    ) -> PublishedMany:
        """`publish` to all of them in one atomic step, with one key. Raises Unavailable.

        `params_json`, `limit`, `keep_s`: one for all, or one for each topic.
        """

    async def newest(self, topics: Sequence[str]) -> dict[str, str]:
        """topic -> id of its newest message, "" where there was none. Raises Unavailable."""

    async def after(self, cursors: Mapping[str, str], limit: int) -> list[TopicMessage]:
        """What came after each topic's id, at most `limit` of a topic, each topic's in order. Raises Unavailable."""

    async def before(self, topic: str, place: str, limit: int) -> list[TopicMessage]:
        """What came before the id (empty: up to the newest), the newest `limit` of them, oldest first. Raises Unavailable."""
