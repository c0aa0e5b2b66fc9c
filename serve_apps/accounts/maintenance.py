"""A realm that is closed for maintenance (row 7.8), as the accounts see it: nobody logs in but operators, moderators and those who
are allowed.

Whoever is inside may renew tokens: their sockets are the gateways' to close.
"""

from __future__ import annotations

from cluster.errors import Unavailable
from cluster.ports.protection import Maintenance

REASON = "maintenance"


class InMaintenance(Unavailable):
    """Said only to those who gave the right password, so that it tells nobody who has an account, or who may come in."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__("the realm, which is closed for maintenance,", retry_after_s)

    def __reduce__(self) -> tuple[type[InMaintenance], tuple[float]]:
        return (InMaintenance, (self.retry_after_s,))


def check(held: Maintenance | None, user_id: str, role: str, now: float) -> None:
    """Raises InMaintenance. `held`: None while the realm is open; `user_id`: "" for somebody who has no account yet."""
    if held is not None and not held.lets_in(user_id, role):
        raise InMaintenance(held.retry_s(now))
