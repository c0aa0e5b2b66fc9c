"""The port to where actors run: how they are made, where, and how they end (rows 7.3 and 7.5).

Adapter: `cluster/adapters/ray_actors.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

ActorKind = Literal["zone", "sessions", "presence", "watch"]


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is alive. `id` is Ray's, `host` what `rayrealm status` calls it.

    `draining`: it takes no zones, because the operator said so (`by_command`) or because Ray drains it.
    """

    id: str
    host: str
    address: str = ""
    name: str = ""
    head: bool = False
    draining: bool = False
    by_command: bool = False

    @property
    def short(self) -> str:
        """For people."""
        return f"{self.host} ({self.id[:8]})" if self.id else self.host


@dataclass(frozen=True, slots=True)
class Place:
    """Where an actor should run, now and after each restart: on `node`, or on any but `avoid` (ids).

    Both are wishes: an actor runs rather in the wrong place than not at all.
    """

    node: str = ""
    avoid: tuple[str, ...] = ()


ANYWHERE = Place()


class Actors(Protocol):
    async def make(self, kind: ActorKind, name: str, place: Place = ANYWHERE) -> None:
        """The actor of that name runs, or is about to; nothing changes if it did already. Raises Unavailable."""

    async def kill(self, name: str) -> None:
        """It ends for good, and its name is free when this returns. Nothing happens if there is none. Raises Unavailable."""

    async def nodes(self) -> list[Node]:
        """Those that are alive. Empty if there is no such thing here. Raises Unavailable."""
