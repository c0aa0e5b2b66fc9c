"""A backup as a file: a ZIP archive (PKWARE APPNOTE 6.3) with `manifest.json`, `entries.jsonl` and the realm's own secrets.

Values are kept by their type, not as a server's own dump, so that they can be brought to another server of another version.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import zipfile
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from math import isnan
from pathlib import Path
from typing import Any, Literal, get_args

import orjson

from cluster.errors import StartRefused

FORMAT = 1
MANIFEST, ENTRIES, SECRETS = "manifest.json", "entries.jsonl", "secrets/"
MOST_SECRET_BYTES = 1024 * 1024
LONGEST_LINE = 1 << 30  # bytes: more than a server would take as one value
STREAM_ID = re.compile(rb"[0-9]{1,20}-[0-9]{1,20}")

Kind = Literal["string", "hash", "list", "set", "zset", "stream"]


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as the server has it. `ttl_ms`: milliseconds that it had left, -1: it stays.

    `value` by kind: [bytes]; [field, value, ...]; members; members; [member, score as text, ...]; for a stream its last id, then of
    each entry the id, the number n of parts, and n parts: field, value, ...
    """

    key: bytes
    kind: Kind
    ttl_ms: int
    value: list[bytes]


@dataclass(frozen=True, slots=True)
class Manifest:
    """`at`: Unix seconds. `whole`: all of it is of one moment. `sha256`: of entries.jsonl."""

    namespace: str
    version: str
    at: float
    whole: bool
    entries: int = 0
    sha256: str = ""
    format: int = FORMAT
    kinds: dict[str, int] = field(default_factory=dict)


async def write(
    path: Path, manifest: Manifest, entries: AsyncIterator[Entry], secrets: Mapping[str, bytes]
) -> Manifest:
    """Complete or not at all, mode 0600. Returns the manifest with counts. Raises StartRefused if it cannot be written."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    digest, kinds = hashlib.sha256(), dict.fromkeys(get_args(Kind), 0)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open(ENTRIES, "w", force_zip64=True) as lines:
                async for entry in entries:
                    line = _line(entry)
                    digest.update(line)
                    kinds[entry.kind] += 1
                    lines.write(line)
            for name, content in secrets.items():
                archive.writestr(SECRETS + name, content)
            said = asdict(manifest) | {"entries": sum(kinds.values()), "sha256": digest.hexdigest(), "kinds": kinds}
            archive.writestr(MANIFEST, json.dumps(said, indent=2))
        with draft.open("rb") as whole:
            os.fsync(whole.fileno())
        draft.replace(path)
    except OSError as error:
        raise StartRefused(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
    return Manifest(**said)


class Archive:
    """A backup that is read. Raises StartRefused if it is none, or was damaged. Close it."""

    def __init__(self, path: Path) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            said = json.loads(self._zip.read(MANIFEST))
            self.manifest = Manifest(**{name: said[name] for name in Manifest.__dataclass_fields__})
        except (OSError, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
            raise StartRefused(f"{path} is no backup of a realm: {error}") from error
        if self.manifest.format > FORMAT:
            raise StartRefused(
                f"{path} is of a newer release (format {self.manifest.format}): restore it with that one"
            )
        self._path = path

    def close(self) -> None:
        self._zip.close()

    def check(self) -> None:
        """That every byte is as it was written. Raises StartRefused."""
        digest = hashlib.sha256()
        try:
            with self._zip.open(ENTRIES) as lines:
                while part := lines.read(1 << 20):
                    digest.update(part)
        except (KeyError, zipfile.BadZipFile, OSError, EOFError) as error:
            raise StartRefused(f"{self._path} is damaged: {error}") from error
        if digest.hexdigest() != self.manifest.sha256:
            raise StartRefused(f"{self._path} is damaged: its entries are not those that were written")

    def check_entries(self) -> None:
        """That each can be brought into a server, and is of this realm; nothing is kept meanwhile. Raises StartRefused."""
        count, prefix = 0, f"{self.manifest.namespace}:".encode()
        for entry in self.entries():
            if not entry.key.startswith(prefix):
                raise StartRefused(f"the backup has a key of another realm: {entry.key!r}")
            if not _sound(entry):
                raise StartRefused(f"the backup is damaged: {entry.key!r} is no {entry.kind}")
            count += 1
        if count != self.manifest.entries:
            raise StartRefused(f"the backup is damaged: it has {count} keys, not {self.manifest.entries}")

    def entries(self) -> Iterator[Entry]:
        """Raises StartRefused."""
        with self._zip.open(ENTRIES) as lines:
            while line := lines.readline(LONGEST_LINE):
                yield _entry(line)

    def secrets(self) -> dict[str, bytes]:
        """By file name; without those whose names are none."""
        found = {}
        for info in self._zip.infolist():
            name = info.filename.removeprefix(SECRETS)
            plain = name and "/" not in name and "\\" not in name and not name.startswith(".")
            if info.filename.startswith(SECRETS) and plain and info.file_size <= MOST_SECRET_BYTES:
                found[name] = self._zip.read(info)
        return found


def _line(entry: Entry) -> bytes:
    value = [b64encode(part).decode() for part in entry.value]
    said = {"key": b64encode(entry.key).decode(), "kind": entry.kind, "ttl_ms": entry.ttl_ms, "value": value}
    return orjson.dumps(said) + b"\n"


def _entry(line: bytes) -> Entry:
    """Raises StartRefused."""
    try:
        said: dict[str, Any] = orjson.loads(line)
        kind = said["kind"]
        if kind not in get_args(Kind):
            raise ValueError(f"a {kind} is not known")
        value = [b64decode(part, validate=True) for part in said["value"]]
        return Entry(b64decode(said["key"], validate=True), kind, int(said["ttl_ms"]), value)
    except (KeyError, TypeError, ValueError) as error:
        raise StartRefused(f"the backup is damaged: {error}") from error


def _sound(entry: Entry) -> bool:
    """Whether the value is one of its kind."""
    value = entry.value
    try:
        if entry.kind == "string":
            return len(value) == 1
        if entry.kind == "hash":
            return len(value) > 0 and len(value) % 2 == 0
        if entry.kind == "zset":
            return len(value) > 0 and len(value) % 2 == 0 and not any(isnan(float(score)) for score in value[1::2])
        return _sound_stream(value) if entry.kind == "stream" else len(value) > 0
    except ValueError:  # what should be a number is none
        return False


def _sound_stream(value: list[bytes]) -> bool:
    """Raises ValueError."""
    at = 1
    while at + 1 < len(value) and STREAM_ID.fullmatch(value[at]):
        parts = int(value[at + 1])
        if parts < 2 or parts % 2:
            return False
        at += 2 + parts
    return at == len(value) and STREAM_ID.fullmatch(value[0]) is not None
