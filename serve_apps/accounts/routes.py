"""The routes of the HTTP API (PROTOCOL.md): a checked body in, a call of the service, the answer's shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import JSONResponse

from cluster.security.addresses import within
from cluster.telemetry.scrape import CONTENT_TYPE
from serve_apps.accounts import problems
from serve_apps.accounts.measured import Answered
from serve_apps.accounts.models import (
    CharacterList,
    CharacterView,
    Health,
    Login,
    NewCharacter,
    PasswordChange,
    RealmView,
    RefreshToken,
    Registration,
    Tokens,
)
from serve_apps.accounts.service import AccountService

JWKS_MEDIA_TYPE = "application/jwk-set+json"
_JWKS_CACHE = "public, max-age=60"


@dataclass(frozen=True, slots=True)
class HttpDeps:
    """What the HTTP API is made of.

    `metrics(process)` gives the Prometheus text of a process, or of all for "", and raises Unavailable; `targets(address)` those
    there are, as cluster/telemetry/targets.py has it; `health` each check by name; `mount_play` is the
    folder of the play page, or None for an API alone; `answered` is told of each request's route, status and
    seconds; `edge_secret` as in Realm.
    """

    service: AccountService
    metrics: Callable[[str], Awaitable[bytes]]
    health: Callable[[], Awaitable[dict[str, bool]]]
    mount_play: Path | None = None
    answered: Answered = lambda route, status, seconds: None
    edge_secret: str = ""
    targets: Callable[[str], list[dict[str, Any]]] = lambda address: []


async def _deps(request: Request) -> HttpDeps:
    deps: HttpDeps = request.app.state.deps
    return deps


Deps = Annotated[HttpDeps, Depends(_deps)]


async def _address(request: Request) -> str:
    """The client's, as addressed.py found it."""
    return str(request.state.address)


Address = Annotated[str, Depends(_address)]
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="The access token of a login.")


