"""A WebSocket client that can break every rule, for tests of what a server does then (RFC 6455)."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NO_CLOSE_FRAME = 1006
DEADLINE_S = 10.0


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = True, reserved: int = 0) -> bytes:
    """One frame. `reserved`: the three reserved bits, RSV1 highest."""
    size, masked = len(payload), 0x80 if mask else 0
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    if size < 126:
        head += bytes([masked | size])
    elif size < 65_536:
        head += bytes([masked | 126]) + size.to_bytes(2, "big")
    else:
        head += bytes([masked | 127]) + size.to_bytes(8, "big")
    # A mask of zeroes is a mask, and leaves the payload readable.
    return head + (bytes(4) if mask else b"") + payload


def text(document: Any) -> bytes:
    """A text frame of JSON."""
    return frame(TEXT, orjson.dumps(document))


def close(code: int | None = 1000, reason: bytes = b"") -> bytes:
    return frame(CLOSE, b"" if code is None else code.to_bytes(2, "big") + reason)


@dataclass
class Answer:
    """The answer to an upgrade. `headers` have names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes = b""

    @property
    def problem(self) -> Any:
        assert self.headers["content-type"] == "application/problem+json"
        problem = orjson.loads(self.body)
        assert problem["status"] == self.status
        return problem


class Raw:
    """`answer` is what the upgrade was answered with; after a refusal there is nothing else to do."""

    answer: Answer

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def dial(cls, url: str, receive_buffer: int = 0, source: str = "") -> Self:
        """A TCP connection; `receive_buffer` bytes is what the kernel takes while nobody reads, `source` our own address."""
        parts = urlsplit(url)
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
            limit = 2 * (receive_buffer or 32_768)
            return cls(*await asyncio.open_connection(sock=sock, limit=limit))
        except BaseException:
            sock.close()
            raise

    @classmethod
    async def open(
        cls,
        url: str,
        token: str = "",
        subprotocol: str = "",
        receive_buffer: int = 0,
        source: str = "",
        **headers: Any,
    ) -> Self:
        """Ask for an upgrade. Header names have `_` for `-`; None leaves a usual one out."""
        raw = await cls.dial(url, receive_buffer, source)
        parts = urlsplit(url)
        fields: dict[str, str | None] = {
            "host": parts.netloc,
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-version": "13",
            "sec-websocket-key": base64.b64encode(os.urandom(16)).decode(),
            "authorization": f"Bearer {token}" if token else None,
            "sec-websocket-protocol": subprotocol or None,
        }
        fields |= {name.replace("_", "-"): value for name, value in headers.items()}
        target = parts.path + ("?" + parts.query if parts.query else "")
        head = f"GET {target} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields.items() if v is not None)
        raw.send(head.encode() + b"\r\n")
        try:
            await raw.answered()
        except BaseException:
            raw.abort()
            raise
        return raw

    async def answered(self) -> None:
        """Read an HTTP answer into `answer`."""
        async with asyncio.timeout(DEADLINE_S):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.answer = Answer(int(status.split()[1]), headers)
            if self.answer.status != 101:
                self.answer.body = await self._reader.readexactly(int(headers["content-length"]))
                if headers.get("connection") == "close":
                    assert await self._reader.read() == b""  # nothing follows, and the server hangs up
                self._writer.close()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def sent(self) -> None:
        """Until the kernel has everything."""
        await self._writer.drain()

    async def read(self) -> tuple[int, bytes]:
        """A frame's opcode and payload. Raises EOFError or ConnectionError when the connection ends."""
        async with asyncio.timeout(DEADLINE_S):
            first, second = await self._reader.readexactly(2)
            assert first & 0x80, "the server fragments nothing"
            assert not first & 0x70, "no extension was agreed on"
            assert not second & 0x80, "servers do not mask"
            size = second
            if size >= 126:
                size = int.from_bytes(await self._reader.readexactly(2 if size == 126 else 8), "big")
            return first & 0x0F, await self._reader.readexactly(size)

    async def answer_to(self, request_id: Any) -> Any:
        """The JSON answer with this id, alone or in a batch; whatever else comes is passed over."""
        while True:
            opcode, payload = await self.read()
            if opcode == TEXT:
                said = orjson.loads(payload)
                for one in said if isinstance(said, list) else [said]:
                    if "method" not in one and one.get("id") == request_id:
                        return one

    async def closed(self) -> int:
        """Read to the end. Returns the code of the close frame, 1006 if the connection ended without one."""
        code = NO_CLOSE_FRAME
        try:
            while True:
                opcode, payload = await self.read()
                if opcode == CLOSE:
                    code = int.from_bytes(payload[:2], "big")
                    self.send(frame(CLOSE, payload))
        except (EOFError, ConnectionError):
            self._writer.close()
            return code

    async def rest(self, patience_s: float) -> bytes:
        """What comes, whatever it is, until the server hangs up or we do."""
        got = b""
        try:
            async with asyncio.timeout(patience_s):
                while data := await self._reader.read(65_536):
                    got += data
        except (TimeoutError, ConnectionError):
            pass
        self.abort()
        return got

    def abort(self) -> None:
        """Gone without a word to the server but a reset."""
        self._writer.transport.abort()
