"""What people are to each other, typed: presence, friends, parties. Times are Unix seconds; ids are opaque strings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from rayrealm_client.models import shape, text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Presence:
    """How a user is, as far as the asker may see it. `name`: of the character that is played.

    `version` grows with every change of the user; 0 if the realm did not say. `last_online`: of friends who are offline.
    """

    user_id: str
    status: str
    zone: str | None = None
    character_id: str | None = None
    name: str = ""
    text: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
    last_online: float | None = None

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("presence"):
            seen = body.get("last_online")
            return cls(
                str(body["user_id"]),
                str(body["status"]),
                body.get("zone") or None,
                body.get("character_id") or None,
                text(body.get("name") or ""),
                text(body.get("text") or ""),
                _texts_by_name(body.get("metadata") or {}),
                int(body.get("version") or 0),
                None if seen is None else float(seen),
            )


@dataclass(frozen=True, slots=True)
class OwnPresence:
    """What the user has chosen. `status`: online, away, busy or invisible."""

    status: str
    text: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("presence.update"):
            return cls(text(body["status"]), text(body.get("text") or ""), _texts_by_name(body.get("metadata") or {}))


@dataclass(frozen=True, slots=True)
class Privacy:
    """Who may see the zone, and the character with its name: all, friends or nobody."""

    zone: str
    character: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("presence.privacy"):
            return cls(text(body["zone"]), text(body["character"]))


@dataclass(frozen=True, slots=True)
class Known:
    """Somebody on one of the own lists, and since when."""

    user_id: str
    name: str
    at: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("friends.list"):
            return cls(text(body["user_id"]), text(body.get("name") or ""), float(body.get("at") or 0.0))


@dataclass(frozen=True, slots=True)
class Friend:
    user_id: str
    name: str
    at: float
    presence: Presence

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        known = Known.of(body)
        with shape("friends.list"):
            return cls(known.user_id, known.name, known.at, Presence.of(body["presence"]))


@dataclass(frozen=True, slots=True)
class FriendList:
    """`incoming`: who asks the user; `outgoing`: whom the user asks; `blocked`: whom the user blocks."""

    friends: tuple[Friend, ...]
    incoming: tuple[Known, ...]
    outgoing: tuple[Known, ...]
    blocked: tuple[Known, ...]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("friends.list"):
            return cls(
                many(Friend.of, body["friends"]),
                many(Known.of, body["incoming"]),
                many(Known.of, body["outgoing"]),
                many(Known.of, body["blocked"]),
            )


@dataclass(frozen=True, slots=True)
class Requested:
    """`result`: requested, friends, already_requested or already_friends."""

    user_id: str
    result: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("friends.request"):
            return cls(text(body["user_id"]), text(body["result"]))


@dataclass(frozen=True, slots=True)
class FriendChange:
    """`friends.changed`: what became of the two, for the one who is told.

    `kind`: asked (the user asked `user_id`), request (`user_id` asks the user), friends, cancelled, declined, removed,
    blocked, unblocked.
    """

    kind: str
    user_id: str
    name: str
    at: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("friends.changed"):
            return cls(
                text(body["kind"]), text(body["user_id"]), text(body.get("name") or ""), float(body.get("at") or 0.0)
            )


@dataclass(frozen=True, slots=True)
class Listener:
    """Somebody in a channel, or in a party."""

    user_id: str
    name: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("chat.channel.members"):
            return cls(text(body["user_id"]), text(body.get("name") or ""))


@dataclass(frozen=True, slots=True)
class Invitation:
    """`sender`: the member `from`, a user id; `name`: the sender's."""

    party_id: str
    sender: str
    name: str
    expires_at: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("party.invited"):
            return cls(
                text(body["party_id"]), text(body["from"]), text(body.get("name") or ""), float(body["expires_at"])
            )


@dataclass(frozen=True, slots=True)
class Party:
    """`members` in the order in which they joined; `leader` is one of them; `version` grows with every change."""

    party_id: str
    leader: str
    members: tuple[Listener, ...]
    invited: tuple[Listener, ...]
    version: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("party"):
            return cls(
                text(body["party_id"]),
                text(body["leader"]),
                many(Listener.of, body["members"]),
                many(Listener.of, body.get("invited") or []),
                int(body.get("version") or 0),
            )

    @classmethod
    def or_none(cls, body: Mapping[str, Any] | None) -> Self | None:
        return None if body is None else cls.of(body)


@dataclass(frozen=True, slots=True)
class PartyState:
    """The party that the user is in, and the parties that the user is invited to."""

    party: Party | None
    invitations: tuple[Invitation, ...]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("party.get"):
            return cls(Party.or_none(body["party"]), many(Invitation.of, body.get("invitations") or []))


@dataclass(frozen=True, slots=True)
class PartyChange:
    """`party`: what the user is in now. `why`: what `user_id` did or what was done to it: created, joined, left, invited, declined,
    kicked, leader. `party_id`: which party changed, also when the user is in it no longer; `version`: its own since then, as
    `Party.version` in answers.
    """

    party: Party | None
    why: str
    user_id: str
    party_id: str = ""
    version: int = 0

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("party.changed"):
            return cls(
                Party.or_none(body["party"]),
                text(body["why"]),
                text(body.get("user_id") or ""),
                text(body.get("party_id") or ""),
                int(body.get("version") or 0),
            )


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a member of the party is, in metres."""

    user_id: str
    name: str
    zone: str
    x: float
    z: float

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("party.positions"):
            return cls(
                text(body["user_id"]),
                text(body.get("name") or ""),
                text(body["zone"]),
                float(body["x"]),
                float(body["z"]),
            )


def whereabouts(body: Mapping[str, Any]) -> tuple[Whereabouts, ...]:
    """Of `party.positions`."""
    with shape("party.positions"):
        return many(Whereabouts.of, body["members"])


@dataclass(frozen=True, slots=True)
class TopicNotice:
    """`system.topic`: something that was published to a server topic."""

    topic: str
    data: Any

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("system.topic"):
            return cls(text(body["topic"]), body.get("data"))


def many(read: Callable[[Mapping[str, Any]], T], items: Any) -> tuple[T, ...]:
    """Raises TypeError for what is no list of objects."""
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise TypeError("not a list of objects")
    return tuple(read(item) for item in items)


def _texts_by_name(items: Any) -> dict[str, str]:
    if not isinstance(items, Mapping):
        raise TypeError("not an object")
    return {text(name): text(value) for name, value in items.items()}
