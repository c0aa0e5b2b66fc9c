"""The bodies of the HTTP API (PROTOCOL.md): what comes in is checked, what goes out has these members."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, SecretStr

from cluster.ports.accounts import Character
from cluster.settings import Settings
from serve_apps.accounts.names import (
    CHARACTER_NAME_LENGTH,
    PASSWORD_LENGTH,
    USERNAME_PATTERN,
    clean_character_name,
    clean_password,
    clean_text,
    clean_username,
)

# Characters. What is longer is nobody's username, password or token; a body is bounded by itself.
MAX_CREDENTIAL = 1024


def _secret(clean: Callable[[str], str]) -> AfterValidator:
    return AfterValidator(lambda secret: SecretStr(clean(secret.get_secret_value())))


Username = Annotated[
    str,
    AfterValidator(clean_username),
    Field(json_schema_extra={"pattern": USERNAME_PATTERN, "examples": ["ada"]}),
]
NewPassword = Annotated[
    SecretStr,
    _secret(clean_password),
    Field(json_schema_extra={"minLength": PASSWORD_LENGTH[0], "maxLength": PASSWORD_LENGTH[1]}),
]
CharacterName = Annotated[
    str,
    AfterValidator(clean_character_name),
    Field(
        json_schema_extra={
            "minLength": CHARACTER_NAME_LENGTH[0],
            "maxLength": CHARACTER_NAME_LENGTH[1],
            "examples": ["Ada of the Ridge"],
        }
    ),
]
Credential = Annotated[str, Field(max_length=MAX_CREDENTIAL), AfterValidator(clean_text)]
SecretCredential = Annotated[SecretStr, Field(max_length=MAX_CREDENTIAL), _secret(clean_text)]


class Registration(BaseModel):
    username: Username
    password: NewPassword


class Login(BaseModel):
    """No rules here: a name or password that cannot exist is answered as one that is wrong."""

    username: Credential
    password: SecretCredential


class PasswordChange(BaseModel):
    """`current` has no rules: one that cannot be is answered as one that is wrong."""

    current: SecretCredential
    new: NewPassword


class RefreshToken(BaseModel):
    refresh_token: SecretCredential


class NewCharacter(BaseModel):
    name: CharacterName


class Tokens(BaseModel):
    """`expires_in`: seconds until the access token ends."""

    user_id: str
    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105  a kind, no token
    expires_in: int
    refresh_token: str


class Position(BaseModel):
    """Metres."""

    x: float
    y: float
    z: float


class CharacterView(BaseModel):
    """`created_at`: Unix seconds."""

    character_id: str
    name: str
    zone: str
    position: Position
    created_at: float

    @classmethod
    def of(cls, character: Character) -> CharacterView:
        return cls(
            character_id=character.character_id,
            name=character.name,
            zone=character.zone,
            position=Position(x=character.x, y=character.y, z=character.z),
            created_at=character.created_at,
        )


class CharacterList(BaseModel):
    characters: list[CharacterView]


class BoundsView(BaseModel):
    """Metres, on the x and z axes."""

    min_x: float
    min_z: float
    max_x: float
    max_z: float


class ZoneView(BaseModel):
    zone: str
    name: str
    bounds: BoundsView


class RealmView(BaseModel):
    """`websocket`: the path of the WebSocket endpoint, on this host and port. `sign`: some methods or all need signed messages."""

    realm: str
    zones: list[ZoneView]
    websocket: str = "/ws"
    sign: bool = False

    @classmethod
    def of(cls, settings: Settings) -> RealmView:
        zones = [
            ZoneView(zone=zone.id, name=zone.name, bounds=BoundsView(**zone.bounds.model_dump()))
            for zone in settings.world.zones
        ]
        signing = settings.signing
        return cls(realm=settings.realm, zones=zones, sign=signing.mode == "required" or bool(signing.methods))


class Health(BaseModel):
    status: Literal["ok", "unavailable"]
    checks: dict[str, bool]


class FieldError(BaseModel):
    field: str
    reason: str


class Problem(BaseModel):
    """Problem details (RFC 9457). `reason` is a stable word for programs, `detail` is for people."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str
    errors: list[FieldError] | None = Field(default=None, description="With `invalid_input`: what is wrong where.")
    error_id: str | None = Field(default=None, description="With `internal`: quote it to the operator.")
