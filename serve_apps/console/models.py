"""The bodies of the console's own routes (login, invitations, jobs); those of operations are their params and results."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

MOST_TEXT = 1_024
Secret = Annotated[SecretStr, Field(max_length=MOST_TEXT)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Welcome(BaseModel):
    """What a login page may know. `mfa`: a second factor is needed."""

    realm: str
    mfa: bool
    min_password: int


class Login(Body):
    """`code`: six digits of TOTP, or a recovery code; "" for the first try. No rules: what cannot be is answered as wrong."""

    name: Annotated[str, Field(max_length=MOST_TEXT)]
    password: Secret
    code: Annotated[str, Field(max_length=MOST_TEXT)] = ""


class Me(BaseModel):
    """Who is logged in. `csrf`: to be sent as X-CSRF-Token with everything but GET; "" for a token.

    `operations`: the names of those that the role allows. `now`, `expires_at`: Unix seconds, 0 for what is no session; `idle_s`:
    after so long without a request it ends.
    """

    name: str
    role: str
    operations: list[str]
    csrf: str
    now: float
    mfa: bool
    recovery_left: int
    expires_at: float
    idle_s: float


class InvitationToken(Body):
    token: Secret


class InvitationView(BaseModel):
    """`secret` (a TOTP key in base 32), `uri` (otpauth:) and `qr` (an SVG of it) are "" where no second factor is needed."""

    name: str
    role: str
    expires_at: float
    secret: str
    uri: str
    qr: str
    min_password: int


class Accept(Body):
    """`code`: six digits of the TOTP key that the invitation showed."""

    token: Secret
    password: Secret
    code: Annotated[str, Field(max_length=MOST_TEXT)] = ""


class Accepted(Me):
    """`recovery_codes`: each stands once for a code; shown once."""

    recovery_codes: list[str]


class OperationView(BaseModel):
    """`kind`: look or action."""

    name: str
    summary: str
    kind: str
    role: str
    dangerous: bool
    cancellable: bool


class OperationList(BaseModel):
    operations: list[OperationView]


class PreviewView(BaseModel):
    """What an action would do, in order, and what should be known before."""

    action: str
    summary: str
    target: str
    steps: list[str]
    warnings: list[str]
    dangerous: bool
    cancellable: bool


class StepView(BaseModel):
    """`at`: Unix seconds."""

    at: float
    text: str


class JobView(BaseModel):
    """An action that was ordered. `done`: 0 to 1. Secrets in `result` are for the operator who ordered it, and for a while only;
    `secrets` are their names, so that nothing shows them that is not made for it.

    `error`: for people, "" if there is none. Times are Unix seconds.
    """

    id: str
    action: str
    params: dict[str, Any]
    target: str
    operator: str
    state: Literal["waiting", "running", "cancelling", "done", "failed", "cancelled"]
    steps: list[StepView]
    done: float
    result: dict[str, Any] | None
    secrets: list[str]
    error: str
    cancellable: bool
    created_at: float
    ended_at: float | None


class JobList(BaseModel):
    """Newest first."""

    total: int
    jobs: list[JobView]
