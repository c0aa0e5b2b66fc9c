"""A small mock realm that speaks the real protocol in one process, so that the play page can be tested without Ray.

Run it by hand: `python -m tests.e2e.play_server --port 8123`, then open http://127.0.0.1:8123/play/.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import socket
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import uvicorn
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from realm_proto import realtime_pb2 as wire
from tests.e2e.play_accounts import Accounts
from tests.e2e.play_files import WEB, ContentSecurityPolicy
from tests.e2e.play_sessions import Params, RpcRefusal, Session, notification
from tests.e2e.play_social import Social
from tests.e2e.play_world import TICK_HZ, Body, World

SUBPROTOCOL = "rayrealm.v1+proto"
DEADLINE_S = 10.0


class PlayServer:
    """Everything a test wants to see or do; `run` and the properties may be used from any thread."""

    def __init__(self, port: int = 0, walkers: int = 6) -> None:
        self.world = World(walkers)
        self.accounts = Accounts()
        self.sessions: dict[str, Session] = {}
        self.resume_requests: list[str] = []  # the session that each handshake asked for, in order
        self.recovered = 0  # handshakes that were opened by a recovery token
        self._recovery: dict[str, str] = {}  # recovery token -> session
        self.chat: list[tuple[str, str]] = []
        self.social = Social()
        self.refusing = False  # whether handshakes are answered with 503
        self._ids = itertools.count(1)
        self._socket = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        app = Starlette(
            routes=[
                *(Route(path, call, methods=[method]) for method, path, call in self.accounts.routes()),
                WebSocketRoute("/ws", self._serve_socket),
                Mount("/play", StaticFiles(directory=WEB, html=True)),
            ],
            lifespan=self._lifespan,
        )
        config = uvicorn.Config(
            ContentSecurityPolicy(app),
            ws="websockets-sansio",
            log_level="warning",
            lifespan="on",
            timeout_graceful_shutdown=2,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name="play-server")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started = threading.Event()

    def start(self) -> None:
        self._thread.start()
        if not self._started.wait(DEADLINE_S):
            raise TimeoutError("the mock realm did not start")

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(DEADLINE_S)
        self._socket.close()
        if self._thread.is_alive():
            raise TimeoutError("the mock realm did not stop")

    def run(self, action: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a coroutine on the server's loop, to its end."""
        if self._loop is None:
            raise RuntimeError("not started")
        asyncio.run_coroutine_threadsafe(action(), self._loop).result(DEADLINE_S)

    def body(self, name: str) -> Body:
        """The character that is in the world under this name."""
        return next(body for body in self.world.bodies.values() if body.name == name)

    def correct(self, name: str, x: float, z: float) -> None:
        """Put a player elsewhere, as a zone does that refuses a move."""

        async def action() -> None:
            self.world.correct(self.body(name), x, z, "too_fast")

        self.run(action)

    def cut(self) -> None:
        """Tear down every TCP connection, with no close frame."""

        async def action() -> None:
            for connection in list(self._server.server_state.connections):
                connection.transport.abort()

        self.run(action)

    def close_sockets(self, code: int, reason: str = "") -> None:
        async def action() -> None:
            for session in self.sessions.values():
                if session.socket is not None:
                    await session.socket.close(code, reason)
                    session.socket = None

        self.run(action)

    def remove(self, name: str) -> None:
        """Somebody leaves the zone."""

        async def action() -> None:
            del self.world.bodies[self.body(name).number]

        self.run(action)

    def lose_connection(self, name: str, *, lost: bool) -> None:
        """Somebody else's player is away, or back again."""

        async def action() -> None:
            body = self.body(name)
            body.link_dead, body.restated = lost, True

        self.run(action)

    def tell_all(self, method: str, params: Params) -> None:
        async def action() -> None:
            for session in list(self.sessions.values()):
                await self._send(session, notification(method, params))

        self.run(action)

    def move_over(self, within_s: float) -> None:
        """The gateway asks everyone to connect again."""

        async def action() -> None:
            for session in list(self.sessions.values()):
                told = self._token_of(session) | {"reason": "draining", "within_s": within_s}
                await self._send(session, notification("session.reconnect", told))

        self.run(action)

    def forget_kept(self) -> None:
        """What is not acknowledged yet can no longer be recovered."""

        async def action() -> None:
            for session in self.sessions.values():
                session.seq += 10
                session.kept.clear()

        self.run(action)

    def forget_sessions(self) -> None:
        """As if their grace period had passed: characters leave, `session=` no longer works."""

        async def action() -> None:
            for session in list(self.sessions.values()):
                self._leave(session)
            self.sessions.clear()

        self.run(action)

    def people(self, change: Callable[[Social], object]) -> None:
        """Somebody else does something; everybody who has to know is told."""

        async def action() -> None:
            change(self.social)
            await self._tell_news()

        self.run(action)

    def say(self, channel: str, name: str, text: str, *, compressed: bool = False) -> None:
        """Chat from somebody else; compressed: in a compressed batch of its own."""

        async def action() -> None:
            await self._tell_channel(channel, name, text, f"usr_{name.lower()}", compressed=compressed)

        self.run(action)

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        ticking = asyncio.create_task(self._tick())
        self._started.set()
        yield
        ticking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticking

    async def _tick(self) -> None:
        began = time.monotonic()
        for tick in itertools.count(1):
            await asyncio.sleep(max(0.0, began + tick / TICK_HZ - time.monotonic()))
            self.world.advance(tick)
            views: list[tuple[Session, wire.ViewFrame]] = []
            for session in self.sessions.values():
                if session.body is None or session.socket is None:
                    continue
                view, session.known = self.world.view(session.body, session.known, reset=session.needs_reset)
                session.needs_reset = False
                views.append((session, view))
            self.world.settle()  # before anything is awaited: a move that comes meanwhile belongs to the next tick
            for session, view in views:
                await self._send(session, wire.WebSocketMessage(view=view))

    async def _serve_socket(self, websocket: WebSocket) -> None:
        offered = websocket.scope["subprotocols"]
        token = next((name[15:] for name in offered if name.startswith("rayrealm.token.")), "")
        recovery = next((name[18:] for name in offered if name.startswith("rayrealm.recovery.")), "")
        if self.refusing:
            await websocket.send_denial_response(JSONResponse({"reason": "unavailable"}, status_code=503))
            return
        wanted = self._recovery.get(recovery, "") or websocket.query_params.get("session", "")
        known = self.sessions.get(wanted)
        user = known.user if recovery and known is not None else self.accounts.user_of(token)
        if user is None or SUBPROTOCOL not in offered:
            await websocket.send_denial_response(JSONResponse({"reason": "token_invalid"}, status_code=401))
            return
        self.resume_requests.append(wanted)
        self.recovered += bool(recovery)
        session = self.sessions.get(wanted)
        resumed = session is not None and session.user == user
        if session is None or not resumed:
            session = Session(f"ses_{next(self._ids)}", user)
            self.sessions[session.session_id] = session
        await websocket.accept(SUBPROTOCOL)
        before, session.socket = session.socket, websocket
        session.needs_reset = True
        if before is not None:
            await before.close(4500, "replaced")
        last = websocket.query_params.get("last", "")
        seen = session.after(last) if resumed and last else None
        ready = {
            "session_id": session.session_id,
            "user_id": f"usr_{user}",
            "resumed": resumed,
            "recovered": seen is not None,
            "stream": session.session_id,
            "seq": session.seq if seen is None else seen,
            "recovery": self._token_of(session),
            "topics": [f"chat:{channel}" for channel in sorted(session.channels)],
            "degraded": [],
            "state": "authenticated" if session.body is None else "in_world",
            "realm": "mock",
            "protocol": 1,
            "limits": {"max_frame_bytes": 65536, "max_pending_requests": 32, "max_subscriptions": 64},
            "world": None if session.body is None else self.world.entry(session.body),
        }
        await self._send(session, notification("session.ready", ready))
        for seq in range(session.seq + 1 if seen is None else seen + 1, session.seq + 1):
            await self._send(session, session.kept[seq])
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await self._receive(session, await websocket.receive_bytes())
        if session.socket is websocket:
            session.socket = None

    async def _receive(self, session: Session, data: bytes) -> None:
        message = wire.WebSocketMessage.FromString(data)
        kind = message.WhichOneof("message_type")
        if kind == "move":
            if session.body is not None:
                self.world.judge(session.body, message.move)
            return
        if kind == "notification" and message.notification.method == "session.ack":
            session.acknowledge(message)
            return
        if kind != "request":
            raise ValueError(f"the page sent a {kind}")
        answer = wire.WebSocketMessage(jsonrpc="2.0", id_number=message.id_number)
        params = Struct()
        if message.request.params.Is(Struct.DESCRIPTOR):
            message.request.params.Unpack(params)
        try:
            result = await self._call(session, message.request.method, MessageToDict(params))
            answer.response.result.Pack(ParseDict(result, Struct()))
        except RpcRefusal as refusal:
            answer.response.error.code = refusal.code
            answer.response.error.message = refusal.message
            answer.response.error.data.Pack(ParseDict(refusal.data, Struct()))
        await self._send(session, answer)
        await self._tell_news()

    async def _call(self, session: Session, method: str, params: Params) -> Params:
        match method:
            case "system.ping":
                return {"echo": params.get("echo"), "server_time": time.time()}
            case "world.zones":
                return {"zones": self.world.zones()}
            case "world.enter":
                if session.body is not None:
                    raise RpcRefusal(-32003, "invalid state", {"state": "in_world", "reason": "already_in_world"})
                character = self.accounts.character(session.user, params["character_id"])
                if character is None:
                    raise RpcRefusal(
                        -32602, "invalid params", {"errors": [{"field": "character_id", "reason": "unknown"}]}
                    )
                session.body = self.world.enter(params["character_id"], character["name"])
                session.known, session.needs_reset = set(), True
                self.social.come(f"usr_{session.user}", character["name"], session.body.zone)
                return self.world.entry(session.body)
            case "world.leave":
                self._leave(session)
                return {}
            case "chat.channel.join":
                session.channels.add(params["channel"])
                return {"channels": sorted(session.channels)}
            case "chat.channel.leave":
                session.channels.discard(params["channel"])
                return {"channels": sorted(session.channels)}
            case "chat.message":
                channel = params["channel"]
                if session.body is None or (channel in ("global", "zone") and channel not in session.channels):
                    raise RpcRefusal(-32003, "invalid state", {"state": "authenticated", "reason": "not_in_channel"})
                self.social.call(session, method, params)  # may refuse it
                self.chat.append((channel, params["text"]))
                return {
                    "message_id": await self._tell_channel(
                        channel, session.body.name, params["text"], f"usr_{session.user}"
                    )
                }
        result = self.social.call(session, method, params)
        if result is None:
            raise RpcRefusal(-32601, "method not found", {"method": method})
        return result

    async def _tell_channel(self, channel: str, name: str, text: str, sender: str, *, compressed: bool = False) -> str:
        said = self.social.say(channel, sender, name, text)
        joined = [f"usr_{s.user}" for s in self.sessions.values() if channel in s.channels]
        hearers = self.social.hearers(said, joined)
        for session in list(self.sessions.values()):
            if f"usr_{session.user}" not in hearers:
                continue
            message = session.number(notification("chat.message", said))
            if compressed:
                plain = wire.BatchMessage(messages=[message]).SerializeToString()
                batch = wire.BatchMessage(compressed=True, original_size=len(plain), payload=zlib.compress(plain))
                message = wire.WebSocketMessage(batch=batch)
            await self._send(session, message)
        return str(said["message_id"])

    async def _tell_news(self) -> None:
        """What people have to be told about each other."""
        news, self.social.news = self.social.news, []
        for user, method, params in news:
            for session in list(self.sessions.values()):
                if f"usr_{session.user}" == user:
                    await self._send(session, session.number(notification(method, params)))

    def _token_of(self, session: Session) -> Params:
        token = f"recovery.{next(self._ids)}"
        self._recovery[token] = session.session_id
        return {"token": token, "expires_in": 600}

    async def _send(self, session: Session, message: wire.WebSocketMessage) -> None:
        if session.socket is None:
            return
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it closed meanwhile; its reader sees to that
            await session.socket.send_bytes(message.SerializeToString())

    def _leave(self, session: Session) -> None:
        if session.body is not None:
            self.social.set_status(f"usr_{session.user}", zone=None)
            self.world.bodies.pop(session.body.number, None)
            session.body = None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--walkers", type=int, default=24)
    arguments = parser.parse_args()
    server = PlayServer(arguments.port, arguments.walkers)
    server.start()
    print(f"{server.url}/play/", flush=True)  # noqa: T201
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        server.stop()


if __name__ == "__main__":
    main()
