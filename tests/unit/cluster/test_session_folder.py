from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from cluster import session_folder


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "logs"


def session_with_log(parent: Path, text: str) -> Path:
    session = session_folder.create(parent)
    (session / "r" / "session_latest" / "logs").mkdir(parents=True)
    (session / "r" / "session_latest" / "logs" / "zone.log").write_text(text)
    return session


def test_short_and_private(tmp_path: Path) -> None:
    session = session_folder.create(tmp_path)
    assert len(session.name) <= 12
    assert session.stat().st_mode & 0o077 == 0


def test_the_living_are_left_alone(tmp_path: Path) -> None:
    session = session_folder.create(tmp_path)
    assert session_folder.sweep(tmp_path) == []
    assert session.is_dir()


@pytest.mark.parametrize(
    "owner",
    [f"{2**22 + 1} 1.0", f"{os.getpid()} {psutil.Process().create_time() - 100}"],
    ids=["no such process", "a later process of that number"],
)
def test_the_dead_are_swept(tmp_path: Path, owner: str) -> None:
    session = session_folder.create(tmp_path)
    (session / "owner").write_text(owner)
    (session / "h").mkdir()
    assert session_folder.sweep(tmp_path) == [session]
    assert not session.exists()


def test_what_is_not_ours_stays(tmp_path: Path) -> None:
    (tmp_path / "rr-other").mkdir()
    (tmp_path / "rr-strange").mkdir()
    (tmp_path / "rr-strange" / "owner").write_text("somebody")
    (tmp_path / "unrelated").write_text("")
    assert session_folder.sweep(tmp_path) == []
    assert len(list(tmp_path.iterdir())) == 3


def test_logs_outlive_the_session(tmp_path: Path, logs: Path) -> None:
    session = session_with_log(tmp_path, "first")
    session_folder.show_logs(logs, session)
    assert (logs / "zone.log").read_text() == "first"
    session_folder.keep_logs(logs)
    session_folder.remove(session)
    assert not logs.is_symlink()
    assert (logs / "zone.log").read_text() == "first"
    session_folder.keep_logs(logs)
    assert (logs / "zone.log").read_text() == "first"


def test_one_former_run_is_kept(tmp_path: Path, logs: Path) -> None:
    for text in ("first", "second", "third"):
        session = session_with_log(tmp_path, text)
        session_folder.show_logs(logs, session)
        session_folder.keep_logs(logs)
        session_folder.remove(session)
    assert (logs / "zone.log").read_text() == "third"
    assert (logs.with_name("logs.1") / "zone.log").read_text() == "second"


def test_logs_of_a_killed_launcher_are_saved_too(tmp_path: Path, logs: Path) -> None:
    killed = session_with_log(tmp_path, "killed")
    session_folder.show_logs(logs, killed)
    session_folder.show_logs(logs, session_with_log(tmp_path, "next"))
    session_folder.remove(killed)
    assert (logs / "zone.log").read_text() == "next"
    assert (logs.with_name("logs.1") / "zone.log").read_text() == "killed"


def test_on_a_joined_cluster_logs_can_be_written_though_ray_has_its_own_elsewhere(tmp_path: Path, logs: Path) -> None:
    session = session_folder.create(tmp_path)
    session_folder.show_logs(logs, session, joined=True)
    (logs / "bots.log").write_text("40 bots")
    session_folder.keep_logs(logs)
    session_folder.remove(session)
    assert (logs / "bots.log").read_text() == "40 bots"


def test_a_start_that_failed_before_there_were_logs(tmp_path: Path, logs: Path) -> None:
    for _ in range(2):
        session = session_folder.create(tmp_path)
        session_folder.show_logs(logs, session)
        session_folder.keep_logs(logs)
        session_folder.remove(session)
        assert not logs.exists()
