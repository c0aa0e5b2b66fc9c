"""Rules of the repository that no other tool checks."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys

import pytest

NOWHERE = ("127.0.0.1", 9)


class TestUnitTestsStayInside:
    """The guard in conftest.py: without it a unit test could depend on a server and nobody would know."""

    def test_sockets_are_refused(self, forbidden_attempts: list[str]) -> None:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            for attempt in (
                lambda: tcp.connect(NOWHERE),
                lambda: tcp.bind(("127.0.0.1", 0)),
                lambda: udp.sendto(b"", NOWHERE),
            ):
                with pytest.raises(Exception, match=r"^socket\."):
                    attempt()
        assert len(forbidden_attempts) == 3
        forbidden_attempts.clear()

    def test_processes_are_refused(self, forbidden_attempts: list[str]) -> None:
        with pytest.raises(Exception, match=r"^subprocess\.Popen"):
            subprocess.run([sys.executable, "-c", ""], check=False)
        assert len(forbidden_attempts) == 1
        forbidden_attempts.clear()

    async def test_a_swallowed_attempt_is_still_known(self, forbidden_attempts: list[str]) -> None:
        results = await asyncio.gather(asyncio.open_connection(*NOWHERE), return_exceptions=True)
        assert isinstance(results[0], Exception)
        assert len(forbidden_attempts) == 1
        forbidden_attempts.clear()

    def test_a_fresh_event_loop_works(self) -> None:
        async def echo() -> bytes:
            left, right = socket.socketpair()
            with left, right:
                left.setblocking(False)
                right.setblocking(False)
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(left, b"inside")
                return await loop.sock_recv(right, 16)

        assert asyncio.run(echo()) == b"inside"
