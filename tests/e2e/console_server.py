"""A mock of the console's API and live feed in one process, so that the console's page can be tested without a realm.

Run it by hand: `python -m tests.e2e.console_server --port 8124`, then open http://127.0.0.1:8124/console/ and log in as ada with
what `console_accounts.py` says.
What it looks at and does comes in parts (`console_world.py`, `console_people.py`): see `Part` in `console_parts.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.e2e.console_accounts import Logins
from tests.e2e.console_feed import Reader, news
from tests.e2e.console_parts import MockAction, Params, Part, Refusal
from tests.e2e.play_files import WEB

DEADLINE_S = 10.0
# The strictest policy that the page can live with; the real console's.
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)


class ConsoleServer:
    """`run`, `cut`, `feed_away` and the fields may be used from any thread."""

    def __init__(self, *parts: Part, port: int = 0) -> None:
        self.parts = parts
        self.logins = Logins(self._operations())
        self.asked: list[tuple[str, Params]] = []  # looks, in order
        self.done: list[tuple[str, Params]] = []  # actions that were carried out
        self.jobs: dict[str, Params] = {}
        self.failing: dict[str, str] = {}  # action -> why it fails
        self.refusing: dict[str, Refusal] = {}  # look or plan -> how it is refused
        self.step_s = 0.05
        self.push_s = 0.15
        self.feed_away = False
        self._held = False
        self._wakes: dict[str, asyncio.Event] = {}  # of each job
        self._ids = itertools.count(1)
        self._readers: list[Reader] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        api = "/console/api/v1"
        routes = [
            *self.logins.routes(api),
            Route(f"{api}/operations", self._list_operations),
            Route(f"{api}/actions/{{name}}/plan", self._plan, methods=["POST"]),
            Route(f"{api}/actions/{{name}}", self._act, methods=["POST"]),
            Route(f"{api}/jobs", self._list_jobs),
            Route(f"{api}/jobs/{{id}}", self._job),
            Route(f"{api}/jobs/{{id}}/cancel", self._cancel, methods=["POST"]),
            Route(f"{api}/{{path:path}}", self._look),
            WebSocketRoute("/console/ws", self._feed),
            Mount("/console", StaticFiles(directory=WEB / "console", html=True)),
        ]
        app = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={Refusal: self._refused})
        config = uvicorn.Config(
            _Policy(app), ws="websockets-sansio", log_level="warning", lifespan="on", timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="console-server")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()

    def start(self) -> None:
        self._thread.start()
        if not self._started.wait(DEADLINE_S):
            raise TimeoutError("the mock console did not start")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(DEADLINE_S)
        self._socket.close()
        if self._thread.is_alive():
            raise TimeoutError("the mock console did not stop")

    def run(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine on the server's loop, to its end."""
        if self._loop is None:
            raise RuntimeError("not started")
        asyncio.run_coroutine_threadsafe(action(), self._loop).result(DEADLINE_S)

    def cut(self) -> None:
        """Tear down every TCP connection, with no close frame."""

        async def action() -> None:
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()

        self.run(action)

    def hold(self) -> None:
        """Jobs wait before their next step."""
        self._held = True

    def release(self) -> None:
        async def action() -> None:
            self._held = False
            for wake in self._wakes.values():
                wake.set()

        self.run(action)

    def log_out_all(self) -> None:
        """As when every session has ended."""
        self.logins.by_cookie.clear()

    def acted(self, name: str) -> list[Params]:
        return [params for done, params in self.done if done == name]

    @property
    def followers(self) -> int:
        return len(self._readers)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        pushing = asyncio.create_task(self._push())
        self._started.set()
        yield
        for task in (pushing, *self._tasks):
            task.cancel()
        await asyncio.gather(pushing, *self._tasks, return_exceptions=True)

    async def _refused(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        said = {"type": "about:blank", "title": error.reason, "reason": error.reason, "detail": error.detail}
        return JSONResponse(said | {"status": error.status}, error.status, media_type="application/problem+json")

    # Looks and actions

    async def _look(self, request: Request) -> Response:
        user = self.logins.known(request)
        name = request.path_params["path"].replace("/", ".")
        for part in self.parts:
            if name not in part.looks:
                continue
            if not self.logins.may(user, name):
                raise Refusal(403, "role_too_low", f"{name} needs another role.")
            params = dict(request.query_params)
            self.asked.append((name, params))
            if name in self.refusing:
                raise self.refusing[name]
            return JSONResponse(part.looks[name][1](params))
        raise Refusal(404, "no_such_operation", f"There is no operation {name}.")

    def _operations(self) -> dict[str, str]:
        roles = {name: role for part in self.parts for name, (role, _) in part.looks.items()}
        return roles | {name: action.role for part in self.parts for name, action in part.actions.items()}

    async def _list_operations(self, request: Request) -> Response:
        self.logins.known(request)
        said: list[Params] = [
            {"name": name, "summary": name, "kind": "look", "role": "viewer"}
            for part in self.parts
            for name in part.looks
        ]
        for part in self.parts:
            for name, action in part.actions.items():
                about = {"role": action.role, "dangerous": action.dangerous, "cancellable": action.cancellable}
                said.append({"name": name, "summary": action.summary or name, "kind": "action"} | about)
        return JSONResponse({"operations": said})

    async def _asked_action(self, request: Request) -> tuple[str, str, MockAction, Params]:
        user, name = self.logins.known(request), request.path_params["name"]
        action = next((part.actions[name] for part in self.parts if name in part.actions), None)
        if action is None:
            raise Refusal(404, "no_such_operation", f"There is no operation {name}.")
        if not self.logins.may(user, name):
            raise Refusal(403, "role_too_low", f"{name} needs the role {action.role}.")
        if name in self.refusing:
            raise self.refusing[name]
        return user, name, action, await request.json()

    async def _plan(self, request: Request) -> Response:
        _user, name, action, params = await self._asked_action(request)
        return JSONResponse(
            {
                "action": name,
                "summary": action.summary or name,
                "target": action.target(params),
                "steps": action.steps(params),
                "warnings": action.warnings(params),
                "dangerous": action.dangerous,
                "cancellable": action.cancellable,
            }
        )

    async def _act(self, request: Request) -> Response:
        user, name, action, params = await self._asked_action(request)
        job = {
            "id": f"job_{next(self._ids):016x}",
            "action": name,
            "params": params,
            "target": action.target(params),
            "operator": user,
            "state": "waiting",
            "steps": [],
            "done": 0.0,
            "result": None,
            "secrets": list(action.secrets),
            "error": "",
            "cancellable": action.cancellable,
            "created_at": time.time(),
            "ended_at": None,
        }
        self.jobs[str(job["id"])] = job
        task = asyncio.create_task(self._carry_out(job, action, params))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return JSONResponse(job, 202)

    async def _carry_out(self, job: Params, action: MockAction, params: Params) -> None:
        job["state"] = "running"
        wake = self._wakes[job["id"]] = asyncio.Event()
        steps = action.steps(params)
        for index, step in enumerate(steps):
            await asyncio.sleep(self.step_s)
            if self._held and job["state"] == "running":
                wake.clear()
                await wake.wait()
            if job["state"] == "cancelling":
                job.update(state="cancelled", cancellable=False, ended_at=time.time())
                return
            job["steps"] = [*job["steps"], {"at": time.time(), "text": step}]
            job["done"] = index / len(steps)
        if job["action"] in self.failing:
            job.update(state="failed", error=self.failing[job["action"]], ended_at=time.time())
            return
        self.done.append((job["action"], params))
        job.update(state="done", done=1.0, result=action.run(params), ended_at=time.time())

    async def _list_jobs(self, request: Request) -> Response:
        self.logins.known(request)
        return JSONResponse(self._jobs())

    def _jobs(self) -> Params:
        return {"jobs": [dict(job) for job in reversed(list(self.jobs.values()))]}

    async def _job(self, request: Request) -> Response:
        self.logins.known(request)
        return JSONResponse(self.jobs[request.path_params["id"]])

    async def _cancel(self, request: Request) -> Response:
        self.logins.known(request)
        job = self.jobs[request.path_params["id"]]
        if job["state"] != "running" or not job["cancellable"]:
            raise Refusal(409, "too_late", "It cannot be cancelled any more.")
        job["state"] = "cancelling"
        self._wakes[job["id"]].set()
        return JSONResponse(job)

    # The live feed

    async def _feed(self, websocket: WebSocket) -> None:
        if self.feed_away or websocket.cookies.get("console", "") not in self.logins.by_cookie:
            await websocket.send_denial_response(JSONResponse({}, status_code=503 if self.feed_away else 401))
            return
        await websocket.accept()
        reader = Reader(websocket)
        self._readers.append(reader)
        try:
            while True:
                asked = await websocket.receive_json()
                reader.topics |= set(asked.get("subscribe", []))
                reader.topics -= set(asked.get("unsubscribe", []))
                for topic in asked.get("subscribe", []):
                    reader.sent.pop(topic, None)
                await self._tell(reader)
        except WebSocketDisconnect:
            pass
        finally:
            self._readers.remove(reader)

    async def _push(self) -> None:
        while True:
            await asyncio.sleep(self.push_s)
            for reader in list(self._readers):
                with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it closed meanwhile
                    if self.feed_away:
                        await reader.socket.close(1012)
                    else:
                        await self._tell(reader)

    async def _tell(self, reader: Reader) -> None:
        for topic in sorted(reader.topics):
            whole = self._whole(topic)
            if whole is None:
                continue
            said = news(reader, topic, whole)
            if said is not None:
                await reader.socket.send_json({"topic": topic, "data": said})

    def _whole(self, topic: str) -> Any:
        if topic == "jobs":
            return self._jobs()
        found = next((part.topics[topic] for part in self.parts if topic in part.topics), None)
        return None if found is None else found()


class _Policy:
    """The headers that the real console sends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = CSP
                headers["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, with_header)


def main() -> None:
    from tests.e2e.console_world import ConsoleWorld

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--zones", type=int, default=24)
    arguments = parser.parse_args()
    server = ConsoleServer(ConsoleWorld(arguments.zones, lively=True), port=arguments.port)
    server.start()
    print(f"{server.url}/console/", flush=True)  # noqa: T201
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
