"""The HTTP API as one ASGI app; a test needs neither Ray nor sockets to talk to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse

from serve_apps.accounts import docs_page, play_files, problems
from serve_apps.accounts.addressed import Addressed
from serve_apps.accounts.barred import Barred
from serve_apps.accounts.limits import BodyLimit, DefaultHeaders
from serve_apps.accounts.measured import Measured
from serve_apps.accounts.models import Problem
from serve_apps.accounts.routes import HttpDeps, router

API_VERSION = "1"
OPENAPI_PATH, DOCS_PATH = "/v1/openapi.json", "/v1/docs"
_PLAIN = (OPENAPI_PATH, DOCS_PATH, play_files.PREFIX)
# For metrics: the templates of all paths there are.
ROUTES = (
    *(route.path for route in router.routes if isinstance(route, APIRoute)),
    *play_files.WAYS_THERE,
    *_PLAIN,
)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The document, with the one shape of errors instead of the framework's."""
        document = super().openapi()
        schemas = document["components"]["schemas"]
        if Problem.__name__ not in schemas:
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas |= problem.pop("$defs")
            schemas[Problem.__name__] = problem
            for framework in ("HTTPValidationError", "ValidationError"):
                schemas.pop(framework, None)
            for item in document["paths"].values():
                for operation in item.values():
                    _drop_framework_errors(operation["responses"])
        return document


def _drop_framework_errors(responses: dict[str, Any]) -> None:
    content = responses.get("422", {}).get("content", {})
    content.pop("application/json", None)
    if not content:
        responses.pop("422", None)


async def _docs(request: Request) -> HTMLResponse:
    page = docs_page.render(request.app.openapi())
    return HTMLResponse(page, headers={"Content-Security-Policy": docs_page.CONTENT_SECURITY_POLICY})


def build_http(
    deps: HttpDeps, lifespan: Lifespan | None = None, banned: Callable[[str], bool] = lambda _: False
) -> FastAPI:
    """All of PROTOCOL.md, HTTP API; `lifespan` is for what must be closed with the app. `banned`: addresses that get nothing."""
    app = _Api(
        title="Rayrealm",
        version=API_VERSION,
        description="Accounts, characters and the state of a realm. Errors are problem details (RFC 9457).",
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    app.state.deps = deps
    app.include_router(router)
    app.add_route(DOCS_PATH, _docs, include_in_schema=False)
    if deps.mount_play is not None:
        play_files.mount(app, deps.mount_play)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit)
    problems.install(app)
    app.add_middleware(Barred, banned=banned)
    app.add_middleware(DefaultHeaders)
    app.add_middleware(Addressed, secret=deps.edge_secret)
    app.add_middleware(Measured, plain=_PLAIN, answered=deps.answered, clock=time.perf_counter)
    return app
