"""Who a socket is for, as its token said (row 4.1). A plain value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from cluster.security.recovery import RecoveryClaims
from cluster.security.tokens import AccessClaims


@dataclass(frozen=True, slots=True)
class Identity:
    """`recovery` is what a recovery token said, None for an access token. Times are Unix seconds.

    `role`, `token_id` and `issued_at` are those of the access token, also when a recovery token stands for it: what revokes one
    revokes the other, and who has lost a role does not get it back by reconnecting; `role` "": it is the session's.
    `expires_at`: the socket's right ends then (and `identity.grace_s` later); inf: never. `issuer` and `key_id`: whose key signed
    it, "" is the realm's.
    """

    user_id: str
    recovery: RecoveryClaims | None = None
    role: str = ""
    premium: bool = False
    token_id: str = ""
    issued_at: float = 0.0
    expires_at: float = float("inf")
    issuer: str = ""
    key_id: str = ""

    @classmethod
    def of_access(cls, claims: AccessClaims, recovery: RecoveryClaims | None = None) -> Self:
        return cls(
            claims.user_id,
            recovery,
            claims.role,
            claims.premium,
            claims.token_id,
            claims.issued_at,
            claims.expires_at,
            claims.issuer,
            claims.key_id,
        )

    @classmethod
    def of_recovery(cls, claims: RecoveryClaims) -> Self:
        return cls(
            claims.user_id,
            claims,
            claims.role,
            claims.premium,
            claims.token_id,
            claims.issued_at,
            claims.ends_at,
            claims.issuer,
            claims.key_id,
        )
