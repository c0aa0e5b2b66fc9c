"""The port to what all processes must agree on about protection: bans of networks, revoked tokens (rows 4.1, 6.1), and whether the
realm is closed for maintenance (row 7.8).

Adapters: `cluster/adapters/redis/protection.py` and `cluster/adapters/memory/protection.py`; one contract suite runs over both.
Every method may raise Unavailable. Times are Unix seconds of the store's clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from ipaddress import IPv6Network, ip_network
from typing import Literal, Protocol

from cluster.errors import InvalidInput

MAX_BANS = 10_000
MAX_REVOCATIONS = 100_000  # of each kind: what players make must not keep the operator from `revoke --all`
PAGE = 500  # entries in one answer: a millisecond or two for the store, and for the event loop of who asks
LIFTED_S = 3_600.0  # for which it is known that a ban was lifted; who has not looked for so long loads everything
KINDS = ("token", "family", "user", "all")
STAFF = frozenset({"moderator", "operator"})  # roles that come in while the realm is closed
RETRY_S, LEAST_RETRY_S, MOST_RETRY_S = 60, 10.0, 600.0
MAPPED_PREFIX = 96  # ::ffff:0:0/96 (RFC 4291, section 2.5.5.2)


@dataclass(frozen=True, slots=True)
class NetworkBan:
    """`network` in canonical form ("203.0.113.0/24", "2001:db8::/64"); `until` None: until it is lifted."""

    network: str
    until: float | None
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """No token counts that fits: of `kind` "token" the one whose `jti` is `subject`; of "family" those that came of that login; of
    "user" those of that user issued before `before`; of "all" (`subject` "") all issued before `before`. Kept until `until`: no
    such token can be good after that.
    """

    kind: Literal["token", "family", "user", "all"]
    subject: str
    before: float
    until: float


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Nobody comes in but `allow` (user ids), operators and moderators, since `since`. `by`: who closed the realm, and why.

    `until`: when it is likely to be over, None if nobody knows; it does not end by itself. `close_at`: from then on the sockets of
    everybody else are closed; None: they stay. `job`: the one that closed it.
    """

    since: float
    by: str
    reason: str
    until: float | None = None
    close_at: float | None = None
    allow: tuple[str, ...] = ()
    job: str = ""

    def lets_in(self, user_id: str, role: str) -> bool:
        return role in STAFF or user_id in self.allow

    def retry_s(self, now: float) -> int:
        """When to knock again."""
        if self.until is None:
            return RETRY_S
        return math.ceil(min(max(self.until - now, LEAST_RETRY_S), MOST_RETRY_S))


@dataclass(frozen=True, slots=True)
class Protection:
    """What has changed since version `since`; -1: all there is. `version` grows with every change.

    `lifted`: networks that are banned no more; what has expired is not among them. `more`: there is another page.
    `keys`: always; the accounts' public keys as their owner signed them (cluster/security/rotation.py), "" if never rotated.
    `maintenance`: always; None: the realm is open.
    """

    version: int = 0
    bans: tuple[NetworkBan, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    keys: str = ""
    lifted: tuple[str, ...] = ()
    since: int = -1
    more: bool = False
    maintenance: Maintenance | None = None


class ProtectionStore(Protocol):
    async def load(self, known: int) -> Protection | None:
        """All there is, in the order of networks and subjects; None: still that version, as of the last change.

        What has expired meanwhile is the caller's to see. For those who look once: it is as long as everything is.
        """

    async def changes(self, known: int, cursor: int = -1) -> Protection | None:
        """One page, of at most PAGE entries, of what has changed since `known`; None: nothing. One round trip.

        If its `more` is true, ask for the next one with its `version` as `cursor`. One whose `since` is -1 begins with everything:
        none is known, or `known` is too old, or of another store. What has expired meanwhile is the caller's to see.
        """

    async def ban(
        self, network: str, for_s: float | None, reason: str, by: str, *, extend_only: bool = False
    ) -> NetworkBan:
        """Replaces a former ban of the same network; with `extend_only` one that lasts as long or longer stays. A single address
        is a network, too. Returns what holds now.

        Raises InvalidInput: no network, or more than MAX_BANS.
        """

    async def lift(self, network: str) -> bool:
        """Says whether there was a ban. Raises InvalidInput: no network."""

    async def revoke(self, revocation: Revocation) -> None:
        """Of two for the same subject the later times count; the same again changes nothing, nor does one that is over.

        Raises InvalidInput beyond MAX_REVOCATIONS of its kind that have not expired.
        """

    async def maintain(self, maintenance: Maintenance | None, ordered_at: float) -> bool:
        """The realm is closed, or (None) open again, as was ordered at `ordered_at`. What holds already is no change.

        False, and nothing is done, if what holds was ordered later: who carries on with an old order must not undo a newer one. A
        time that is yet to come counts as the store's now, so that nobody's clock keeps others out.
        """

    async def keep_keys(self, public: str, sealed: str) -> None:
        """The accounts' public keys, signed, and the private ones as only its owner can open it."""

    async def sealed_keys(self) -> str:
        """What `keep_keys` was given as `sealed`, or ""."""


async def whole(store: ProtectionStore, known: int) -> Protection | None:
    """`ProtectionStore.load` by pages: None if `known` is still the version."""
    if known >= 0 and await store.changes(known) is None:
        return None
    bans, revocations = dict[str, NetworkBan](), dict[tuple[str, str], Revocation]()
    cursor, page = -1, Protection(more=True)
    while page.more:
        # Of all there is, a first page always comes, and after `more` another one.
        page = await store.changes(-1, cursor) or Protection(cursor)
        if page.since == -1:
            bans, revocations = {}, {}
        bans |= {ban.network: ban for ban in page.bans}
        revocations |= {(each.kind, each.subject): each for each in page.revocations}
        for network in page.lifted:
            bans.pop(network, None)
        cursor = page.version
    return Protection(
        page.version,
        tuple(bans[network] for network in sorted(bans)),
        tuple(revocations[whom] for whom in sorted(revocations)),
        page.keys,
        maintenance=page.maintenance,
    )


def canonical(network: str) -> str:
    """Of an address or a network: "203.0.113.7" is "203.0.113.7/32", and an IPv4 address mapped into IPv6 is IPv4.

    Raises InvalidInput.
    """
    try:
        if "%" in network:
            raise ValueError("a zone means something on its own machine only")
        parsed = ip_network(network.strip(), strict=False)
    except ValueError:
        raise InvalidInput([("network", "no address or network")]) from None
    if isinstance(parsed, IPv6Network):
        mapped = parsed.network_address.ipv4_mapped
        if mapped is not None and parsed.prefixlen >= MAPPED_PREFIX:
            return str(ip_network((mapped, parsed.prefixlen - MAPPED_PREFIX)))
    return str(parsed)
