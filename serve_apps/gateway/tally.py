"""What a gateway counts of a client, and of an address, for the watch on abuse (row 6.3): small numbers, added to where things
happen, and read once a report. Nothing here asks for the time.

How many messages and bytes came its connection counts anyway; moves in their short form are those that reached nobody else.
"""

from __future__ import annotations

import unicodedata
from zlib import crc32

from cluster.security.addresses import limit_key
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import Code

MOST_TEXTS = 8
MOST_ADDRESSEES = 64
LEAST_LETTERS = 10  # shorter ones everybody says to everybody: "hi", "thanks"
MOST_ADDRESSES = 20_000
TELEPORTS = frozenset({"too_fast", "too_sudden", "not_finite"})  # of the reasons in actors/zone/movement.py


class Tally:
    """Since the last report, but for what `Said` remembers. Whoever refuses or notices something adds one.

    `address`, `since` and what follows are the reporter's (reporting.py).
    """

    __slots__ = (
        "address",
        "bytes_before",
        "calls",
        "chats",
        "corrections",
        "frames",
        "invalid",
        "long_moves",
        "malformed",
        "messages_before",
        "pending",
        "place",
        "refused",
        "refused_before",
        "said",
        "since",
        "unknown",
    )

    def __init__(self) -> None:
        self.frames = 0  # messages that were no short moves
        self.calls = 0  # requests and notifications that reached a handler
        self.long_moves = 0  # moves in their long form, among them
        self.chats = 0  # messages for others
        self.malformed = 0  # what could not be read
        self.unknown = 0  # methods that do not exist
        self.invalid = 0  # params that break their method's rule
        self.refused = 0  # refused by a handler: state, rights, conflicts, its own limits
        self.pending = 0  # requests while too much was pending
        self.corrections = 0  # moves that the zone took back because they were too fast or too sudden
        self.said: Said | None = None
        self.address = ""  # as limits count it
        self.since: float | None = None  # seconds on the hub's clock; None: it was never opened
        self.messages_before = 0
        self.bytes_before = 0
        self.refused_before = 0
        self.place: tuple[float, float] | None = None  # x and z in metres

    def failed(self, code: Code) -> None:
        """A request or notification was answered by an error. An outage is no fault of the client's."""
        if code is Code.METHOD_NOT_FOUND:
            self.unknown += 1
        elif code is Code.INVALID_PARAMS:
            self.invalid += 1
        elif code is not Code.UNAVAILABLE and code is not Code.INTERNAL_ERROR:
            self.refused += 1

    def corrected(self, correction: bytes) -> None:
        """By a serialised Correction. To walk against a wall, or against the end of the world, is no offence."""
        if pb.Correction.FromString(correction).reason in TELEPORTS:
            self.corrections += 1

    def spoke(self, text: str, addressee: str, known: bool = False) -> None:
        """It said something: to a channel, or to a user ("direct:usr_1"). `known`: to a friend, or one who wrote to it: no spam."""
        self.chats += 1
        if known:
            return
        if self.said is None:
            self.said = Said()
        self.said.add(text, addressee)


class Said:
    """To how many a client spoke lately, and the same text. Of texts and of those spoken to only hashes are kept, and few.

    Texts are the same if their letters are: "Gold $5!!" and "gold $7" say the same thing. `turn` forgets what was said before the
    last turn, so what counts is between one and two turns old.
    """

    __slots__ = ("_before", "_now")

    def __init__(self) -> None:
        self._now: dict[int, set[int]] = {}
        self._before: dict[int, set[int]] = {}

    def add(self, text: str, addressee: str) -> None:
        letters = "".join(c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalpha())
        what = crc32(letters.encode("utf-8", "replace")) if len(letters) >= LEAST_LETTERS else 0
        texts = self._now
        to = texts.get(what)
        if to is None:
            if len(texts) >= MOST_TEXTS:
                del texts[next(iter(texts))]
            to = texts[what] = set()
        if len(to) < MOST_ADDRESSEES:
            to.add(crc32(addressee.encode("utf-8", "replace")))

    def same_text(self) -> int:
        """Channels and users that heard one and the same text, of the text that most did."""
        return max((len(to | self._before.get(what, set())) for what, to in self._all() if what), default=0)

    def addressees(self) -> int:
        """Channels and users that it spoke to."""
        return len(set().union(*self._now.values(), *self._before.values()))

    def turn(self) -> bool:
        """Whether anything is remembered still."""
        self._before, self._now = self._now, {}
        return bool(self._before)

    def _all(self) -> list[tuple[int, set[int]]]:
        return [*self._now.items(), *((what, to) for what, to in self._before.items() if what not in self._now)]


class AddressTally:
    """Since the last report."""

    __slots__ = ("opened", "refusals")

    def __init__(self) -> None:
        self.opened = 0
        self.refusals: dict[str, int] = {}


class AddressTallies:
    """Sockets that came, and upgrades that were refused, by address as limits count it. At most MOST_ADDRESSES in one report: more
    are counted together, as the address ""."""

    def __init__(self) -> None:
        self._tallies: dict[str, AddressTally] = {}

    def opened(self, address: str) -> None:
        self._of(address).opened += 1

    def refused(self, address: str, reason: str) -> None:
        """`reason` as in PROTOCOL.md: there are few."""
        refusals = self._of(address).refusals
        refusals[reason] = refusals.get(reason, 0) + 1

    def take(self) -> dict[str, AddressTally]:
        """What was counted; it begins anew."""
        taken, self._tallies = self._tallies, {}
        return taken

    def _of(self, address: str) -> AddressTally:
        key = limit_key(address)
        tally = self._tallies.get(key)
        if tally is None:
            if len(self._tallies) >= MOST_ADDRESSES:
                key = ""
            tally = self._tallies.setdefault(key, AddressTally())
        return tally
