"""Where everybody is, as the store and followers keep it (rows 1.9 and 7.4). What comes back from it is in test_zone_restore.py."""

from __future__ import annotations

import numpy as np
import pytest

from actors.zone import keeping
from actors.zone.entities import Entity
from actors.zone.keeping import MAX_OUTAGE_S
from actors.zone.records import Record
from actors.zone.rows import PLACE, read_places
from actors.zone.zone import Zone
from cluster.world_settings import EntityTypeSettings
from tests.unit.actors.zone.borders_rig import Land
from tests.unit.actors.zone_model import SPEC, arrival, make_world, make_zone, move


def rows(places: bytes) -> list[tuple[float, ...]]:
    """Number, incarnation, sequence, x, y, z, yaw."""
    return [row.item() for row in read_places(places)]


@pytest.fixture
def zone() -> Zone:
    zone = make_zone()
    for name, x in (("ann", 50.0), ("bob", 52.0), ("cid", 54.0)):
        zone.enter(arrival(name, x, 50.0), 0.0)
    zone.take_input("gtw_a", move(0, 7, 53.5, 51.25, y=0.5, yaw=1.5))
    zone.tick(0.1)
    return zone


class TestPlaces:
    def test_all(self, zone: Zone) -> None:
        assert rows(zone.places()) == [
            (0, 1, 7, 53.5, 0.5, 51.25, 1.5),
            (1, 2, 0, 52.0, 0.0, 50.0, 0.0),
            (2, 3, 0, 54.0, 0.0, 50.0, 0.0),
        ]
        assert len(zone.places()) == 3 * PLACE.itemsize + 1  # the version of the format
        assert make_zone().places() == b""

    def test_of_some(self, zone: Zone) -> None:
        assert [row[0] for row in rows(keeping.places(zone.table, np.array([2, 0])))] == [2, 0]
        assert keeping.places(zone.table, np.array([], np.int64)) == b""

    def test_numbers_are_used_again_and_incarnations_never(self, zone: Zone) -> None:
        zone.leave("ses_ann")
        for n in range(16):
            zone.tick(0.2)
            zone.enter(arrival(f"p{n}"), 0.2)
            zone.leave(f"ses_p{n}")
        zone.tick(0.3)
        zone.enter(arrival("dan"), 0.3)
        found = rows(zone.places())
        assert len({row[:2] for row in found}) == 3
        assert max(row[1] for row in found) == 20

    def test_not_of_ghosts(self) -> None:
        land = Land()
        land.enter("west", "ann", 97.0)
        land.enter("east", "bob", 103.0)
        land.step(2)
        for zone_id, x in (("west", 97.0), ("east", 103.0)):
            assert [row[3] for row in rows(land.zones[zone_id].places())] == [x]


class TestRestored:
    """How far one may have walked while the zone was away."""

    def entity(self, name: str, kind: str) -> Entity:
        return Entity(0, 1, f"ent_{name}", kind, name, f"ses_{name}", "usr", f"chr_{name}", "gtw_a", 1)

    @pytest.mark.parametrize(("age_s", "extra_s"), [(-5.0, 0.0), (0.0, 0.0), (4.0, 4.0), (86_400.0, MAX_OUTAGE_S)])
    def test_as_fast_as_its_type_is(self, age_s: float, extra_s: float) -> None:
        world = make_world().model_copy(update={"types": {"cart": EntityTypeSettings(max_speed=16.0)}})
        zone = Zone(SPEC, world, 2)
        record = make_zone()
        record.enter(arrival("ann"), 0.0)
        standing = record.standing(record.of_session("ses_ann"))
        cart = Record(self.entity("cart", "cart"), standing, SPEC.id)
        assert zone.restore([cart], b"", age_s, 100.0) == []
        [number] = zone.table.by_number
        assert zone.table.budget[number] == 20.0 + 20.0 * extra_s
        assert zone.table.budget_at[number] == 100.0
