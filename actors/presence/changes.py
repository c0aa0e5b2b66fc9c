"""What session actors tell presence indexes of each session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from actors.presence.statuses import effective
from cluster.ports.sessions import SessionRecord

# Most people have none, and an index has many people.
NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SessionPresence:
    """One session's part of its user's presence. `actor`: who hosts it. `present` false: the session is over.

    `status` is as the user chose, `idle`: nothing was done for a while. `revision` grows with each change that the session's actors
    tell, 0 for what was read from a record: an index passes over what is older than what it has. `edition` is the record's, by
    which a change and a record compare.
    """

    session_id: str
    user_id: str
    actor: str
    status: str
    zone_id: str = ""
    character_id: str = ""
    watching: tuple[str, ...] = ()
    present: bool = True
    idle: bool = False
    name: str = ""
    text: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    revision: int = 0
    edition: int = 0

    @property
    def effective(self) -> str:
        """online, away, busy or invisible."""
        return effective(self.status, self.idle)


def presence_of(record: SessionRecord) -> SessionPresence:
    r = record
    return SessionPresence(
        r.session_id,
        r.user_id,
        r.actor,
        r.status,
        r.zone_id,
        r.character_id,
        r.watching,
        idle=r.idle,
        name=r.character_name,
        text=r.status_text,
        metadata=r.status_metadata,
        edition=r.edition,
    )
