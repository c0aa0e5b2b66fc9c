"""The play page's files at /play/: revalidated on every load, and allowed to talk to this realm alone."""

from __future__ import annotations

import os
from pathlib import Path

from fastapi import FastAPI
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'self'",
        "connect-src 'self' ws: wss:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)


PREFIX = "/play/"
WAYS_THERE = ("/", "/play")


CONSOLE = "console"  # beside the play page in the folder, and for whom `edge.console_from` names alone


class PlayFiles(StaticFiles):
    """Files of a folder. `no-cache` with an ETag: a new version is seen at once, an old one costs a 304."""

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        if Path(path).parts[:1] == (CONSOLE,):
            return "", None
        return super().lookup_path(path)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
        return response


def mount(app: FastAPI, folder: Path) -> None:
    """Serve `folder` at /play/ and lead / and /play there."""

    async def to_play() -> RedirectResponse:
        return RedirectResponse(PREFIX)

    for path in WAYS_THERE:
        app.add_api_route(path, to_play, methods=["GET", "HEAD"], include_in_schema=False, response_model=None)
    app.mount(PREFIX.rstrip("/"), PlayFiles(directory=folder, html=True), name="play")
