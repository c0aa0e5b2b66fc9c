"""Looks for bytes in the memory of processes and in files: for tests of what a server must never hold. Linux, as the owner."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import psutil

CHUNK = 16 * 1024 * 1024
_MAPPING = re.compile(r"([0-9a-f]+)-([0-9a-f]+) (....) \S+ \S+ (\d+)\s*(.*)")


def forms(secret: bytes) -> list[bytes]:
    """How the bytes may lie in memory: as they are, and inside base64 of either alphabet, wherever they begin in it."""
    found = [secret]
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + secret)
        # What the bytes before and after have no part in.
        whole = encoded[-(-before * 8 // 6) : (before + len(secret)) * 8 // 6]
        found += [whole, whole.translate(bytes.maketrans(b"+/", b"-_"))]
    return list(dict.fromkeys(found))


def found_in_memory(pids: Iterable[int], needles: Mapping[str, bytes]) -> dict[str, set[str]]:
    """name of a needle -> names of the processes in whose memory it is. A process that has ended holds nothing."""
    found: dict[str, set[str]] = {}
    for pid in pids:
        try:
            name = f"{psutil.Process(pid).name()}/{pid}"
            for chunk in _memory(pid):
                for needle in _in(chunk, needles):
                    found.setdefault(needle, set()).add(name)
        except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            continue
    return found


def found_in_files(folder: Path, needles: Mapping[str, bytes]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*"):
        if path.is_file():
            for needle in _in(path.read_bytes(), needles):
                found.setdefault(needle, set()).add(str(path.relative_to(folder)))
    return found


def processes_with(name: str, value: str) -> list[int]:
    """Those whose environment has the variable: all that a command with it has started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value:
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def _in(chunk: bytes, needles: Mapping[str, bytes]) -> list[str]:
    return [name for name, needle in needles.items() if needle in chunk]


def _memory(pid: int) -> Iterator[bytes]:
    """All that the process may have written: its private memory, and the parts of shared memory that anybody has written."""
    with Path(f"/proc/{pid}/maps").open() as maps:
        mappings = [match.groups() for line in maps if (match := _MAPPING.match(line))]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for first, last, perms, inode, path in mappings:
            if "r" not in perms or path in ("[vvar]", "[vvar_vclock]", "[vsyscall]"):
                continue
            if perms[3] == "s" and inode != "0":
                yield from _written(Path(f"/proc/{pid}/map_files/{first}-{last}"))
            elif "w" in perms or inode == "0":
                yield from _region(memory.fileno(), int(first, 16), int(last, 16))


def _region(file: int, first: int, last: int, overlap: int = 1_024) -> Iterator[bytes]:
    at = first
    while at < last:
        try:
            chunk = os.pread(file, min(CHUNK, last - at), at)
        except OSError:  # given back meanwhile, or a guard page
            return
        if not chunk:
            return
        yield chunk
        if at + len(chunk) >= last:
            return
        at += max(1, len(chunk) - overlap)


def _written(path: Path) -> Iterator[bytes]:
    """A shared file without its holes: reading these would make them memory."""
    try:
        file = os.open(path, os.O_RDONLY)
    except OSError:  # no regular file
        return
    try:
        size, at = os.fstat(file).st_size, 0
        while at < size:
            at = os.lseek(file, at, os.SEEK_DATA)
            end = os.lseek(file, at, os.SEEK_HOLE)
            yield from _region(file, at, end)
            at = end
    except OSError:  # no data from here on, or a device
        return
    finally:
        os.close(file)
