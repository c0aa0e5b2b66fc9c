"""One short seed on a whole realm. A longer run is one command: `rayrealm chaos --seed 1 --seconds 120 --json`."""

from __future__ import annotations

import pytest

from cluster.chaos.drill import Order, run_at, run_own
from cluster.chaos.measure import BARS
from cluster.chaos.schedule import plan
from cluster.chaos.verdict import NAMES
from tests.real_realm import RealRealm

pytestmark = pytest.mark.realm

SEED, SECONDS, BOTS = 7, 33.0, 8
WITH_STANDBYS_S = 60.0
KINDS = ("gateway", "sessions", "zone", "nats_restart", "redis_restart")


def test_nothing_is_lost() -> None:
    faults = plan(SEED, SECONDS, KINDS)
    assert {fault.kind for fault in faults} == set(KINDS)
    said: list[str] = []
    result = run_own(Order(SEED, SECONDS, faults, BOTS, 2, None, {}), said.append)
    assert result["good"], (result["violations"], result["missed_recoveries"], said)
    assert {name: result[name] for name in NAMES} == dict.fromkeys(NAMES, 0)
    assert result["sessions"] == BOTS
    assert set(result["recovery_ms"]) == set(KINDS)
    # It has looked at something.
    assert all(result["operations"][what]["acknowledged"] > BOTS for what in ("state", "chat", "attribute"))
    assert result["notices"] > 10 * BOTS
    assert result["views"] > 100 * BOTS
    assert result["outputs"] > 100
    assert result["crossings"]["count"] > BOTS
    assert result["looked_for"] > result["looked_across"] > 0


@pytest.mark.slow
def test_nobody_notices_what_a_standby_or_the_operator_does() -> None:
    kinds = ("standby", "freeze", "split", "merge", "move")
    faults = plan(SEED, WITH_STANDBYS_S, kinds, standby=True)
    assert {fault.kind for fault in faults} == set(kinds)
    said: list[str] = []
    result = run_own(Order(SEED, WITH_STANDBYS_S, faults, BOTS, 2, None, {}, standby=True), said.append)
    assert result["good"], (result["violations"], result["missed_recoveries"], said)
    assert result["stale_outputs"] > 0  # the frozen owner spoke once more, and was not believed
    # Half a second is what is promised; here the load runs on the same cores, beside other tests.
    took = {kind: ms["p50"] for kind, ms in result["recovery_ms"].items() if kind in BARS}
    hit = {
        kind: p50 for kind, p50 in took.items() if p50 is not None
    }  # of a zone that was empty nobody notices anything
    assert hit
    assert all(p50 < 2 * BARS[kind][0] for kind, p50 in hit.items())


@pytest.mark.slow
def test_a_realm_that_runs_already(realm: RealRealm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own servers are its launcher's business: chaos kills them, and waits until they are back."""
    for name, value in realm.environment.items():
        monkeypatch.setenv(name, value)
    faults = plan(SEED, 16.0, ("supervisor", "redis_restart"))
    assert {fault.kind for fault in faults} == {"supervisor", "redis_restart"}
    result = run_at(Order(SEED, 16.0, faults, 4, 2, None, {}), realm.url, lambda line: None)
    assert result["good"], (result["violations"], result["missed_recoveries"])
