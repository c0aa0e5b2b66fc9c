"""The port to the audit log: who did what to whom, when, and why; by people and by the realm itself (rows 5.4, 6.3, 7.8)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`at`: Unix seconds. `actor`: a user or operator, or the part of the realm that did it. `entry_id`: "" until it is stored.

    `details` has bounded texts and numbers; no tokens, no passwords.
    """

    at: float
    actor: str
    action: str
    target: str
    reason: str
    result: str = "done"
    details: dict[str, str | int | float | bool] = field(default_factory=dict)
    entry_id: str = ""


class AuditLog(Protocol):
    """The newest `abuse.audit_log` entries are kept. Every method may raise Unavailable."""

    async def add(self, entry: AuditEntry) -> str:
        """Returns its id, which grows."""

    async def newest(self, count: int, before: str = "") -> list[AuditEntry]:
        """Newest first; `before`: only those with a smaller id."""
