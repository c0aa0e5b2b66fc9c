"""Who may see what of a user (rows 3.2 and 3.3). Plain rules.

Everybody who looks at a user stands in one of four places: the user's own devices, a friend, somebody who must not see the user at
all because one of the two blocks the other, and everybody else. What is shown depends on nothing but that, so it is encoded once
for each place and not for each viewer.
"""

from __future__ import annotations

from dataclasses import dataclass
from sys import intern
from typing import Any, Literal

from actors.presence.merging import UserPresence
from cluster.ports.social import Audience, Profile, Ties

Place = Literal["self", "friend", "other", "hidden"]
PLACES: tuple[Place, ...] = ("self", "friend", "other", "hidden")


@dataclass(frozen=True, slots=True)
class Circle:
    """A user's ties and choices, as far as they decide what others see. `apart`: either blocks the other."""

    friends: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    zone: Audience = "all"
    character: Audience = "all"

    def place(self, owner_id: str, viewer_id: str) -> Place:
        """Where somebody stands who looks at the user whose circle this is."""
        if viewer_id == owner_id:
            return "self"
        if viewer_id in self.apart:
            return "hidden"
        return "friend" if viewer_id in self.friends else "other"


NOBODY = Circle()  # shared by the many who have no ties and changed nothing


def circle_of(ties: Ties | None, profile: Profile | None) -> Circle:
    ties, profile = ties or Ties(), profile or Profile()
    circle = Circle(
        frozenset(intern(user) for user in ties.friends),
        frozenset(intern(user) for user in ties.blocked | ties.blocked_by),
        profile.show_zone,
        profile.show_character,
    )
    return NOBODY if circle == NOBODY else circle


def may_see(audience: Audience, place: Place) -> bool:
    return place == "self" or (
        place != "hidden" and (audience == "all" or (audience == "friends" and place == "friend"))
    )


def shown(user: UserPresence, circle: Circle, place: Place) -> UserPresence:
    """The user as somebody in that place sees it. Only the user's own devices see `invisible`; to all others it is `offline`."""
    if place == "self":
        return user
    if place == "hidden" or user.hidden:
        return UserPresence(user.user_id, "offline")
    zone, character = may_see(circle.zone, place), may_see(circle.character, place)
    if zone and character:
        return user
    return UserPresence(
        user.user_id,
        user.status,
        user.zone_id if zone else "",
        user.character_id if character else "",
        user.name if character else "",
        user.text,
        user.metadata,
    )


def public(seen: UserPresence, version: int) -> dict[str, Any]:
    """As in PROTOCOL.md."""
    return {
        "user_id": seen.user_id,
        "status": seen.status,
        "zone": seen.zone_id,
        "character_id": seen.character_id,
        "name": seen.name,
        "text": seen.text,
        "metadata": dict(seen.metadata),
        "version": version,
    }


def with_past(presence: dict[str, Any], profile: Profile | None) -> dict[str, Any]:
    """What a friend sees besides of somebody who is offline: when that was not so, and whom it played."""
    if profile is None:
        return presence
    past: dict[str, Any] = {"last_online": profile.last_online} if profile.last_online else {}
    if may_see(profile.show_character, "friend"):
        past["name"] = profile.name
    return presence | past
