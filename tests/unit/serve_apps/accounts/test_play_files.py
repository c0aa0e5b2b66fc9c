"""The play page's folder (serve_apps/accounts/play_files.py)."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from serve_apps.accounts import play_files


@pytest.mark.parametrize(
    ("path", "status"),
    [("", 200), ("page.js", 200), ("console/index.html", 404), ("console/", 404), ("x/../console/index.html", 404)],
)
async def test_the_console_beside_it_is_not_served(tmp_path: Path, path: str, status: int) -> None:
    (tmp_path / "console").mkdir()
    for name in ("index.html", "page.js", "console/index.html"):
        (tmp_path / name).write_text("<p>")
    app = FastAPI()
    play_files.mount(app, tmp_path)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://realm") as client:
        assert (await client.get(f"/play/{path}")).status_code == status
