"""The kinds of channels, which topic each has, and who may do what in it (row 2.3).

| channel | topic | who hears |
|---|---|---|
| `global`, and named ones | `chat:<name>` | who joined |
| `zone` | `chat:zone:<zone>` | who joined `zone`, in the zone that each one is in |
| `party` | `party:<party>` | the party |
| `direct:<user>` | `chat:direct:<user>:<user>`, followed by nobody | both; it comes to all their devices |
| `say`, `shout` | none | who stands within the range |
"""

from __future__ import annotations

import hashlib
import re
from enum import Enum

from cluster.errors import InvalidInput
from cluster.ports.chat import Channel

PREFIX = "chat:"
GLOBAL, ZONE, PARTY, SAY, SHOUT = "global", "zone", "party", "say", "shout"
DIRECT = "direct:"
HIDDEN = "chat.hidden"  # the method of a message in a direct log that its receiver is never shown
MODERATORS = frozenset({"moderator", "operator"})

_NAME = re.compile(r"[a-z0-9][a-z0-9:._-]{0,47}")
_USER = re.compile(r"usr_[A-Za-z0-9_-]{1,60}")
# What would be the topic of another kind, or look like it.
_RESERVED = (f"{ZONE}:", DIRECT, f"{PARTY}:", f"{SAY}:", f"{SHOUT}:")


class Kind(Enum):
    NAMED = "named"
    ZONE = "zone"
    PARTY = "party"
    DIRECT = "direct"
    RANGE = "range"

    @property
    def joined(self) -> bool:
        """One hears it after having joined it."""
        return self in (Kind.NAMED, Kind.ZONE)

    @property
    def has_history(self) -> bool:
        return self is not Kind.RANGE


_SINGLE = {ZONE: Kind.ZONE, PARTY: Kind.PARTY, SAY: Kind.RANGE, SHOUT: Kind.RANGE}


def kind_of(channel: str) -> Kind:
    """Raises InvalidInput for what no channel can be called."""
    if channel in _SINGLE:
        return _SINGLE[channel]
    if channel.startswith(DIRECT):
        if not _USER.fullmatch(channel.removeprefix(DIRECT)):
            raise InvalidInput([("channel", "direct: and a user id")])
        return Kind.DIRECT
    if channel == "direct" or not _NAME.fullmatch(channel) or channel.startswith(_RESERVED):
        raise InvalidInput([("channel", "no such channel")])
    return Kind.NAMED


def subscription(channel: str) -> str:
    """What the session has subscribed to that joined the channel; of `zone` the session's actor knows which one is meant."""
    return PREFIX + channel


def zone_topic(zone_id: str) -> str:
    return f"{PREFIX}{ZONE}:{zone_id}"


def party_topic(party_id: str) -> str:
    return f"party:{party_id}"


def direct_topic(user_id: str, other_id: str) -> str:
    return PREFIX + DIRECT + ":".join(sorted((user_id, other_id)))


def limited_as(channel: str) -> str:
    """Whose limits count, and where one is muted: all direct messages of a user are one channel."""
    return "direct" if channel.startswith(DIRECT) else channel


# --- who may ---------------------------------------------------------------------------------------------------


def may_join(record: Channel | None, user_id: str, role: str, invited: bool) -> bool:
    """Everybody may join what is not private."""
    return record is None or not record.private or invited or in_charge(record, user_id, role)


def in_charge(record: Channel | None, user_id: str, role: str) -> bool:
    """Whether the user may delete and mute in the channel, and change it: its owner, moderators and operators."""
    return role in MODERATORS or (record is not None and record.owner == user_id)


# --- places in a history ---------------------------------------------------------------------------------------


def to_cursor(topic: str, place: str) -> str:
    """What a client gets for a place in the topic's log, and gives back."""
    return f"{place}.{_check(topic, place)}"


def from_cursor(topic: str, cursor: str) -> str:
    """Raises InvalidInput for one that was not given for this topic."""
    place, _, check = cursor.rpartition(".")
    if check != _check(topic, place):
        raise InvalidInput([("cursor", "was not given for this channel")])
    return place


def _check(topic: str, place: str) -> str:
    # No secret: it finds mistakes. Whoever makes one up sees what the channel's members may see anyway.
    return hashlib.blake2s(f"{topic} {place}".encode(), digest_size=4).hexdigest()
