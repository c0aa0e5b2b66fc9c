"""Settings of what players are to each other: presence, friends, parties, chat, topics; and of the streams that tell other
services.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cluster.section import Metres, Seconds, Section


class PresenceSettings(Section):
    """Who is there (row 3.2). Text and metadata are counted in characters."""

    away_after_s: Seconds = 300.0  # seconds without a deed before a user is shown as away
    max_text: int = Field(default=120, ge=0, le=1_000)  # of a status text
    max_metadata: int = Field(default=8, ge=0, le=64)  # pairs of a status; 0: none are taken
    max_metadata_key: int = Field(default=32, ge=1, le=128)  # of a name in it
    max_metadata_value: int = Field(default=128, ge=1, le=1_024)  # of a value in it
    watched: int = Field(default=200, ge=1, le=10_000)  # users whose presence one session follows
    bulk: int = Field(default=500, ge=1, le=4_000)  # users in one question
    flush_s: Seconds = 0.05  # seconds that changes wait to be told together


class SocialSettings(Section):
    """Friends, blocks (row 3.3) and parties."""

    max_friends: int = Field(default=200, ge=1, le=10_000)  # of one user
    max_outgoing: int = Field(default=50, ge=1, le=10_000)  # requests for friendship that a user has open
    max_incoming: int = Field(default=100, ge=1, le=10_000)  # requests that wait for a user's answer
    max_blocked: int = Field(default=500, ge=1, le=10_000)  # users whom one user blocks
    requests_per_minute: int = Field(default=20, ge=1, le=10_000)  # for friendship, and invitations, of one user
    party_members: int = Field(default=8, ge=2, le=100)  # of one party, its leader among them
    party_invited: int = Field(default=10, ge=1, le=100)  # open invitations of one party
    party_invitation_s: Seconds = 120.0  # seconds that an invitation counts
    party_positions_s: Seconds = 0.5  # seconds between the positions that members are told of each other


class ChatSettings(Section):
    """Channels (row 2.3). Ranges are metres; `filter` is module:class of a word filter (actors/chat/filtering.py)."""

    max_text: int = Field(default=500, ge=1, le=4_000)  # characters of one message
    history: int = Field(default=1_000, ge=10, le=1_000_000)  # newest messages that a channel keeps
    history_s: Seconds = 7 * 86_400.0  # seconds that it keeps them
    per_s: float = Field(default=2.0, gt=0.0, le=1_000.0)  # of one user in one channel, in the long run
    burst: int = Field(default=10, ge=1, le=1_000)  # messages at once
    say_range: Metres = 20.0  # metres within which `say` is heard
    shout_range: Metres = 60.0  # metres within which `shout` is heard
    max_hearers: int = Field(default=200, ge=1, le=5_000)  # of one message said in the zone
    channels_per_user: int = Field(default=10, ge=0, le=1_000)  # that a user may own; 0: players make none
    max_invited: int = Field(default=500, ge=1, le=100_000)  # users invited into one channel
    inbox: int = Field(default=200, ge=1, le=10_000)  # direct messages that wait for one user
    inbox_s: Seconds = 14 * 86_400.0  # seconds that they wait
    words: tuple[str, ...] = Field(default=(), max_length=10_000)  # are masked
    # module:class; empty: only `words` are masked
    filter: str = Field(default="", pattern=r"^([A-Za-z_][\w.]*:[A-Za-z_]\w*)?$")


Role = Literal["player", "moderator", "operator"]


class TopicRule(Section):
    """Who may listen to server topics. The first rule whose `pattern` (fnmatch) fits counts; without one nobody may."""

    pattern: str = Field(min_length=1, max_length=64)
    subscribe: Role = "player"  # and those above


class EventSettings(Section):
    """JetStream streams for other services (row 4.3). `prefix`: before the subjects and names, for realms that share a NATS."""

    enabled: bool = True  # whether events are published
    prefix: str = Field(default="", pattern=r"^[a-z0-9]{0,20}$")  # before the streams' names and subjects; empty: none
    position_every_s: Seconds = 1.0  # seconds between the published positions of one entity
    max_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)  # of each stream
