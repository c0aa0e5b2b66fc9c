"""Admin sockets that are not HAProxy's, or whose HAProxy does not answer: nobody waits for them, and they get no key (row 6.1)."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from cluster.edge.counted import EdgeRefusals, refusals
from cluster.edge.orders import Orders
from cluster.edge.renew import SOCKET_PATH, renew
from cluster.security.certificates import ensure_local, local_files

ROW = b"0x1: key=too_fast use=0 exp=0 shard=0 gpc0=3\n"
DEADLINE_S = 5.0


class Impostor:
    """Listens at `path`, says ROW after as many bytes of nothing as `drips`, and keeps what it is told."""

    def __init__(self, path: Path, drips: int = 0) -> None:
        self.told = b""
        self.drips = drips
        self._stopping = threading.Event()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._listener.settimeout(0.05)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        try:
            while more := connection.recv(8_192):
                self.told += more
            for _ in range(self.drips):
                if self._stopping.wait(0.05):
                    return
                connection.sendall(b"\n")
            connection.sendall(ROW)
        except ConnectionError:
            pass  # whoever asked has gone


@pytest.fixture
def folder() -> Iterator[Path]:
    """As Ray makes one for its node, with its default umask: not writable for others, and not closed to them."""
    with tempfile.TemporaryDirectory(prefix="rr-") as made:
        node = Path(made) / "node"
        node.mkdir()
        for each in (node, node.parent):
            each.chmod(0o755)
        yield node


@pytest.fixture
def impostor(folder: Path) -> Iterator[Impostor]:
    with closing(Impostor(folder / "admin.sock")) as made:
        yield made


def test_a_socket_that_drips_is_given_up(folder: Path, impostor: Impostor) -> None:
    assert refusals(folder / "admin.sock") == {"too_fast": 3}
    impostor.drips = 60
    began = time.monotonic()
    assert refusals(folder / "admin.sock") == {}
    assert time.monotonic() - began < 1.0


def sample(registry: CollectorRegistry) -> float | None:
    return registry.get_sample_value("rayrealm_edge_refused_total", {"reason": "too_fast"})


def test_the_metrics_do_not_wait_for_it(folder: Path, impostor: Impostor) -> None:
    """They are collected in the event loop of the web application."""
    registry = CollectorRegistry()
    registry.register(EdgeRefusals({SOCKET_PATH: str(folder.parent / "admin.sock")}))
    until = time.monotonic() + DEADLINE_S
    while sample(registry) != 3.0:
        assert time.monotonic() < until
    impostor.drips = 60
    taken = []
    for _ in range(5):
        began = time.monotonic()
        sample(registry)
        taken.append(time.monotonic() - began)
    assert sorted(taken)[2] < 0.15, "of a look that takes four times as long"
    impostor.drips = 0
    until = time.monotonic() + DEADLINE_S
    while sample(registry) != 3.0:
        assert time.monotonic() < until


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    ensure_local(tmp_path, [], time.time())
    files = local_files(tmp_path)
    told = tmp_path / "edge.json"
    Orders(secret="a-secret-of-this-test-only", certificate=str(files.certificate), key=str(files.key)).write(told)
    return told


def given(orders: Path, folder: Path) -> str:
    return renew(orders, {SOCKET_PATH: str(folder.parent / "admin.sock")})


def test_what_answers_in_a_folder_of_ours_gets_the_key(orders: Path, folder: Path, impostor: Impostor) -> None:
    assert "HAProxy refuses the certificate" in given(orders, folder)
    assert b"PRIVATE KEY" in impostor.told


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777, 0o1777])
def test_what_others_may_have_put_there_gets_no_key(orders: Path, folder: Path, impostor: Impostor, mode: int) -> None:
    folder.chmod(mode)
    refused(orders, folder, impostor)


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_nor_where_others_may_put_another_folder(orders: Path, folder: Path, impostor: Impostor, mode: int) -> None:
    folder.parent.chmod(mode)
    refused(orders, folder, impostor)


def refused(orders: Path, folder: Path, impostor: Impostor) -> None:
    assert "others may write to" in given(orders, folder)
    assert refusals(folder / "admin.sock") == {}
    assert impostor.told == b""
    assert not (folder / "edge.pem").exists()


def test_a_sticky_folder_keeps_what_is_ours(orders: Path, folder: Path, impostor: Impostor) -> None:
    """As /tmp."""
    folder.parent.chmod(0o1777)
    assert "HAProxy refuses the certificate" in given(orders, folder)
    assert b"PRIVATE KEY" in impostor.told


def test_a_socket_of_somebody_elses_gets_no_key(
    orders: Path, folder: Path, impostor: Impostor, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    assert "is no socket of this user's" in given(orders, folder)
    assert impostor.told == b""


def test_where_nobody_else_gets_in_the_folders_inside_do_not_matter(
    orders: Path, folder: Path, impostor: Impostor
) -> None:
    """With a umask of 002 Ray's folders are open to the group."""
    folder.chmod(0o775)
    folder.parent.chmod(0o700)
    assert "HAProxy refuses the certificate" in given(orders, folder)
    assert b"PRIVATE KEY" in impostor.told
