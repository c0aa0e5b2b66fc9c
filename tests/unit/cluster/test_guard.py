from __future__ import annotations

import json
import os

import psutil

from cluster import guard


def test_named_and_found_again() -> None:
    mine = psutil.Process()
    assert guard.left(guard.named([mine])) == [mine]


def test_a_pid_that_now_belongs_to_another() -> None:
    mine = psutil.Process()
    former = json.dumps([(os.getpid(), mine.create_time() - 1.0), (2**22 + 1, 1.0)]).encode()
    assert guard.left(former) == []
