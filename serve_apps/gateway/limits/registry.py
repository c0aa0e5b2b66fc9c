"""Who shares which limits at this gateway (row 5.3): sockets of one user, and those of one address. Time is an argument.

What was used up is not forgotten with a socket: who comes back at once finds the bucket as it was left.
"""

from __future__ import annotations

from collections.abc import Collection

from cluster.security.addresses import limit_key, within
from cluster.security_settings import LimitSettings, Network
from cluster.token_bucket import Bucket, bottomless, bucket
from serve_apps.gateway.client import Client
from serve_apps.gateway.limits.meter import Meter, Share

MOST_LEFT = (
    100_000  # users, and addresses, without a socket whose buckets are not full yet; beyond, the oldest are forgotten
)


class Registry:
    """Implements `serve_apps.gateway.watcher.Watcher`: gives each client its meter. `exempt`: no limit by address."""

    def __init__(self, limits: LimitSettings, exempt: Collection[Network] = ()) -> None:
        self.refused: dict[str, int] = dict.fromkeys(("user", "address", "method", "all"), 0)
        self._limits = limits
        self._exempt = tuple(exempt)
        self._all = bucket(limits.in_all)
        self._free = bottomless()
        self._users: dict[str, Share] = {}
        self._addresses: dict[str, tuple[Bucket, set[Client]]] = {}
        self._left_users: dict[str, None] = {}  # those without a socket, the oldest first
        self._left_addresses: dict[str, None] = {}

    def opened(self, client: Client, now: float) -> None:
        share = self._users.get(client.user_id)
        if share is None:
            share = self._users[client.user_id] = Share(self._limits)
        share.prefer(client.identity.premium)
        share.sockets += 1
        self._left_users.pop(client.user_id, None)
        client.meter = Meter(share, self._of_address(client), self._all, self._limits, self.refused)

    def gone(self, client: Client, now: float) -> None:
        if not client.meter.measures(self._all):  # it was replaced before it was opened
            return
        share = self._users[client.user_id]
        share.sockets -= 1
        if not share.sockets:
            self._left_users[client.user_id] = None
        key = limit_key(client.address)
        if key in self._addresses:
            clients = self._addresses[key][1]
            clients.discard(client)
            if not clients:
                self._left_addresses[key] = None

    def sweep(self, clients: Collection[Client], now: float) -> None:
        for client in clients:
            client.meter.sweep(client.identity.premium, now)
        for user_id in self._old(self._left_users, [u for u in self._left_users if self._users[u].full(now)]):
            del self._users[user_id]
        full = [key for key in self._left_addresses if self._addresses[key][0].full_at <= now]
        for key in self._old(self._left_addresses, full):
            del self._addresses[key]

    def slow(self, user_id: str, factor: float, until: float) -> None:
        """A `factor`th of the user's rates until then, also without a socket; 1.0: as before. Nothing without a share here."""
        share = self._users.get(user_id)
        if share is not None:
            share.slow(factor, until)

    def __len__(self) -> int:
        """Users and addresses that are remembered."""
        return len(self._users) + len(self._addresses)

    def _of_address(self, client: Client) -> Bucket:
        if within(client.address, self._exempt):
            return self._free
        key = limit_key(client.address)
        made, clients = self._addresses.setdefault(key, (bucket(self._limits.address), set()))
        clients.add(client)
        self._left_addresses.pop(key, None)
        return made

    @staticmethod
    def _old(left: dict[str, None], full: list[str]) -> list[str]:
        """Those to be forgotten, which `left` has forgotten already."""
        for name in full:
            del left[name]
        over = len(left) - MOST_LEFT
        oldest = [name for name, _ in zip(left, range(over), strict=False)] if over > 0 else []
        for name in oldest:
            del left[name]
        return full + oldest
