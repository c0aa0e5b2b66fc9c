"""What the realm relies on in libraries without their promise. Each fails here, first, when a library changes.

The libraries are pinned exactly in pyproject.toml; whoever raises a pin runs this, and reads what it says.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import logging
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import picows
import pytest
import ray
import ray.serve
import uvicorn
import uvicorn.config
import websockets
from nats.aio.client import Client
from nats.aio.transport import TcpTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from pydantic import SecretStr
from ray.serve._private import http_util
from ray.serve.config import HTTPOptions
from starlette.middleware import Middleware
from websockets.asyncio.client import connect

from cluster.adapters.nats_connection import Connection
from cluster.rayenv import RayFacts, local_flags, serve_flags
from cluster.settings import NatsSettings, Settings
from serve_apps.gateway import inward_app, picows_app
from serve_apps.gateway.edge import HealthGate
from serve_apps.gateway.upgrade import Refusal
from tests.servers import Nats

DEADLINE_S = 5.0
RAY = Path(ray.__file__).parent
PINS = ["ray[serve]", "picows", "uvicorn", "nats-py"]


def function(source: Path, name: str, within: str = "") -> ast.AST:
    """The function of this name in a file, or in a class of it."""
    tree: ast.AST = ast.parse(source.read_text())
    if within:
        tree = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == within)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return next(node for node in ast.walk(tree) if isinstance(node, kinds) and node.name == name)


def calls(tree: ast.AST, name: str) -> list[ast.Call]:
    return [n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func).split(".")[-1] == name]


@pytest.mark.parametrize("requirement", PINS)
def test_the_libraries_are_pinned_to_what_is_installed(requirement: str) -> None:
    version = metadata.version(requirement.partition("[")[0])
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    assert f'"{requirement}=={version}"' in pyproject.read_text()


class Upgrade(asyncio.Protocol):
    """In the place of the gateway's Doorman: remembers what uvicorn does, then lets picows take over, as Doorman does."""

    log: ClassVar[list[tuple[str, Any]]] = []

    def __init__(self, **arguments: object) -> None:
        self.log.append(("init", sorted(arguments)))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.log.append(("connection_made", transport.get_protocol() is self))
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self.log.append(("data_received", bytes(data)))
        asyncio.get_running_loop().call_soon(self._take_over, data)

    def _take_over(self, head: bytes) -> None:
        transport: Any = self._transport
        self.log.append(("protocol", transport.get_protocol() is self))
        response = picows.WSUpgradeResponse.create_101_response({"Sec-WebSocket-Protocol": "rayrealm.v1+json"})
        protocol = WSProtocol(
            None,
            None,
            False,
            lambda _request: picows.WSUpgradeResponseWithListener(response, Echo()),
            logging.LoggerAdapter(logging.getLogger("seam")),
            True,
            5,
            False,
            1.0,
            1.0,
            picows.WSAutoPingStrategy.PING_WHEN_IDLE,
            False,
            1024,
            None,
            2_048,
        )
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        buffer = protocol.get_buffer(len(head))
        buffer[: len(head)] = head
        protocol.buffer_updated(len(head))


class Echo(picows.WSListener):
    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        transport.underlying_transport.set_write_buffer_limits(high=4096, low=1024)

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        data = frame.get_payload_as_bytes()
        if data == b"close":
            transport.send_close(4001, b"why")  # type: ignore[arg-type]
            transport.disconnect()
        elif frame.msg_type in (picows.WSMsgType.TEXT, picows.WSMsgType.BINARY):
            transport.send(frame.msg_type, data)
        elif frame.msg_type == picows.WSMsgType.PING:
            transport.send_pong(data)
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


def join(address: str, **options: Any) -> connect:
    subprotocol = websockets.Subprotocol("rayrealm.v1+json")
    return connect(f"ws://{address}/ws?session=ses_1", subprotocols=[subprotocol], **options)


async def no_app(_scope: object, _receive: object, _send: object) -> None:
    raise AssertionError("an upgrade must not reach the ASGI app")


