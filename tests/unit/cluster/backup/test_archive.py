"""Backups as files: what is written comes back, and what is damaged is noticed."""

from __future__ import annotations

import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.backup.archive import ENTRIES, MANIFEST, Archive, Entry, Manifest, write
from cluster.errors import StartRefused

SAID = [
    Entry(b"ns:a", "string", -1, [b"\x00\xff"]),
    Entry(b"ns:\xfe", "hash", 5_000, [b"field", b"", b"other", b"value"]),
    Entry(b"ns:s", "stream", -1, [b"5-0", b"4-1", b"2", b"f", b"v"]),
]


async def some(entries: list[Entry]) -> AsyncIterator[Entry]:
    for entry in entries:
        yield entry


async def written(path: Path, entries: list[Entry] = SAID, secrets: dict[str, bytes] | None = None) -> Manifest:
    return await write(path, Manifest("ns", "1", 10.0, whole=True), some(entries), secrets or {})


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "a.backup"
    manifest = await written(path, secrets={"keys": b"{}"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert (manifest.entries, manifest.kinds["hash"], manifest.whole) == (3, 1, True)
    archive = Archive(path)
    archive.check()
    assert archive.manifest == manifest
    assert list(archive.entries()) == SAID
    assert archive.secrets() == {"keys": b"{}"}
    archive.close()


async def test_of_nothing(tmp_path: Path) -> None:
    await written(tmp_path / "a", [])
    archive = Archive(tmp_path / "a")
    archive.check()
    assert list(archive.entries()) == []


async def test_one_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    async def breaks() -> AsyncIterator[Entry]:
        yield SAID[0]
        raise RuntimeError

    (tmp_path / "a").write_text("the one before")
    with pytest.raises(RuntimeError):
        await write(tmp_path / "a", Manifest("ns", "1", 10.0, whole=True), breaks(), {})
    assert names(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "the one before"
    with pytest.raises(StartRefused, match="cannot write"):
        await written(tmp_path / "no folder" / "a")


async def test_damaged(tmp_path: Path) -> None:
    await written(tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as good, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        bad.writestr(ENTRIES, good.read(ENTRIES).replace(b'"ttl_ms":5000', b'"ttl_ms":5001'))
        bad.writestr(MANIFEST, good.read(MANIFEST))
    with pytest.raises(StartRefused, match="damaged"):
        Archive(tmp_path / "bad").check()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04"])
def test_what_is_no_backup(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(StartRefused, match="no backup"):
        Archive(tmp_path / "a")


async def test_of_a_newer_release(tmp_path: Path) -> None:
    await written(tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as good, zipfile.ZipFile(tmp_path / "new", "w") as new:
        new.writestr(ENTRIES, good.read(ENTRIES))
        new.writestr(MANIFEST, good.read(MANIFEST).replace(b'"format": 1', b'"format": 2'))
    with pytest.raises(StartRefused, match="newer release"):
        Archive(tmp_path / "new")


async def test_secrets_stay_in_their_folder(tmp_path: Path) -> None:
    await written(tmp_path / "a", secrets={"../up": b"1", ".hidden": b"2", "a/b": b"3", "keys.json": b"4"})
    assert Archive(tmp_path / "a").secrets() == {"keys.json": b"4"}


@pytest.mark.parametrize(
    "entry",
    [
        Entry(b"other:a", "string", -1, [b"x"]),
        Entry(b"ns:a", "string", -1, []),
        Entry(b"ns:a", "hash", -1, [b"field"]),
        Entry(b"ns:a", "hash", -1, []),
        Entry(b"ns:a", "set", -1, []),
        Entry(b"ns:a", "zset", -1, [b"member", b"many"]),
        Entry(b"ns:a", "zset", -1, [b"member", b"nan"]),
        Entry(b"ns:a", "stream", -1, [b"5-0", b"4-1", b"2", b"f"]),
        Entry(b"ns:a", "stream", -1, [b"5-0", b"4-1", b"x", b"f", b"v"]),
        Entry(b"ns:a", "stream", -1, [b"5-0", b"4-1", b"0"]),
        Entry(b"ns:a", "stream", -1, [b"newest"]),
    ],
)
async def test_an_entry_that_no_server_would_take(tmp_path: Path, entry: Entry) -> None:
    await written(tmp_path / "a", [*SAID, entry])
    archive = Archive(tmp_path / "a")
    archive.check()
    with pytest.raises(StartRefused):
        archive.check_entries()


async def test_entries_that_are_sound(tmp_path: Path) -> None:
    more = [
        Entry(b"ns:l", "list", -1, [b"a"]),
        Entry(b"ns:z", "zset", -1, [b"a", b"-inf", b"b", b"1e+300"]),
        Entry(b"ns:t", "stream", -1, [b"7-7"]),
    ]
    await written(tmp_path / "a", [*SAID, *more])
    Archive(tmp_path / "a").check_entries()
    with zipfile.ZipFile(tmp_path / "a") as good, zipfile.ZipFile(tmp_path / "short", "w") as short:
        short.writestr(ENTRIES, b"".join(good.read(ENTRIES).splitlines(keepends=True)[:-1]))
        short.writestr(MANIFEST, good.read(MANIFEST))
    with pytest.raises(StartRefused, match="5 keys, not 6"):
        Archive(tmp_path / "short").check_entries()


@pytest.mark.parametrize("line", [b"{", b"[]", b'{"key":"!","kind":"string","ttl_ms":-1,"value":[]}'])
async def test_lines_that_are_no_entries(tmp_path: Path, line: bytes) -> None:
    await written(tmp_path / "good")
    with zipfile.ZipFile(tmp_path / "good") as good, zipfile.ZipFile(tmp_path / "bad", "w") as bad:
        bad.writestr(ENTRIES, good.read(ENTRIES) + line + b"\n")
        bad.writestr(MANIFEST, good.read(MANIFEST))
    with pytest.raises(StartRefused, match="damaged"):
        Archive(tmp_path / "bad").check_entries()
