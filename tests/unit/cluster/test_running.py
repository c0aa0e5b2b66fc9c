from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from cluster import running
from cluster.errors import StartRefused
from cluster.running import RunningRealm

URL = "http://127.0.0.1:8000"


@pytest.fixture
def where(tmp_path: Path) -> Path:
    return tmp_path / "running"


@pytest.fixture
def mine(tmp_path: Path) -> RunningRealm:
    """A realm whose launcher is this very process."""
    data = tmp_path / "data"
    data.mkdir()
    return RunningRealm.of_this_process(URL, data, "rayrealm-realm")


def other(realm: RunningRealm, **changes: object) -> RunningRealm:
    """One that runs too: the parent of this process plays its launcher."""
    parent = psutil.Process().parent()
    assert parent is not None
    return replace(realm, pid=parent.pid, started_at=parent.create_time(), **changes)  # type: ignore[arg-type]


def test_nothing_runs(where: Path) -> None:
    assert running.realms(where) == []
    with pytest.raises(StartRefused, match="start one with `rayrealm up`"):
        running.find(where)


def test_one_runs(where: Path, mine: RunningRealm) -> None:
    running.register(mine, {"redis_url": "redis://h:1"}, where)
    assert running.find(where) == mine
    assert running.find(where, URL) == mine
    assert running.find(where, URL + "/") == mine
    assert mine.details()["redis_url"] == "redis://h:1"
    assert mine.details()["pid"] == os.getpid()


def test_files_are_for_this_user_alone(where: Path, mine: RunningRealm) -> None:
    running.register(mine, {"nats_token": "t"}, where)
    files = [*where.iterdir(), Path(mine.data) / running.REALM_FILE]
    assert len(files) == 2
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)


def test_unregister(where: Path, mine: RunningRealm) -> None:
    running.register(mine, {}, where)
    running.unregister(mine, where)
    running.unregister(mine, where)
    assert running.realms(where) == []
    assert mine.details() == {}


def test_which_of_several(where: Path, mine: RunningRealm) -> None:
    second = other(mine, url="http://127.0.0.1:8001")
    running.register(mine, {}, where)
    running.register(second, {}, where)
    assert set(running.realms(where)) == {mine, second}
    with pytest.raises(StartRefused, match="choose one with --url"):
        running.find(where)
    assert running.find(where, second.url) == second
    with pytest.raises(StartRefused, match=r"at http://127\.0\.0\.1:9"):
        running.find(where, "http://127.0.0.1:9")


def test_a_killed_one_is_forgotten(where: Path, mine: RunningRealm) -> None:
    """Its pid now belongs to another process: that of the test."""
    killed = replace(mine, started_at=mine.started_at - 1_000)
    running.register(killed, {}, where)
    assert not killed.alive()
    assert killed.process() is None
    with pytest.raises(StartRefused):
        running.find(where)
    assert list(where.iterdir()) == []


def test_a_pid_that_nobody_has(where: Path, mine: RunningRealm) -> None:
    gone = replace(mine, pid=2**22 + 1)
    running.register(gone, {}, where)
    assert running.realms(where) == []
    assert list(where.iterdir()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', json.dumps({"pid": 1, "more": 2})])
def test_a_file_that_is_no_entry(where: Path, text: str) -> None:
    where.mkdir()
    (where / "1.json").write_text(text)
    assert running.realms(where) == []
    assert list(where.iterdir()) == []


def test_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert running.folder() == tmp_path / "rayrealm" / "running"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert running.folder() == tmp_path / "home" / ".local" / "state" / "rayrealm" / "running"