@pytest.fixture
async def address(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A uvicorn made with the arguments that Serve gives it (see the test of those), its upgrades going to Upgrade."""
    monkeypatch.setitem(uvicorn.config.WS_PROTOCOLS, "auto", f"{__name__}:Upgrade")
    Upgrade.log.clear()
    config = uvicorn.Config(
        lambda: no_app, factory=True, host="127.0.0.1", port=0, lifespan="off", access_log=False, log_config=None
    )
    server = uvicorn.Server(config)
    started, startup = asyncio.Event(), server.startup

    async def tell(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    monkeypatch.setattr(server, "startup", tell)
    monkeypatch.setattr(server, "install_signal_handlers", lambda: None, raising=False)
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(DEADLINE_S):
        await started.wait()
    yield f"127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    async with asyncio.timeout(2 * DEADLINE_S):
        await serving


class TestUvicorn:
    async def test_an_upgrade_makes_our_protocol_and_gives_it_the_whole_head(self, address: str) -> None:
        async with join(address, additional_headers={"X-Thing": "Value"}):
            pass
        assert [what for what, _ in Upgrade.log] == ["init", "connection_made", "data_received", "protocol"]
        facts = dict(Upgrade.log)
        assert facts["init"] == ["app_state", "config", "server_state"]
        assert facts["connection_made"] is False  # still uvicorn's own
        assert facts["protocol"] is True  # ours, once uvicorn's call has returned
        head = facts["data_received"]
        assert head.startswith(b"GET /ws?session=ses_1 HTTP/1.1\r\n")
        assert head.endswith(b"\r\n\r\n")
        assert b"\r\nx-thing: Value\r\n" in head

    def test_serve_leaves_the_choice_of_protocols_to_uvicorn(self) -> None:
        start = function(RAY / "serve/_private/http_util.py", "start_asgi_http_server")
        (config,) = calls(start, "Config")
        given = {keyword.arg for keyword in config.keywords if keyword.arg}
        assert {"factory", "host", "port", "lifespan"} <= given
        assert given.isdisjoint({"http", "ws", "ws_max_size", "ws_ping_interval"})
        assert uvicorn.Config(no_app).ws == "auto"


class TestPicows:
    async def test_it_takes_the_connection_over(self, address: str) -> None:
        async with join(address) as ws:
            assert ws.subprotocol == "rayrealm.v1+json"
            async with asyncio.timeout(DEADLINE_S):
                await ws.send("text")
                assert await ws.recv() == "text"
                await ws.send(b"binary")
                assert await ws.recv() == b"binary"
                await (await ws.ping(b"x"))

    async def test_any_close_code_can_be_sent(self, address: str) -> None:
        async with join(address) as ws, asyncio.timeout(DEADLINE_S):
            await ws.send("close")
            await ws.wait_closed()
        assert (ws.close_code, ws.close_reason) == (4001, "why")

    async def test_the_frame_size_is_capped(self, address: str) -> None:
        async with join(address) as ws, asyncio.timeout(DEADLINE_S):
            await ws.send(b"x" * 1025)
            await ws.wait_closed()
        assert ws.close_code == 1009

    def test_the_protocols_arguments_in_their_order(self) -> None:
        """Compiled code tells no names; the source is in the package."""
        source = (Path(picows.__file__).parent / "picows.pyx").read_text()
        found = re.search(r"cdef class WSProtocol\(.*?def __init__\(self,(.*?)\):", source, re.DOTALL)
        assert found is not None
        assert [argument.split()[-1] for argument in found[1].split(",")] == [
            "host_port",
            "ws_path",
            "is_client_side",
            "ws_listener_factory",
            "logger",
            "disconnect_on_exception",
            "websocket_handshake_timeout",
            "enable_auto_ping",
            "auto_ping_idle_timeout",
            "auto_ping_reply_timeout",
            "auto_ping_strategy",
            "enable_auto_pong",
            "max_frame_size",
            "extra_headers",
            "read_buffer_init_size",
        ]

    def test_back_pressure_reaches_the_listener(self) -> None:
        for name in ("pause_writing", "resume_writing", "on_ws_connected", "on_ws_frame", "on_ws_disconnected"):
            assert callable(getattr(picows.WSListener, name))


class TestServe:
    def test_the_callback_runs_and_its_middleware_is_used(self, monkeypatch: pytest.MonkeyPatch) -> None:
        was = uvicorn.config.WS_PROTOCOLS["auto"]
        monkeypatch.setitem(uvicorn.config.WS_PROTOCOLS, "auto", was)
        name = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
        monkeypatch.setattr(http_util, name, "serve_apps.gateway.picows_app:install")
        options = http_util.configure_http_middlewares(http_util.configure_http_options_with_defaults(HTTPOptions()))
        assert [middleware.cls for middleware in options.middlewares] == [HealthGate]
        assert uvicorn.config.WS_PROTOCOLS["auto"] == "serve_apps.gateway.picows_app:Doorman"

    async def test_the_middleware_stands_before_serves_own_health_check(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A replica answers /-/healthz in the app that it gives to `start_asgi_http_server`, which wraps it."""
        source = (RAY / "serve/_private/replica.py").read_text()
        assert "configure_http_middlewares(" in source.partition("async def start_http_server(port):")[2][:300]
        assert "self._direct_ingress_asgi,\n                    options," in source
        assert (
            'if route in ["/-/healthz", "/-/routes"]:' in source.partition("async def _direct_ingress_asgi(")[2][:2_000]
        )
        full = Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "full", "")
        wrap: Any = http_util._apply_middlewares
        app = wrap(None, [Middleware(HealthGate, room=lambda: full)])
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        await app({"type": "http", "path": "/-/healthz", "headers": []}, None, send)
        assert sent[0]["status"] == 503

    def test_a_replica_runs_the_callback_before_it_builds_its_server(self) -> None:
        tree = ast.parse((RAY / "serve/_private/replica.py").read_text())
        lines = [
            (calls(node, "configure_http_middlewares")[0].lineno, calls(node, "start_asgi_http_server")[0].lineno)
            for node in ast.walk(tree)
            if isinstance(node, ast.AsyncFunctionDef)
            and calls(node, "configure_http_middlewares")
            and calls(node, "start_asgi_http_server")
        ]
        assert lines
        assert all(callback < server for callback, server in lines)

    def test_a_replica_knows_whose_it_is_before_the_callback_runs(self) -> None:
        """picows_app.install leaves WebSockets to uvicorn in the console's replica (inward_app.application)."""
        tree = function(RAY / "serve/_private/replica.py", "__init__", "Replica")
        assert calls(tree, "_set_internal_replica_context")
        context = function(RAY / "serve/context.py", "app_name", "ReplicaContext")
        assert isinstance(context, ast.FunctionDef)

    @pytest.mark.parametrize(
        ("application", "ours"), [("gateway", True), ("web", True), ("", True), ("console", False)]
    )
    def test_the_consoles_replica_keeps_uvicorns_websockets(
        self, application: str, ours: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = uvicorn.config.WS_PROTOCOLS["auto"]
        monkeypatch.setitem(
            uvicorn.config.WS_PROTOCOLS, "auto", "uvicorn.protocols.websockets.auto:AutoWebSocketsProtocol"
        )
        monkeypatch.setattr(inward_app, "application", lambda: application)
        picows_app.install()
        assert (uvicorn.config.WS_PROTOCOLS["auto"] == "serve_apps.gateway.picows_app:Doorman") == ours
        uvicorn.config.WS_PROTOCOLS["auto"] = before

    def test_uvicorns_own_websockets_are_there(self) -> None:
        config = uvicorn.Config(no_app, ws="websockets-sansio")
        config.load()
        assert config.ws_protocol_class.__name__ == "WebSocketsSansIOProtocol"

    def test_every_flag_that_the_launcher_sets_is_read_by_ray(self, tmp_path: Path) -> None:
        facts = RayFacts(2, tmp_path, tmp_path / "token", tmp_path / "haproxy", (1, 2, 3))
        flags = serve_flags(Settings(), 20_000, "a:b") | local_flags(Settings(), facts)
        folders = (RAY / "serve/_private", RAY / "_private", RAY / "_common/usage")
        sources = "".join(file.read_text() for folder in folders for file in folder.rglob("*.py"))
        sources += Path(uvicorn.config.__file__).read_text()
        core = (RAY / "_raylet.so").read_bytes()  # the core's own settings are RAY_<name> for each <name> in it
        unread = [
            name
            for name in flags
            if f'"{name}"' not in sources and name.removeprefix("RAY_").encode() + b"\0" not in core
        ]
        assert unread == []

    @pytest.mark.parametrize(
        "name",
        [
            "RAY_SERVE_ENABLE_HA_PROXY",
            "RAY_SERVE_HAPROXY_MAXCONN",
            "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S",
            "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH",
            "RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD",
        ],
    )
    def test_the_flags_that_carry_the_design_are_constants_of_serve(self, name: str) -> None:
        constants = (RAY / "serve/_private/constants.py").read_text()
        assert re.search(rf'^{name} = .*?"{name}"', constants, re.MULTILINE | re.DOTALL)


class TestNats:
    """What cluster/adapters/nats_connection.py overrides, reads and ends; tests/contract/test_bus.py shows that it works."""

    @pytest.mark.parametrize(
        ("method", "parameters"),
        [
            ("_process_msg", ["self", "sid", "subject", "reply", "data", "headers"]),
            ("_process_op_err", ["self", "e"]),
            ("_process_err", ["self", "err_msg"]),
        ],
    )
    def test_what_is_overridden(self, method: str, parameters: list[str]) -> None:
        original = getattr(Client, method)
        assert inspect.iscoroutinefunction(original)
        assert list(inspect.signature(original).parameters) == parameters

    async def test_what_is_read(self, nats_server: Nats, namespace: str) -> None:
        settings = NatsSettings(url=SecretStr(nats_server.url), token=SecretStr(nats_server.token))
        connection = Connection(lambda _connection, _error: None)
        await connection.open(settings, "seam")
        tasks = [connection._reading_task, connection._flusher_task, connection._ping_interval_task]
        assert all(isinstance(task, asyncio.Task) and not task.done() for task in tasks)
        assert isinstance(connection._transport, TcpTransport)
        assert connection._transport._io_writer is not None
        socket = connection._transport._io_writer.transport
        subscription = await connection.listen(f"{namespace}.a", lambda *_: None)
        assert isinstance(subscription._id, int)

        connection.discard()
        async with asyncio.timeout(DEADLINE_S):
            await asyncio.gather(*(task for task in tasks if task), return_exceptions=True)
        assert socket.is_closing()

    async def test_publish_waits_for_nothing_while_its_buffer_has_room(self, nats_server: Nats) -> None:
        settings = NatsSettings(url=SecretStr(nats_server.url), token=SecretStr(nats_server.token))
        connection = Connection(lambda _connection, _error: None)
        await connection.open(settings, "seam")
        for _ in range(10):
            sending = connection.publish("seam.nobody", bytes(1024 * 1024))
            with pytest.raises(StopIteration):
                sending.send(None)
        assert connection.pending_data_size > 10 * 1024 * 1024
        connection.discard()


def test_serves_port_for_replicas_can_be_kept_inward() -> None:
    """serve_apps/gateway/inward_app.py: bound through a name of the module, after our callback, told by node address."""
    from ray.serve._private import replica

    started = inspect.getsource(replica.Replica._on_initialized)
    assert started.index("_maybe_start_direct_ingress_servers()") < started.index(
        'add_port_to_grpc_server(self._server, "[::]:0")'
    )
    bound: list[str] = []

    class Module:
        add_port_to_grpc_server = staticmethod(lambda server, place: bound.append(place))

    inward_app.inward(Module, "127.0.0.1")
    Module.add_port_to_grpc_server(None, "[::]:0")
    assert bound == ["127.0.0.1:0"]
    assert callable(replica.add_port_to_grpc_server)
    assert replica.__name__ == inward_app.REPLICA
