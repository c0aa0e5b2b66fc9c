"""Players walk over the borders of four zones, and nobody notices (row 7.2). A realm in this process, no Ray.

How many and for how long is for `rayrealm bench borders` to say, not for a test.
"""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from cluster.bench.border_checks import FAULTS
from cluster.bench.borders import Borders, Entrants, borders_config
from tests.local_realm import LocalRealm, local_realm

BOTS = 16
SIDE_M = 40.0
SECONDS, WARM_UP_S = 12.0, 3.0
INTEREST = {"radius": 25.0}


@pytest.fixture
def world() -> dict[str, Any]:
    made: dict[str, Any] = tomllib.loads(borders_config(BOTS, SIDE_M))["world"]
    return made | {"interest": INTEREST}


async def test_nobody_notices(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str, world: dict[str, Any]
) -> None:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, world=world) as realm:
        http = realm.url.removesuffix("/ws").replace("ws://", "http://")
        report = await Borders(http, BOTS, seed=5).run(SECONDS, lambda: enlisted(realm), WARM_UP_S)
    assert {name: report[name] for name in (*FAULTS, "disconnected")} == dict.fromkeys((*FAULTS, "disconnected"), 0), (
        report
    )
    assert report["crossings"] >= BOTS
    assert report["bots_that_crossed"] > BOTS / 2
    assert report["view_gap_max_ms"] < 500.0 + report["send_late_max_ms"], report  # all of it shares one process here
    assert report["looks"] > 0
    assert report["views_per_s"] > 10.0 * BOTS


async def enlisted(realm: LocalRealm) -> Entrants:
    users = [f"usr_{number}" for number in range(BOTS)]
    return {number: (realm.token(user), await realm.character(user)) for number, user in enumerate(users)}
