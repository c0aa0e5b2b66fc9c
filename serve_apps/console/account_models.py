"""The bodies of the routes for one's own login."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, SecretStr

from cluster.operations.operators import LONGEST_TOKEN_S, TokenView
from cluster.ports.operators import RoleName
from serve_apps.console.models import MOST_TEXT, Body, Secret

Code = Annotated[str, Field(max_length=MOST_TEXT)]


class NewPassword(Body):
    """`password`: the one until now."""

    password: Secret
    new: Secret


class Proof(Body):
    """`code`: six digits of the present TOTP key, or a recovery code."""

    password: Secret
    code: Code = ""


class Factor(BaseModel):
    """A key of TOTP that does not count yet: as InvitationView. `enrolment`: to be sent back with a code of it."""

    enrolment: str
    secret: str
    uri: str
    qr: str
    expires_at: float


class Confirm(Body):
    """`code`: six digits of the new key."""

    enrolment: Annotated[SecretStr, Field(max_length=4 * MOST_TEXT)]
    code: Code


class RecoveryCodes(BaseModel):
    """Each stands once for a code; shown once."""

    recovery_codes: list[str]


class SessionView(BaseModel):
    """A login. Times are Unix seconds. `own`: the one that asks."""

    id: str
    address: str
    began_at: float
    used_at: float
    own: bool


class SessionList(BaseModel):
    """Newest first."""

    sessions: list[SessionView]


class EndSessions(Body):
    """`session`: None for all but the one that asks."""

    session: Annotated[str, Field(max_length=64)] | None = None


class Ended(BaseModel):
    ended: int


class TokenList(BaseModel):
    tokens: list[TokenView]


class NewOwnToken(Body):
    """`role`: at most one's own. `for_s`: seconds until it ends."""

    password: Secret
    role: RoleName = "viewer"
    label: Annotated[str, Field(max_length=80)] = ""
    for_s: Annotated[float, Field(gt=0.0, le=LONGEST_TOKEN_S)] = 90 * 86_400.0


class GivenToken(BaseModel):
    """`token`: shown once."""

    id: str
    role: RoleName
    token: str
    expires_at: float


class EndOwnToken(Body):
    token: Annotated[str, Field(max_length=64)]
