"""`rayrealm restore` refuses what no `rayrealm backup` wrote (cluster/cli/backup.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cluster.backup.archive import Archive, Entry, Manifest, write
from cluster.cli import backup
from cluster.errors import StartRefused


async def nothing() -> AsyncIterator[Entry]:
    for entry in list[Entry]():
        yield entry


@pytest.mark.parametrize("name", ["realm.toml", "valkey-password", "running.json"])
async def test_a_backup_brings_no_other_files(tmp_path: Path, name: str) -> None:
    """Somebody else's file could else put settings or passwords of theirs into the data folder."""
    file, data = tmp_path / "realm.backup", tmp_path / "data"
    await write(file, Manifest("rayrealm", "1", 1.0, True), nothing(), {"keys.json": b"1", name: b"2"})
    archive = Archive(file)
    with pytest.raises(StartRefused, match=name):
        backup._restore(archive, data, "redis://127.0.0.1:1/0", replace=False)
    archive.close()
    assert not (data / name).exists()
    assert not (data / "keys.json").exists()
