"""A realm in one process that speaks the real protocol: enough to try a client against, and to break at will.

HTTP and WebSocket share a port, as in a realm: a small HTTP server in front hands `/ws` on, byte for byte, to
a `websockets` server. Messages are made with the schema and `json`, not with the client's codec.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from google.protobuf import json_format, struct_pb2
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from realm_proto import realtime_pb2 as pb
from tests.integration.mock_accounts import MockAccounts
from tests.integration.mock_frames import encode, join, view_params
from tests.integration.mock_sessions import Attach, MockSessions, Refusal, Session

BOUNDS = {"min_x": 0.0, "min_z": 0.0, "max_x": 200.0, "max_z": 200.0}
LAND = BOUNDS | {"max_x": 400.0}
DEADLINE_S = 5.0
RECOVERY_PREFIX = "rayrealm.recovery."


class MockRealm:
    """`async with MockRealm() as realm:`, then `realm.url`. Everything it was told is in its attributes."""

    def __init__(self) -> None:
        self.accounts = MockAccounts()
        self.known = MockSessions()
        self.sessions = self.known.of
        self.calls: list[tuple[str, Any]] = []
        self.moves: list[tuple[int, float, float, float]] = []
        self.upgrades: list[dict[str, Any]] = []
        self.refusals: list[Refusal] = []  # of the next upgrades
        self.failures: dict[str, list[tuple[int, dict[str, Any]]]] = {}  # of the next calls of a method
        self.answers: dict[str, dict[str, Any]] = {}  # of methods that the mock does not know
        self.silent: set[str] = set()  # methods that are never answered
        self.slow: dict[str, float] = {}  # methods whose answer takes so many seconds
        self.break_after_upgrade = 0  # so many sockets break before they hear anything
        self.cut_instead: set[str] = set()  # methods whose next call is done, and not answered: every socket breaks
        self.said: dict[str, str] = {}  # client_id of a chat message -> its id
        self.degraded: list[str] = []
        self.joins = False  # `session.ready` and what was missed come as one batch
        self.judges = False  # each move is acknowledged by a view
        self._count = itertools.count(1)
        self._granted: dict[ServerConnection, Attach] = {}
        self._relays: set[asyncio.StreamWriter] = set()
        self._inner: Server | None = None
        self._front: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._inner = await serve(
            self._talk,
            "127.0.0.1",
            0,
            process_request=self._judge,
            subprotocols=[Subprotocol("rayrealm.v1+proto"), Subprotocol("rayrealm.v1+json")],
            compression=None,
            ping_interval=None,
        )
        self._inner_port = next(iter(self._inner.sockets)).getsockname()[1]
        await self.listen(0)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.stop_listening()
        self.cut()
        assert self._inner is not None
        self._inner.close()
        await self._inner.wait_closed()

    async def listen(self, port: int) -> None:
        self._front = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._front.sockets[0].getsockname()[1]}"

    async def stop_listening(self) -> int:
        """New connections are refused by the system. Returns the port."""
        assert self._front is not None
        port = int(self.url.rpartition(":")[2])
        self._front.close()
        return port

    # --- what a test does to it --------------------------------------------------------------------------

    def cut(self) -> None:
        """Every socket breaks without a close frame."""
        for writer in self._relays:
            writer.transport.abort()

    async def close_all(self, code: int, reason: str = "") -> None:
        for session in list(self.sessions.values()):
            if session.socket is not None:
                await session.socket.close(code, reason)

    def only(self) -> Session:
        (session,) = self.sessions.values()
        return session

    async def see(self, frame: pb.ViewFrame, session: Session | None = None) -> None:
        """Send a view."""
        to = session or self.only()
        assert to.socket is not None
        if to.socket.subprotocol == "rayrealm.v1+proto":
            await to.socket.send(pb.WebSocketMessage(view=frame).SerializeToString())
            return
        await to.socket.send(json.dumps({"jsonrpc": "2.0", "method": "world.view", "params": view_params(frame)}))

    async def notify(self, method: str, params: dict[str, Any]) -> None:
        for session in self.sessions.values():
            await self.send_to(session, method, params)

    async def send_to(self, session: Session, method: str, params: dict[str, Any]) -> None:
        if session.socket is not None:
            await self._send(session.socket, method=method, params=params)

    async def number(self, method: str, params: dict[str, Any], session: Session | None = None) -> int:
        """A reliable notification: numbered, kept, and sent if there is a socket."""
        to = session or self.only()
        seq = to.number_one(method, params)
        await self.repeat(seq, to)
        return seq

    async def repeat(self, seq: int, session: Session | None = None) -> None:
        """Send a number that is kept once more."""
        to = session or self.only()
        method, params = to.kept[seq]
        if to.socket is not None:
            await self._send(to.socket, method=method, params=params, seq=seq)

    def recovery_of(self, session: Session) -> dict[str, Any]:
        return {"token": self.known.token(session), "expires_in": 600}

    # --- HTTP --------------------------------------------------------------------------------------------

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(DEADLINE_S):
                head = await reader.readuntil(b"\r\n\r\n")
            line, *lines = head.decode().split("\r\n")
            method, target, _ = line.split(" ")
            if urlsplit(target).path == "/ws":
                await self._relay(head, reader, writer)
                return
            headers = dict(part.lower().split(": ", 1) for part in lines if part)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            status, answer = self.accounts.answer(method, target, headers, json.loads(body) if body else {})
            text = b"" if answer is None else json.dumps(answer).encode()
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                b"Connection: close\r\n\r\n%s" % (status, len(text), text)
            )
            await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        finally:
            writer.close()

    async def _relay(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._inner_port)
        inner_writer.write(head)
        self._relays |= {writer, inner_writer}

        async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65_536):
                    sink.write(data)
                    await sink.drain()
            sink.close()

        try:
            await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))
        finally:
            self._relays -= {writer, inner_writer}

    # --- WebSocket ---------------------------------------------------------------------------------------

    def _judge(self, socket: ServerConnection, request: Request) -> Response | None:
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        query = parse_qs(urlsplit(request.path).query)
        offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        recovery = [name.removeprefix(RECOVERY_PREFIX) for name in offered if name.startswith(RECOVERY_PREFIX)]
        upgrade: dict[str, Any] = {name: query.get(name, [None])[0] for name in ("session", "last")}
        upgrade |= {"token": token or None, "recovery": recovery[0] if recovery else None, "query": dict(query)}
        upgrade["extensions"] = request.headers.get("Sec-WebSocket-Extensions")
        self.upgrades.append(upgrade)
        if self.refusals:
            refusal = self.refusals.pop(0)
        else:
            user = self.accounts.tokens.get(token)
            granted = self.known.attach(user, upgrade["recovery"], upgrade["session"], upgrade["last"])
            if isinstance(granted, Attach):
                self._granted[socket] = granted
                return None
            refusal = granted
        headers = Headers({"Content-Type": "application/problem+json"})
        if refusal.retry_after is not None:
            headers["Retry-After"] = refusal.retry_after
        text = json.dumps({"status": refusal.status, "reason": refusal.reason}).encode()
        headers["Content-Length"] = str(len(text))
        return Response(refusal.status, "X", headers, text)

    async def _talk(self, socket: ServerConnection) -> None:
        granted = self._granted.pop(socket)
        session = granted.session
        if self.break_after_upgrade:
            self.break_after_upgrade -= 1
            self.cut()
            return
        session.socket = socket
        missed = None if granted.seen is None else session.missed_after(granted.seen)
        try:
            ready = self._ready(session, granted.resumed)
            if missed is not None:
                ready |= {"recovered": True, "seq": granted.seen}
            told = [encode(str(socket.subprotocol), method="session.ready", params=ready)]
            for seq in missed or ():
                method, params = session.kept[seq]
                told.append(encode(str(socket.subprotocol), method=method, params=params, seq=seq))
            for frame in [join(told)] if self.joins and missed else told:
                await socket.send(frame)
            async for frame in socket:
                await self._hear(session, socket, frame)
        except ConnectionClosed:
            pass
        finally:
            if session.socket is socket:
                session.socket = None

    def _ready(self, session: Session, resumed: bool) -> dict[str, Any]:
        limits = {"max_frame_bytes": 65_536, "max_pending_requests": 4, "max_subscriptions": 64}
        ready = {"session_id": session.session_id, "user_id": session.user_id, "resumed": resumed}
        ready |= {"recovered": False, "stream": session.stream, "seq": session.seq, "degraded": self.degraded}
        topics = sorted(session.topics) + [f"chat:{channel}" for channel in sorted(session.channels)]
        ready |= {"recovery": self.recovery_of(session), "topics": topics}
        world = self._world(session) if session.character_id else None
        state = "in_world" if world else "authenticated"
        return ready | {"state": state, "realm": "mock", "protocol": 1, "limits": limits, "world": world}

    def _world(self, session: Session) -> dict[str, Any]:
        x, y, z = session.place
        world: dict[str, Any] = {"zone": "zon_mock", "bounds": BOUNDS, "entity_id": f"ent_{session.number}"}
        world |= {"land": LAND}
        world |= {"number": session.number, "position": {"x": x, "y": y, "z": z}, "yaw": 0.0}
        world |= {"tick_hz": 20.0, "interest_radius": 50.0, "max_speed": 8.0, "name": "Mock"}
        return world | {"character_id": session.character_id, "sequence": session.sequence}

    def _entity(self, session: Session) -> dict[str, Any]:
        x, y, z = session.place
        entity: dict[str, Any] = {
            "number": session.number,
            "entity_id": f"ent_{session.number}",
            "entity_type": "player",
        }
        entity |= {"name": "Mock", "version": 1, "properties": {"hp": 5}, "link_dead": False}
        return entity | {"position": {"x": x, "y": y, "z": z}, "yaw": 0.0, "sequence": session.sequence}

    async def _hear(self, session: Session, socket: ServerConnection, frame: str | bytes) -> None:
        session.opened_by = 0
        if isinstance(frame, str):
            message = json.loads(frame)
            id_, method, params = message.get("id"), message["method"], message.get("params", {})
            if method == "world.position.update":
                place = params["position"]
                await self._moved(session, params["sequence"], place["x"], place["y"], place["z"])
                return
        else:
            parsed = pb.WebSocketMessage.FromString(frame)
            if parsed.WhichOneof("message_type") == "move":
                place = parsed.move.position
                await self._moved(session, parsed.move.sequence, place.x, place.y, place.z)
                return
            assert parsed.jsonrpc == "2.0"
            which = parsed.WhichOneof("id_type")
            id_ = getattr(parsed, which) if which else None
            call = parsed.request if parsed.HasField("request") else parsed.notification
            holder = struct_pb2.Struct()
            assert not call.HasField("params") or call.params.Unpack(holder)
            method, params = call.method, json_format.MessageToDict(holder)
        self.calls.append((method, params))
        if method == "session.ack":
            session.ack(int(params["seq"]))
        if id_ is None or method in self.silent:
            return
        if self.failures.get(method):
            code, data = self.failures[method].pop(0)
            await self._send(socket, id_=id_, error={"code": code, "message": "mock", "data": data})
            return
        result = self._answer(session, method, params)
        if result is None:
            error = {"code": -32601, "message": "method not found", "data": {"method": method}}
            await self._send(socket, id_=id_, error=error)
            return
        if method in self.cut_instead:
            self.cut_instead.remove(method)
            self.cut()
            return
        await asyncio.sleep(self.slow.get(method, 0.0))
        await self._send(socket, id_=id_, result=result)

    async def _moved(self, session: Session, sequence: int, x: float, y: float, z: float) -> None:
        session.sequence, session.place = sequence, (x, y, z)
        self.moves.append((sequence, x, y, z))
        if self.judges:
            await self.see(pb.ViewFrame(tick=sequence, ack=sequence), session)

    def _answer(self, session: Session, method: str, params: dict[str, Any]) -> dict[str, Any] | None:
        match method:
            case "system.ping":
                return {"echo": params.get("echo"), "server_time": 1.0}
            case "system.info":
                return self._ready(session, True)
            case "system.subscribe":
                session.topics |= set(params["topics"])
                return {"topics": sorted(session.topics)}
            case "system.unsubscribe":
                session.topics -= set(params["topics"])
                return {"topics": sorted(session.topics)}
            case "world.zones":
                zone = {"zone": "zon_mock", "name": "Mock", "bounds": BOUNDS, "population": 1}
                return {"zones": [zone]}
            case "world.enter":
                session.character_id, session.number = params["character_id"], next(self._count)
                return self._world(session)
            case "world.leave":
                session.character_id = None
                return {}
            case "state.sync.request":
                return {"tick": 7, "zone": "zon_mock", "entities": [self._entity(session)]}
            case "state.sync.delta":
                return {"version": params["version"] + 1}
            case "game.message":
                return {"result": {"heard": params["data"]}, "tick": params.get("tick", 7)}
            case "presence.update":
                session.status = params["status"]
                return {"status": session.status}
            case "presence.subscribe":
                session.watched |= set(params["user_ids"])
                offline = {"status": "offline", "zone": None, "character_id": None}
                return {"presences": [{"user_id": user} | offline for user in params["user_ids"]]}
            case "presence.unsubscribe":
                session.watched -= set(params["user_ids"])
                return {"watching": len(session.watched)}
            case "chat.channel.join":
                session.channels.add(params["channel"])
                return {"channels": sorted(session.channels)}
            case "chat.channel.leave":
                session.channels.discard(params["channel"])
                return {"channels": sorted(session.channels)}
            case "chat.message":
                made = f"msg_{len(self.said) + 1}"
                return {"message_id": self.said.setdefault(params["client_id"], made)}
            case "session.attribute.set":
                session.attributes[params["name"]] = params["value"]
                if params["value"] is None:
                    del session.attributes[params["name"]]
                return {"attributes": session.attributes}
            case "session.attribute.list":
                return {"attributes": session.attributes}
        return self.answers.get(method)

    async def _send(self, socket: ServerConnection, **said: Any) -> None:
        """`said`: see mock_frames.encode."""
        await socket.send(encode(str(socket.subprotocol), **said))
