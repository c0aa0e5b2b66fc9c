"""Commands over the HTTP API: what is asked, what comes of a job, and which error a problem is."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from cluster.cli import remote
from cluster.cli.remote import API, PLAIN, Remote, readable, refusal
from cluster.errors import (
    Conflict,
    InvalidInput,
    InvalidState,
    NotFound,
    Ours,
    RateLimited,
    StartRefused,
    Theirs,
    Unauthorized,
    Unavailable,
)

Answer = Callable[[httpx.Request], httpx.Response]


def shell(answer: Answer) -> Remote:
    return Remote(httpx.AsyncClient(base_url=f"https://realm.test{API}", transport=httpx.MockTransport(answer)))


def job(state: str, *steps: str, error: str = "", result: dict[str, Any] | None = None) -> httpx.Response:
    told = [{"at": 1.0, "text": step} for step in steps]
    said = {"id": "job_1", "state": state, "steps": told, "done": 0.5, "error": error, "result": result}
    return httpx.Response(200, json=said)


class Console:
    """Answers what it is asked about the job one after the other; the last answer stays."""

    def __init__(self, *looks: httpx.Response) -> None:
        self.looks = list(looks)
        self.asked: list[tuple[str, str]] = []
        self.bodies: list[Any] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix(API)
        self.asked.append((request.method, path))
        if request.content:
            self.bodies.append(json.loads(request.content))
        if path.startswith("/actions/"):
            return httpx.Response(202, json={"id": "job_1"})
        if path.endswith("/cancel"):
            return job("cancelling")
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "PAUSE_S", 0.0)


async def test_a_look() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={"total": 0, "zones": []})

    assert await shell(answer).look("zones.list", {"q": "mead ow", "limit": 5, "sort": None}) == {
        "total": 0,
        "zones": [],
    }
    assert asked == [f"https://realm.test{API}/zones/list?q=mead+ow&limit=5"]


async def test_a_plan() -> None:
    preview = await shell(lambda _: httpx.Response(200, json={"steps": ["a"], "warnings": ["b"], "more": 1})).preview(
        "zones.split", {"zone": "zon_a"}
    )
    assert (preview.steps, preview.warnings) == (("a",), ("b",))


class TestJobs:
    async def test_each_step_is_told_once(self) -> None:
        console = Console(
            job("waiting"), job("running", "a"), job("running", "a", "b"), job("done", "a", "b", result={"x": 1})
        )
        said: list[str] = []
        result = await shell(console).act("zones.split", {"zone": "zon_a"}, lambda step, _: said.append(step), None)
        assert (result, said) == ({"x": 1}, ["a", "b"])
        assert console.asked[0] == ("POST", "/actions/zones.split")
        assert console.bodies == [{"zone": "zon_a"}]

    @pytest.mark.parametrize(
        ("state", "error", "said"), [("failed", "oh", "failed: oh"), ("cancelled", "", "cancelled")]
    )
    async def test_one_that_does_not_end_well(self, state: str, error: str, said: str) -> None:
        with pytest.raises(Ours, match=said):
            await shell(Console(job(state, error=error))).act("zones.split", {}, lambda *_: None, None)

    async def test_a_console_that_starts_again_goes_on_with_it(self) -> None:
        console = Console(httpx.Response(503), job("running"), httpx.Response(502), job("done", result={}))
        assert await shell(console).act("zones.split", {}, lambda *_: None, None) == {}

    async def test_one_that_stays_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(remote, "PATIENCE_S", 0.02)
        with pytest.raises(Unavailable):
            await shell(Console(httpx.Response(503))).act("zones.split", {}, lambda *_: None, None)

    async def test_ctrl_c_cancels_it_and_giving_up_does_not(self) -> None:
        console, said = Console(job("running", "a")), list[str]()
        begun = asyncio.create_task(shell(console).act("zones.split", {}, lambda step, _: said.append(step), None))
        while not said:  # noqa: ASYNC110 - it is told by the command itself
            await asyncio.sleep(0)
        begun.cancel()
        with pytest.raises(asyncio.CancelledError):
            await begun
        assert console.asked[-1] == ("POST", "/jobs/job_1/cancel")
        assert said[-1] == "cancelled"
        console = Console(job("running"))
        with pytest.raises(TimeoutError):
            await shell(console).act("zones.split", {}, lambda *_: None, 0.05)
        assert ("POST", "/jobs/job_1/cancel") not in console.asked


class TestRefusals:
    @pytest.mark.parametrize(
        ("status", "problem", "error", "said"),
        [
            (
                422,
                {"reason": "invalid_input", "errors": [{"field": "zone", "reason": "missing"}]},
                InvalidInput,
                "zone: missing",
            ),
            (401, {"reason": "token_invalid", "detail": "no such token"}, Unauthorized, "no such token"),
            (403, {"reason": "role_too_low", "detail": "needs admin"}, Unauthorized, "needs admin"),
            (404, {"reason": "no_such_zone", "detail": "no zone x"}, NotFound, "no zone x"),
            (409, {"reason": "already_so", "current": {"x": 1}}, Conflict, "already so"),
            (409, {"reason": "too_late", "state": "committed"}, InvalidState, "too late"),
            (429, {"reason": "too_many_jobs"}, RateLimited, "too many jobs"),
            (503, {}, Unavailable, "console is not available"),
            (418, {"reason": "teapot"}, Theirs, "teapot"),
            (500, {"detail": "oh"}, Ours, "oh"),
        ],
    )
    def test_the_error_that_it_was(
        self, status: int, problem: dict[str, Any], error: type[Exception], said: str
    ) -> None:
        made = refusal(status, problem)
        assert type(made) is error
        assert said in str(made)

    async def test_no_answer_and_no_json(self) -> None:
        def away(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("nobody", request=request)

        with pytest.raises(Unavailable, match=r"realm\.test"):
            await shell(away).look("zones.list", {})
        with pytest.raises(Unavailable):
            await shell(lambda _: httpx.Response(200, text="<html>")).look("zones.list", {})


class TestWhoCouldReadTheToken:
    @pytest.mark.parametrize(
        "url",
        [
            "http://play.example.org",
            "http://10.0.0.7:8000",
            "http://[2001:db8::1]/",
            "http://127.0.0.1.example.org",
            "http://localhost@play.example.org",
            "http://[::1",
            "play.example.org",
        ],
    )
    async def test_refused_without_tls(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(PLAIN, raising=False)
        with pytest.raises(StartRefused, match=PLAIN):
            async with Remote.opened(url, "secret"):
                pass
        monkeypatch.setenv(PLAIN, "0")
        with pytest.raises(StartRefused, match="https"):
            async with Remote.opened(url, "secret"):
                pass

    async def test_unless_it_is_said_or_stays_here(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for url in ("https://play.example.org", "http://127.0.0.1:8000", "http://[::1]:8000", "http://localhost/"):
            assert not readable(url)
            async with Remote.opened(url, "secret"):
                pass
        monkeypatch.setenv(PLAIN, "1")
        async with Remote.opened("http://10.0.0.7:8000", "secret"):
            pass
