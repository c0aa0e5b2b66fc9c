"""Protection in this process."""

from __future__ import annotations

from collections.abc import Callable

from cluster.errors import InvalidInput
from cluster.ports.protection import (
    LIFTED_S,
    MAX_BANS,
    MAX_REVOCATIONS,
    PAGE,
    Maintenance,
    NetworkBan,
    Protection,
    Revocation,
    canonical,
    whole,
)

Whom = tuple[str, str]


class MemoryProtection:
    """Implements `cluster.ports.protection.ProtectionStore`. `clock` gives Unix seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._version = self._floor = 0
        self._bans: dict[str, NetworkBan] = {}
        self._lifted: dict[str, float] = {}  # until when it is known
        self._revocations: dict[Whom, Revocation] = {}
        self._versions: dict[Whom, int] = {}  # ("ban", network) or (kind, subject) -> its newest; oldest first
        self._keys = self._sealed = ""
        self._maintenance: Maintenance | None = None
        self._maintained_at = 0.0

    async def load(self, known: int) -> Protection | None:
        return await whole(self, known)

    async def changes(self, known: int, cursor: int = -1) -> Protection | None:
        if cursor < 0 and known == self._version:
            return None
        if cursor < 0 or cursor > self._version:
            cursor = known if self._floor <= known <= self._version else -1
        found = [(whom, version) for whom, version in self._versions.items() if version > cursor]
        page, more = found[:PAGE], len(found) >= PAGE
        networks = [subject for (kind, subject), _ in page if kind == "ban"]
        return Protection(
            page[-1][1] if more else self._version,
            tuple(self._bans[network] for network in networks if network in self._bans),
            tuple(self._revocations[whom] for whom, _ in page if whom in self._revocations),
            self._keys,
            tuple(network for network in networks if network not in self._bans),
            cursor,
            more,
            self._maintenance,
        )

    async def ban(
        self, network: str, for_s: float | None, reason: str, by: str, *, extend_only: bool = False
    ) -> NetworkBan:
        network = canonical(network)
        self._prune()
        there, until = self._bans.get(network), None if for_s is None else self._clock() + for_s
        if there is None and len(self._bans) >= MAX_BANS:
            raise InvalidInput([("network", f"{MAX_BANS} are banned already")])
        if there is not None and extend_only and (there.until is None or (until is not None and until <= there.until)):
            return there
        ban = NetworkBan(network, until, reason, by)
        self._bans[network] = ban
        self._lifted.pop(network, None)
        self._changed(("ban", network))
        return ban

    async def lift(self, network: str) -> bool:
        network = canonical(network)
        self._prune()
        there = self._bans.pop(network, None) is not None
        if there:
            self._lifted[network] = self._clock() + LIFTED_S
            self._changed(("ban", network))
        return there

    async def revoke(self, revocation: Revocation) -> None:
        self._prune()
        if revocation.until <= self._clock():
            return
        whom = (revocation.kind, revocation.subject)
        there = self._revocations.get(whom)
        if there is None and sum(kind == revocation.kind for kind, _ in self._revocations) >= MAX_REVOCATIONS:
            raise InvalidInput([("subject", f"{MAX_REVOCATIONS} revocations of this kind have not expired")])
        if there is not None:
            before, until = max(there.before, revocation.before), max(there.until, revocation.until)
            revocation = Revocation(revocation.kind, revocation.subject, before, until)
        if revocation != there:
            self._revocations[whom] = revocation
            self._changed(whom)

    async def maintain(self, maintenance: Maintenance | None, ordered_at: float) -> bool:
        at = min(ordered_at, self._clock())
        if at < self._maintained_at:
            return False
        self._maintained_at = at
        if maintenance != self._maintenance:
            self._maintenance = maintenance
            self._version += 1
        return True

    async def keep_keys(self, public: str, sealed: str) -> None:
        self._keys, self._sealed = public, sealed
        self._version += 1

    async def sealed_keys(self) -> str:
        return self._sealed

    def _changed(self, whom: Whom) -> None:
        self._version += 1
        self._versions.pop(whom, None)
        self._versions[whom] = self._version

    def _prune(self) -> None:
        now = self._clock()
        for network in [n for n, ban in self._bans.items() if ban.until is not None and ban.until <= now]:
            del self._bans[network]
            self._forget(network)
        for whom in [whom for whom, each in self._revocations.items() if each.until <= now]:
            del self._revocations[whom], self._versions[whom]
        for network in [n for n, until in self._lifted.items() if until <= now]:
            del self._lifted[network]
            self._forget(network)

    def _forget(self, network: str) -> None:
        self._floor = max(self._floor, self._versions.pop(("ban", network)))
