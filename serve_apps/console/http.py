"""The console as one ASGI app, without the prefix /console of Serve's; a test needs neither Ray nor sockets to talk to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, WebSocket
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from cluster.operations.model import Action
from cluster.security.addresses import Network
from serve_apps.accounts import problems
from serve_apps.accounts.addressed import Addressed
from serve_apps.accounts.limits import BodyLimit, DefaultHeaders
from serve_apps.accounts.measured import Answered, Measured
from serve_apps.accounts.models import Problem
from serve_apps.console import account_routes, operation_routes
from serve_apps.console.access import FromHere
from serve_apps.console.feed import Feed
from serve_apps.console.page import PageFiles
from serve_apps.console.refusing import problem_of
from serve_apps.console.routes import PREFIX, ConsoleDeps, router

API_VERSION = "1"
OPENAPI = f"{PREFIX}/openapi.json"
SOCKET = "/ws"

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The document, with the one shape of errors instead of the framework's, and the results of actions."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document["components"]["schemas"]
            deps: ConsoleDeps = self.state.deps
            actions = [op for op in deps.registry.operations.values() if isinstance(op, Action)]
            models: list[type[BaseModel]] = [Problem, *(action.result for action in actions)]
            for model in models:
                made = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas |= made.pop("$defs", {})
                schemas[model.__name__] = made
            for framework in ("HTTPValidationError", "ValidationError"):
                schemas.pop(framework, None)
            for item in document["paths"].values():
                for operation in item.values():
                    _drop_framework_errors(operation["responses"])
        return self.openapi_schema or {}


def _drop_framework_errors(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {})
    content.pop("application/json", None)
    if not content:
        responses.pop("422", None)


class _ToTheFolder:
    """ASGI middleware: /console leads to /console/, where the page's relative addresses mean what they say."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "")
        if scope["type"] == "http" and root and scope["path"] == root:
            await RedirectResponse(f"{root}/", 308)(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def _nothing(_: Request) -> Response:
    raise HTTPException(404, "there is no such route")


def build_http(
    deps: ConsoleDeps,
    feed: Feed,
    console_from: Iterable[Network],
    edge_secret: str = "",
    lifespan: Lifespan | None = None,
    answered: Answered = lambda route, status, seconds: None,
) -> FastAPI:
    """`edge_secret` as in Realm; `lifespan` is for what must be closed with the app; `answered` is told of each request."""
    app = _Api(
        title="Rayrealm console",
        version=API_VERSION,
        description="Everything operators can look at and do. Errors are problem details (RFC 9457).",
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.deps = deps
    app.include_router(router)
    app.include_router(account_routes.router)
    app.include_router(operation_routes.build(deps.registry))

    async def live(socket: WebSocket) -> None:
        await feed.serve(socket, deps.accounts)

    app.add_api_websocket_route(SOCKET, live)
    app.add_route(
        "/api/{rest:path}", _nothing, methods=["GET", "POST", "PUT", "PATCH", "DELETE"], include_in_schema=False
    )
    if deps.page is not None:
        app.mount("/", PageFiles(directory=deps.page, html=True), name="page")
    # The last one added is the outermost.
    app.add_middleware(BodyLimit)
    problems.install(app, problem_of)
    app.add_middleware(_ToTheFolder)
    app.add_middleware(FromHere, networks=console_from, guarded=bool(edge_secret))
    app.add_middleware(DefaultHeaders)
    app.add_middleware(Addressed, secret=edge_secret)
    app.add_middleware(Measured, plain=(), answered=answered, clock=time.perf_counter)
    return app
