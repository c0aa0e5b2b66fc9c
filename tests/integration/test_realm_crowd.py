"""A small crowd on a whole realm: every update that arrives is true, and everyone knows exactly who is near (row 7.10).

How many and how fast is for `rayrealm bench crowd` to say, not for a test.
"""

from __future__ import annotations

import pytest

from cluster.bench.crowd import run_load
from cluster.bench.realm_under_test import crowd_config, realm_under_test

pytestmark = [pytest.mark.realm, pytest.mark.slow]

CLIENTS = 40


def test_what_the_crowd_sees_is_true() -> None:
    with realm_under_test(crowd_config(CLIENTS), gateways=2) as running:
        result = run_load(running.url, CLIENTS, 4.0, running.pids())
    assert result["wrong"] == 0, result["wrong_examples"]
    assert (result["foreign"], result["missing"], result["ghosts"], result["disconnected"]) == (0, 0, 0, 0)
    assert result["corrections"] == 0
    assert result["deliveries_per_s"] > 0
    assert {"gateway", "zone", "haproxy", "nats"} <= result["cpu_by_process"].keys()
