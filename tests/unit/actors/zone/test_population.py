"""Who is handed over from zone to zone: packed, departed, admitted (row 7.2). Who enters and leaves is in test_zone.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from actors.zone import records
from actors.zone.population import MAX_LIMBO_S
from actors.zone.zone import Happening, Zone
from cluster.errors import Conflict, Elsewhere, InvalidState, RateLimited
from cluster.ports.zones import Parcel
from tests.unit.actors.showing_model import ModelViewer
from tests.unit.actors.zone.borders_rig import WALL, Land
from tests.unit.actors.zone_model import arrival, change, make_zone, move, tick

TOP_SPEED = 10.0
AT_ONCE = 10.0


@pytest.fixture
def land() -> Land:
    """ann in the west, past the border, seen by bob in the east."""
    land = Land()
    land.enter("west", "ann", 97.0)
    land.enter("east", "bob", 106.0)
    land.step()
    land.walk("west", "ann", 103.0)
    land.step()
    return land


def pack(land: Land, name: str = "ann", wall: float = WALL) -> list[Parcel]:
    west = land.zones["west"]
    return west.pack([west.table.by_id[f"ent_{name}"].number], land.now, wall)


def admit(zone: Zone, parcels: list[Parcel], now: float, wall: float = WALL) -> list[str]:
    return [entity.name for entity in zone.admit({p.entity_id: p.record for p in parcels}, now, wall)]


class TestPacked:
    def test_a_parcel_says_all_there_is(self, land: Land) -> None:
        change(land.zones["west"], "ann", hat="red")
        [parcel] = pack(land)
        assert (parcel.entity_id, parcel.session_id, parcel.transfer) == ("ent_ann", "ses_ann", 101)
        record = records.load(parcel.record)
        assert (record.zone, record.at, record.standing.x, record.standing.sequence) == ("west", WALL, 103.0, 1)
        assert (record.entity.properties, record.entity.transfer, record.entity.gateway_id) == (
            {"hat": "red"},
            101,
            "gtw_a",
        )
        assert 0.0 < record.budget <= AT_ONCE

    def test_until_it_has_departed_it_stands_still_and_nothing_is_done_for_it(self, land: Land) -> None:
        """What was acknowledged after this would not be in the parcel."""
        west = land.zones["west"]
        pack(land)
        before = west.record("ent_ann")
        assert before is not None
        before = records.load(records.dump(before))
        for call in (
            lambda: west.attach("ses_ann", "gtw_b", 2),
            lambda: west.attach("ses_ann", "gtw_a", 1, 1),
            lambda: west.detach("ses_ann", 1),
            lambda: west.leave("ses_ann"),
            lambda: west.enter(arrival("ann"), land.now),
            lambda: west.of_session("ses_ann"),
            lambda: west.snapshot("ses_ann"),
        ):
            with pytest.raises(Elsewhere) as told:
                call()
            assert told.value.zone_id == "", "nobody knows yet"
        land.walk("west", "ann", 104.0)
        assert not west.walk(before.entity.number, 104.0, 50.0, 0.0)
        land.step()
        assert west.record("ent_ann") == before
        assert west.intake.dropped["handed_over"] == 1
        assert west.crossers(land.now) == {}, "it is on its way"

    def test_it_is_seen_as_ever(self, land: Land) -> None:
        land.enter("west", "cid", 96.0)
        land.step()
        pack(land)
        land.walk("west", "cid", 96.5)
        views = tick(land.zones["west"], land.now + 0.05)
        assert all(view.leaves == [] for of_gateway in views.values() for view in of_gateway.values())
        assert land.ghosts("east") == {"ann": "west", "cid": "west"}

    def test_unpacked_it_goes_on(self, land: Land) -> None:
        west = land.zones["west"]
        west.unpack(pack(land))
        west.attach("ses_ann", "gtw_a", 2)
        land.walk("west", "ann", 104.0)
        land.step()
        assert land.place("west", "ann")[0] == 104.0
        [again] = pack(land)
        assert again.transfer == 102, "what it was packed as before is older"

    def test_unpacking_what_is_gone_does_nothing(self, land: Land) -> None:
        parcels = pack(land)
        land.zones["west"].depart(parcels, "east", land.now)
        land.zones["west"].unpack(parcels)
        assert land.ghosts("west")["ann"] == "east"
        land.zones["west"].unpack([replace(parcels[0], entity_id="ent_nobody")])


class TestDeparted:
    def test_it_is_known_where_it_went(self, land: Land) -> None:
        west = land.zones["west"]
        west.depart(pack(land), "east", land.now)
        for call in (
            lambda: west.attach("ses_ann", "gtw_b", 2),
            lambda: west.detach("ses_ann", 1),
            lambda: west.leave("ses_ann"),
            lambda: west.of_session("ses_ann"),
        ):
            with pytest.raises(Elsewhere) as told:
                call()
            assert told.value.zone_id == "east"
        assert west.record("ent_ann") is None
        assert (west.own, west.handed_over) == (0, 1)
        with pytest.raises(Elsewhere):
            west.enter(arrival("ann", session="ses_second"), land.now)

    def test_it_may_come_in_anew_when_its_ghost_is_gone(self, land: Land) -> None:
        """It left the world in the east, and enters in the west: the session is the same."""
        west = land.zones["west"]
        land.hand_over("ann", "west", "east")
        land.step()
        land.zones["east"].leave("ses_ann")
        land.step()
        west.enter(arrival("ann", attach_epoch=2), land.now)
        assert west.of_session("ses_ann").attach_epoch == 2

    def test_no_moves_are_taken_and_no_views_sent(self, land: Land) -> None:
        west = land.zones["west"]
        number = west.of_session("ses_ann").number
        west.depart(pack(land), "east", land.now)
        west.take_input("gtw_a", move(number, 9, 104, 50))
        assert tick(west, land.now + 0.05) == {}
        assert land.place("west", "ann")[0] == 103.0

    def test_one_that_has_changed_hands_since_stays(self, land: Land) -> None:
        """An answer that comes late must not take away who is back by now."""
        west = land.zones["west"]
        old = pack(land)
        west.depart(old, "east", land.now)
        admit(land.zones["east"], old, land.now)
        land.hand_over("ann", "east", "west")
        assert land.holders("ann") == ["west"]
        west.depart(old, "east", land.now)
        assert land.holders("ann") == ["west"]
        assert west.handed_over == 1

    def test_the_game_hears_where_it_was(self, land: Land) -> None:
        heard: list[Happening] = []
        land.zones["west"].on_happening = heard.append
        land.zones["east"].on_happening = heard.append
        land.hand_over("ann", "west", "east")
        assert [(h.came, h.entity.name, h.why, h.at.x) for h in heard] == [
            (False, "ann", "crossing", 103.0),
            (True, "ann", "crossing", 103.0),
        ]

    def test_nothing_of_it_is_to_be_stored_any_more(self, land: Land) -> None:
        """The store has flipped the owner; a write or a drop of the old one would be wrong."""
        noted: list[str] = []
        west = land.zones["west"]
        west.on_change, west.on_gone = noted.append, lambda entity_id, session_id: noted.append(entity_id)
        land.hand_over("ann", "west", "east")
        land.step(3)
        assert noted == []


class TestAdmitted:
    def test_it_stands_where_it_stood_with_all_it_had(self, land: Land) -> None:
        change(land.zones["west"], "ann", hat="red")
        land.zones["west"].table.yaw[land.zones["west"].of_session("ses_ann").number] = 1.5
        land.hand_over("ann", "west", "east")
        east = land.zones["east"]
        record = east.record("ent_ann")
        assert record is not None
        assert (record.standing.x, record.standing.yaw, record.standing.sequence) == (103.0, 1.5, 1)
        assert (record.entity.properties, record.entity.version) == ({"hat": "red"}, 2)
        assert record.entity.owner == ""
        assert (east.own, east.admitted) == (2, 1)

    def test_its_first_view_says_whose_it_is_until_the_gateway_has_it(self, land: Land) -> None:
        land.hand_over("ann", "west", "east")
        east = land.zones["east"]
        number = east.of_session("ses_ann").number
        view = tick(east, land.now)["gtw_a"][number]
        assert (view.session_id, view.transfer, view.attach_epoch) == ("ses_ann", 101, 1)
        assert {s.name for s in view.states} == {"ann", "bob"}
        assert "gtw_a" not in tick(east, land.now + 0.4)
        assert tick(east, land.now + 0.6)["gtw_a"][number].session_id == "ses_ann"
        east.showing.shown("gtw_b", [number])  # not its gateway
        assert tick(east, land.now + 1.2)["gtw_a"][number].session_id == "ses_ann"
        east.showing.shown("gtw_a", [number])
        assert tick(east, land.now + 1.8) == {}

    def test_those_who_saw_its_ghost_see_no_change_but_its_state(self, land: Land) -> None:
        east = land.zones["east"]
        watcher = ModelViewer(east.of_session("ses_bob").number)
        east.attach("ses_bob", "gtw_b", 2)
        first = tick(east, land.now)["gtw_b"][watcher.number]
        first.reset = ("zon_test", 1, watcher.number)
        watcher.apply(first)
        land.hand_over("ann", "west", "east")
        view = tick(east, land.now + 0.05)["gtw_b"][watcher.number]
        assert view.leaves == []
        watcher.apply(view)
        assert {e.name for e in watcher.entities.values()} == {"ann", "bob"}

    def test_twice_is_once(self, land: Land) -> None:
        """A claim whose answer was lost brings it again."""
        west, east = land.zones["west"], land.zones["east"]
        parcels = pack(land)
        west.depart(parcels, "east", land.now)
        assert admit(east, parcels, land.now) == ["ann"]
        east.take_input("gtw_a", move(east.of_session("ses_ann").number, 5, 104, 50))
        tick(east, land.now)
        stored: list[str] = []
        east.on_change = stored.append
        assert admit(east, parcels, land.now) == []
        assert land.place("east", "ann")[0] == 104.0
        assert stored == ["ent_ann"], "the store has the older record of the claim"

    def test_an_older_one_than_the_entity_that_is_here(self, land: Land) -> None:
        parcels = pack(land)
        land.zones["west"].depart(parcels, "east", land.now)
        east = land.zones["east"]
        admit(east, parcels, land.now)
        east.of_session("ses_ann").transfer += 2
        change(east, "ann", hat="new")
        assert admit(east, parcels, land.now) == []
        assert east.of_session("ses_ann").properties == {"hat": "new"}

    def test_a_newer_one_than_the_entity_that_is_here(self) -> None:
        """This zone did not hear that it had left, or the store brought it back from a zone that took it over."""
        zone, other = make_zone(), make_zone()
        zone.enter(arrival("ann", 10, 10), 0.0, transfer=5)
        other.enter(arrival("ann", 20, 20, attach_epoch=3), 0.0, transfer=5)
        parcels = other.pack([0], 0.0, WALL)
        assert admit(zone, parcels, 0.0) == ["ann"]
        entity = zone.of_session("ses_ann")
        assert (entity.transfer, entity.attach_epoch, zone.standing(entity).x) == (6, 3, 20.0)
        assert zone.own == 1

    def test_what_nobody_can_read_keeps_nobody_out(self, land: Land) -> None:
        parcels = pack(land)
        with capture_logs() as logs:
            admitted = land.zones["east"].admit({"ent_x": b"{", "ent_ann": parcels[0].record}, land.now, WALL)
        assert [entity.name for entity in admitted] == ["ann"]
        assert [line["event"] for line in logs] == ["arrival_unreadable"]

    @pytest.mark.parametrize(
        ("on_its_way_s", "metres"), [(0.0, 0.0), (1.5, 15.0), (-3.0, 0.0), (900.0, TOP_SPEED * MAX_LIMBO_S)]
    )
    def test_it_may_have_walked_on_meanwhile(self, land: Land, on_its_way_s: float, metres: float) -> None:
        """Its client did not stop when it was handed over; but nobody walks for ever."""
        parcels = pack(land)
        east = land.zones["east"]
        admit(east, parcels, land.now, WALL + on_its_way_s)
        number = east.of_session("ses_ann").number
        assert east.table.budget[number] == pytest.approx(records.load(parcels[0].record).budget + metres)

    def test_a_detached_one_stays_link_dead(self, land: Land) -> None:
        land.zones["west"].detach("ses_ann", 1)
        land.hand_over("ann", "west", "east")
        east = land.zones["east"]
        assert east.of_session("ses_ann").link_dead
        views = tick(east, land.now)
        assert {number for of_gateway in views.values() for number in of_gateway} == {east.of_session("ses_bob").number}

    def test_those_without_a_session_cross_too(self, land: Land) -> None:
        west, east = land.zones["west"], land.zones["east"]
        west.spawn("ent_cow", "npc", "Cow", (96.0, 0.0, 50.0, 0.0), {"milk": 1})
        parcels = pack(land, "cow")
        west.depart(parcels, "east", land.now)
        assert admit(east, parcels, land.now) == ["Cow"]
        assert east.table.by_id["ent_cow"].properties == {"milk": 1}
        assert "" not in west.table.by_session
        assert "" not in east.table.by_session


class TestFull:
    """The zones near were told how much room there is, but others came first."""

    @pytest.fixture
    def full(self, land: Land) -> Zone:
        zone = make_zone(capacity=2)
        zone.enter(arrival("x"), 0.0)
        zone.enter(arrival("y"), 0.0)
        assert admit(zone, pack(land), 0.0) == []
        return zone

    def test_who_finds_no_room_waits_and_comes_in_when_there_is(self, full: Zone) -> None:
        assert admit(full, [], 1.0) == []
        assert full.own == 2
        full.leave("ses_x")
        full.tick(1.0)
        assert admit(full, [], 1.0) == ["ann"]
        assert full.own == 2
        assert admit(full, [], 2.0) == []

    def test_it_may_leave_all_the_same(self, full: Zone) -> None:
        gone: list[tuple[str, str]] = []
        full.on_gone = lambda entity_id, session_id: gone.append((entity_id, session_id))
        standing = full.leave("ses_ann")
        assert standing is not None
        assert (standing.entity_id, standing.x) == ("ent_ann", 103.0)
        assert gone == [("ent_ann", "ses_ann")]
        assert full.leave("ses_ann") is None
        full.leave("ses_x")
        full.tick(1.0)
        assert admit(full, [], 1.0) == []

    def test_it_is_not_taken_for_one_that_is_nowhere(self, full: Zone) -> None:
        """Its session would enter anew, and there would be two of it when there is room."""
        for call in (
            lambda: full.attach("ses_ann", "gtw_b", 2),
            lambda: full.detach("ses_ann", 1),
            lambda: full.of_session("ses_ann"),
            lambda: full.enter(arrival("ann"), 1.0),
        ):
            with pytest.raises(RateLimited) as refused:
                call()
            assert refused.value.reason == "zone_full"
        with pytest.raises(InvalidState):
            full.of_session("ses_nobody")
        full.leave("ses_x")
        full.tick(1.0)
        with pytest.raises(RateLimited):
            full.enter(arrival("ann"), 1.0)
        assert admit(full, [], 1.0) == ["ann"]
        with pytest.raises(Conflict):
            full.attach("ses_ann", "gtw_b", 0)