async def _user_id(deps: Deps, sent: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    return (await deps.service.authenticate(sent.credentials if sent else None)).user_id


UserId = Annotated[str, Depends(_user_id)]


def _refusals(described: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """For OpenAPI: what else a route answers, all of it problem details."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": text, "content": {problems.MEDIA_TYPE: schema}}
        for status, text in sorted(described.items())
    }


_BODY = {
    400: "`bad_request`: no JSON",
    413: "`too_large`: over 64 KiB",
    415: "`unsupported_media_type`",
    422: "`invalid_input`: see `errors`",
}
_AWAY = {503: "`unavailable`: wait `Retry-After` seconds"}
_CLOSED = {503: "`unavailable`, or `maintenance`: the realm is closed to players. Wait `Retry-After` seconds"}
_TOO_COMMON = {422: "`invalid_input`: see `errors`; `password_too_common`"}
_OFTEN = {429: "`too_many_attempts` from this address: wait `Retry-After` seconds"}
_LOCKED = {429: "`too_many_attempts` from this address, or `locked` for this name: wait `Retry-After` seconds"}
_TOKEN = {401: "`token_missing`, `token_invalid`, `token_expired`, `token_revoked`"}

router = APIRouter()


@router.post(
    "/v1/auth/register",
    status_code=201,
    responses=_refusals({**_BODY, **_TOO_COMMON, **_OFTEN, **_CLOSED, 409: "`username_taken`"}),
)
async def register(body: Registration, deps: Deps, address: Address) -> Tokens:
    """Make an account and log it in. A password is neither one of the most used ones nor the username."""
    return await deps.service.register(body.username, body.password.get_secret_value(), address)


@router.post("/v1/auth/login", responses=_refusals({**_BODY, **_LOCKED, **_CLOSED, 401: "`bad_credentials`"}))
async def login(body: Login, deps: Deps, address: Address) -> Tokens:
    """Log in with a username and a password. No answer tells whether there is such an account."""
    return await deps.service.login(body.username, body.password.get_secret_value(), address)


@router.post("/v1/auth/refresh", responses=_refusals({**_BODY, **_AWAY, 401: "`token_invalid`, `token_revoked`"}))
async def refresh(body: RefreshToken, deps: Deps) -> Tokens:
    """Get new tokens. A refresh token works once; presenting a used one ends its whole family."""
    return await deps.service.refresh(body.refresh_token.get_secret_value())


@router.post("/v1/auth/logout", status_code=204, responses=_refusals({**_BODY, **_AWAY}))
async def logout(body: RefreshToken, deps: Deps) -> None:
    """End the refresh token and all that came of the same login: access tokens and open sockets, too."""
    await deps.service.logout(body.refresh_token.get_secret_value())


@router.post(
    "/v1/auth/password",
    responses=_refusals(
        {
            **_BODY,
            **_TOO_COMMON,
            **_LOCKED,
            **_AWAY,
            401: f"`bad_credentials`; {_TOKEN[401]}",
            404: "`not_found`: no account here",
        }
    ),
)
async def change_password(body: PasswordChange, user_id: UserId, deps: Deps, address: Address) -> Tokens:
    """Change one's password. Every login of the user's ends, on every device; the answer is a new one."""
    current, new = body.current.get_secret_value(), body.new.get_secret_value()
    return await deps.service.change_password(user_id, current, new, address)


@router.get("/v1/auth/keys", response_class=Response, responses={200: {"content": {JWKS_MEDIA_TYPE: {}}}})
async def keys(deps: Deps) -> Response:
    """The public keys of access tokens, as a JWK set (RFC 7517)."""
    return JSONResponse(deps.service.jwks(), headers={"Cache-Control": _JWKS_CACHE}, media_type=JWKS_MEDIA_TYPE)


@router.get("/v1/characters", responses=_refusals({**_TOKEN, **_AWAY}))
async def list_characters(user_id: UserId, deps: Deps) -> CharacterList:
    """The caller's characters, oldest first."""
    characters = await deps.service.list_characters(user_id)
    return CharacterList(characters=[CharacterView.of(character) for character in characters])


@router.post(
    "/v1/characters",
    status_code=201,
    responses=_refusals({**_BODY, **_TOKEN, **_AWAY, 409: "`name_taken`, `too_many_characters`"}),
)
async def create_character(body: NewCharacter, user_id: UserId, deps: Deps) -> CharacterView:
    """Make a character. Names are unique without case; spaces are tidied up."""
    return CharacterView.of(await deps.service.create_character(user_id, body.name))


@router.delete(
    "/v1/characters/{character_id}",
    status_code=204,
    responses=_refusals({**_TOKEN, **_AWAY, 404: "`not_found`: none of yours", 409: "`in_world`"}),
)
async def delete_character(character_id: str, user_id: UserId, deps: Deps) -> None:
    """Delete a character that is not in the world."""
    await deps.service.delete_character(user_id, character_id)


@router.get("/v1/realm")
async def realm(deps: Deps) -> RealmView:
    """The realm, its zones, and where its WebSocket is."""
    return RealmView.of(deps.service.settings)


@router.get("/v1/healthz", responses={503: {"description": "A check failed", "model": Health}})
async def healthz(deps: Deps, response: Response) -> Health:
    """Whether this realm can work."""
    checks = await deps.health()
    healthy = all(checks.values())
    response.status_code = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
    return Health(status="ok" if healthy else "unavailable", checks=checks)


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}},
        **_refusals({403: "`metrics_refused`", 503: "`unavailable`: no such process answers"}),
    },
)
async def metrics(
    request: Request, deps: Deps, process: Annotated[str, Query(max_length=200, description="`zone/meadow`")] = ""
) -> Response:
    """Every process of the realm on one page, as Prometheus text, or the one named by `process` alone.

    For addresses in `edge.metrics_from`.
    """
    if not _may_measure(request, deps):
        return _metrics_refused()
    return Response(await deps.metrics(process), media_type=CONTENT_TYPE)


@router.get("/metrics/targets", responses=_refusals({403: "`metrics_refused`"}))
async def targets(request: Request, deps: Deps) -> Response:
    """Every process as a target of its own, for `http_sd_configs` of Prometheus. For addresses in `edge.metrics_from`."""
    if not _may_measure(request, deps):
        return _metrics_refused()
    return JSONResponse(deps.targets(_host(request)))


def _may_measure(request: Request, deps: HttpDeps) -> bool:
    # Where there is an edge, whoever did not come through it has no address to go by.
    placed = request.state.vouched or not deps.edge_secret
    return bool(placed and within(request.state.address, deps.service.settings.edge.metrics_from))


def _metrics_refused() -> Response:
    detail = "metrics are not for this address (edge.metrics_from)"
    return problems.problem(HTTPStatus.FORBIDDEN, "metrics_refused", detail)


def _host(request: Request) -> str:
    """Host and port as the caller has reached the realm: there it finds each process, too."""
    url = request.url
    port = url.port or (443 if url.scheme == "https" else 80)
    return f"[{url.hostname}]:{port}" if ":" in (url.hostname or "") else f"{url.hostname}:{port}"
