from __future__ import annotations

from cluster.beats import Beat
from cluster.telemetry import targets
from cluster.telemetry.targets import LOST_S, Targets


def beat(name: str, kind: str = "zone", host: str = "one") -> bytes:
    return Beat(kind, name, 1, host, "", "0.1.0", 0.0, 0.0, 2.0, 0.0, 0, 0.0, (1, 2)).dump()


class TestTargets:
    def test_every_process_is_one_at_the_realm_s_address(self) -> None:
        known = Targets(lambda: 0.0)
        known.heard(beat("zone/zon_meadow"))
        known.heard(beat("web", "web", "two"))
        known.heard(beat("web", "web", "two"))
        web, zone = known.groups("realm.example:443")
        assert web["targets"] == zone["targets"] == ["realm.example:443"]
        assert zone["labels"] == {
            "__metrics_path__": "/metrics",
            "__param_process": "zone/zon_meadow",
            "instance": "zone/zon_meadow",
            "process": "zone/zon_meadow",
            "kind": "zone",
            "host": "one",
        }
        assert web["labels"]["host"] == "two"

    def test_one_that_is_silent_stays_for_a_while_so_that_it_is_seen_to_be_down(self) -> None:
        now = 100.0
        known = Targets(lambda: now)
        known.heard(beat("gtw_1", "gateway"))
        now += LOST_S
        known.heard(beat("web", "web"))
        assert [group["labels"]["process"] for group in known.groups("a:1")] == ["gtw_1", "web"]
        now += 1.0
        assert [group["labels"]["process"] for group in known.groups("a:1")] == ["web"]

    def test_nonsense_and_too_many_are_left_out(self) -> None:
        known = Targets(lambda: 0.0)
        known.heard(b"nonsense")
        for number in range(targets.MOST + 5):
            known.heard(beat(f"zone/{number}"))
        assert len(known.groups("a:1")) == targets.MOST
