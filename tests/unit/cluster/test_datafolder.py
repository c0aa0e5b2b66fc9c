from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from cluster.datafolder import DataFolder
from cluster.errors import StartRefused
from cluster.telemetry.logs import without_secrets


def test_one_realm_at_a_time(tmp_path: Path) -> None:
    first = DataFolder.open(tmp_path / "data")
    with pytest.raises(StartRefused, match="another realm uses the data folder"):
        DataFolder.open(tmp_path / "data", wait_s=0.0)
    first.close()
    first.close()
    DataFolder.open(tmp_path / "data", wait_s=0.0).close()


def test_a_server_that_still_runs_holds_the_lock(tmp_path: Path) -> None:
    """It inherits the descriptor; here a duplicate of it plays the server."""
    first = DataFolder.open(tmp_path)
    of_the_server = os.dup(first.fileno())
    first.close()
    with pytest.raises(StartRefused):
        DataFolder.open(tmp_path, wait_s=0.0)
    os.close(of_the_server)
    DataFolder.open(tmp_path, wait_s=0.0).close()


def test_the_folder_is_for_this_user_alone(tmp_path: Path) -> None:
    folder = DataFolder.open(tmp_path / "new" / "data")
    assert stat.S_IMODE(folder.root.stat().st_mode) == 0o700
    folder.close()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartRefused, match="choose another with --data"):
        DataFolder.open(tmp_path / "file")
    with pytest.raises(StartRefused, match="choose another with --data"):
        DataFolder.open(tmp_path / "file" / "below")


class TestSecret:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> DataFolder:
        return DataFolder(tmp_path, -1)

    def test_made_once(self, folder: DataFolder) -> None:
        first = folder.secret("valkey/password")
        assert len(first) >= 32
        assert folder.secret("valkey/password") == first
        assert folder.secret("nats/token") != first
        assert stat.S_IMODE((folder.root / "valkey" / "password").stat().st_mode) == 0o600

    def test_in_a_folder_that_others_may_enter(self, folder: DataFolder) -> None:
        folder.root.chmod(0o755)
        folder.secret("nats/token")
        assert stat.S_IMODE((folder.root / "nats").stat().st_mode) == 0o700
        assert stat.S_IMODE((folder.root / "nats" / "token").stat().st_mode) == 0o600

    def test_one_that_the_operator_put_there(self, folder: DataFolder) -> None:
        (folder.root / "recovery-secret").write_text("chosen elsewhere\n")
        (folder.root / "recovery-secret").chmod(0o600)
        assert folder.secret("recovery-secret") == "chosen elsewhere"

    def test_no_log_shows_it(self, folder: DataFolder) -> None:
        text = folder.secret("nats/token")
        assert without_secrets(f"nats said {text} is wrong") == "nats said *** is wrong"

    def test_others_may_read_it(self, folder: DataFolder) -> None:
        folder.secret("token")
        (folder.root / "token").chmod(0o640)
        with pytest.raises(StartRefused, match="chmod 600"):
            folder.secret("token")

    def test_a_start_that_died_in_between(self, folder: DataFolder) -> None:
        (folder.root / "token").touch(mode=0o600)
        assert folder.secret("token")
