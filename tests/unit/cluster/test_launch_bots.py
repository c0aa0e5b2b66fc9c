"""The bots that a launcher starts: what they say is kept, also where Ray is somebody else's and has its logs elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster import session_folder
from cluster.launch import Launch
from cluster.settings import Settings


@pytest.mark.parametrize("joined", [True, False])
def test_their_logs_can_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joined: bool) -> None:
    session = session_folder.create(tmp_path)
    if not joined:  # then Ray makes it
        (session / session_folder.RAY / "session_latest" / "logs").mkdir(parents=True)
    started: list[list[str]] = []

    def begin(argv: list[str], *, stdout: Any, **_: Any) -> None:
        stdout.write(b"40 bots\n")
        started.append(argv)

    monkeypatch.setattr(subprocess, "Popen", begin)
    launch = Launch(Settings(data=tmp_path / "data"), lambda step: None)
    (tmp_path / "data").mkdir()
    session_folder.show_logs(launch.logs, session, joined=joined)
    launch.start_bots(40)
    assert (launch.logs / "bots.log").read_text() == "40 bots\n"
    assert started[0][started[0].index("--count") + 1] == "40"
