"""Questions and orders to a HAProxy process, through its admin socket (its management guide, section 9.3)."""

from __future__ import annotations

import os
import socket
import stat
import time
from pathlib import Path

ANSWER_DEADLINE_S = 5.0
ANSWER_LIMIT = 64 * 1024
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
OTHERS = stat.S_IRWXG | stat.S_IRWXO


class NotOursError(OSError):
    """Somebody else may have put this socket there: it gets no private key, and nobody believes what it says."""


def ask(admin: Path, command: str, deadline_s: float = ANSWER_DEADLINE_S) -> str:
    """What HAProxy answers to a command, all of it within `deadline_s`. Raises OSError, NotOursError."""
    until = time.monotonic() + deadline_s
    ours(admin)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_left(until))
        connection.connect(str(admin))
        connection.settimeout(_left(until))
        connection.sendall(command.encode())
        connection.shutdown(socket.SHUT_WR)
        said = bytearray()
        while len(said) < ANSWER_LIMIT:
            connection.settimeout(_left(until))
            more = connection.recv(8_192)
            if not more:
                break
            said += more
    return said.decode(errors="replace")


def ours(admin: Path) -> None:
    """Raises NotOursError unless the socket is this user's, and none but root could have put another there; OSError."""
    me, status, problem = os.geteuid(), admin.lstat(), ""
    if not stat.S_ISSOCK(status.st_mode) or status.st_uid != me:
        raise NotOursError(f"{admin} is no socket of this user's: HAProxy takes orders from whoever runs it")
    inside = admin.resolve()
    for folder in inside.parents:
        found = folder.stat()
        if found.st_uid == me and not found.st_mode & OTHERS:
            return  # nobody else gets in here
        # What is in a sticky folder is moved by its own owner alone.
        kept = found.st_mode & stat.S_ISVTX and folder != inside.parent
        if found.st_uid not in (me, 0) or (found.st_mode & OTHERS_WRITE and not kept):
            problem = problem or f"others may write to {folder}: {admin} could be anybody's"
    if problem:
        raise NotOursError(problem)


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("HAProxy does not answer in time")
    return left
