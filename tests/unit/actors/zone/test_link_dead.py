"""Players without a connection, and attaches that fail after the zone was told (rows 1.6 and 1.8)."""

from __future__ import annotations

import pytest

from actors.zone.zone import Zone
from cluster.errors import Conflict
from tests.unit.actors.showing_model import ModelViewer
from tests.unit.actors.zone_model import SPEC, arrival, change, make_zone, move, tick


class TestLinkDead:
    """A character whose player is away stays in the world, and whoever sees it can tell (row 1.8)."""

    @staticmethod
    def pair() -> tuple[Zone, int, int]:
        zone = make_zone()
        ann = zone.enter(arrival("ann"), 0.0).number
        bob = zone.enter(arrival("bob", gateway="gtw_b"), 0.0).number
        tick(zone)
        return zone, ann, bob

    def test_the_others_are_told_once_and_told_again_when_it_is_back(self) -> None:
        zone, ann, bob = self.pair()
        zone.detach("ses_ann", 1)
        zone.detach("ses_ann", 1)
        assert [(s.number, s.link_dead) for s in tick(zone)["gtw_b"][bob].states] == [(ann, True)]
        zone.detach("ses_ann", 1)
        assert tick(zone) == {}
        zone.attach("ses_ann", "gtw_c", 2)
        views = tick(zone)
        assert [(s.number, s.link_dead) for s in views["gtw_b"][bob].states] == [(ann, False)]
        assert views["gtw_b"][bob].numbers == []
        assert [(s.number, s.link_dead) for s in views["gtw_c"][ann].states] == [(bob, False), (ann, False)]

    def test_gone_and_back_within_a_tick_is_no_change(self) -> None:
        zone, ann, bob = self.pair()
        watcher = ModelViewer(bob)
        zone.attach("ses_bob", "gtw_b", 1)
        watcher.apply(tick(zone)["gtw_b"][bob])
        zone.detach("ses_ann", 1)
        zone.attach("ses_ann", "gtw_a", 2)
        watcher.apply(tick(zone)["gtw_b"][bob])
        assert not watcher.entities[ann].link_dead

    def test_who_comes_later_sees_it_too(self) -> None:
        zone, ann, _ = self.pair()
        zone.detach("ses_ann", 1)
        tick(zone)
        cid = zone.enter(arrival("cid", gateway="gtw_c"), 0.0).number
        states = {s.number: s.link_dead for s in tick(zone)["gtw_c"][cid].states}
        assert states[ann] is True
        assert [e["link_dead"] for e in zone.snapshot("ses_cid")["entities"]] == [False, True, False]

    def test_it_stays_so_while_its_properties_change(self) -> None:
        zone, _, bob = self.pair()
        zone.detach("ses_ann", 1)
        tick(zone)
        change(zone, "ann", hat="red")
        [state] = tick(zone)["gtw_b"][bob].states
        assert (state.version, state.link_dead) == (2, True)

    def test_it_leaves_and_nothing_more_is_said_of_it(self) -> None:
        zone, ann, bob = self.pair()
        zone.detach("ses_ann", 1)
        zone.leave("ses_ann")
        view = tick(zone)["gtw_b"][bob]
        assert (view.leaves, view.states) == ([ann], [])

    def test_one_whose_socket_went_before_it_came_in(self) -> None:
        """The entry was on its way when the session was detached: nobody gets its views, and others see it."""
        zone = make_zone()
        bob = zone.enter(arrival("bob", gateway="gtw_b"), 0.0).number
        tick(zone)
        ann = zone.enter(arrival("ann", gateway=""), 0.0).number
        views = tick(zone)
        assert views.keys() == {"gtw_b"}
        assert [(s.number, s.link_dead) for s in views["gtw_b"][bob].states] == [(ann, True)]

    def test_its_moves_are_not_taken(self) -> None:
        zone, ann, _ = self.pair()
        zone.detach("ses_ann", 1)
        tick(zone)
        for gateway in ("gtw_a", ""):
            zone.take_input(gateway, move(ann, 1, 51, 50))
        assert tick(zone, 0.1) == {}
        assert zone.standing(zone.of_session("ses_ann")).x == 50.0


class TestFailedAttach:
    """The store refuses an attach that the zone has taken: the one before it holds again."""

    def test_one_that_failed_is_taken_back(self) -> None:
        """The store refused it: the socket before it goes on, and its gateway must believe that the views are for it."""
        zone = make_zone()
        ann = zone.enter(arrival("ann"), 0.0).number
        tick(zone)
        zone.attach("ses_ann", "gtw_b", 2)
        zone.attach("ses_ann", "gtw_a", 1, 2)
        views = tick(zone)
        assert views.keys() == {"gtw_a"}
        assert (views["gtw_a"][ann].reset, views["gtw_a"][ann].attach_epoch) == ((SPEC.id, 1, ann), 1)
        zone.detach("ses_ann", 1)
        assert zone.of_session("ses_ann").link_dead

    def test_one_that_failed_before_it_got_here_is_taken_back_too(self) -> None:
        zone = make_zone()
        ann = zone.enter(arrival("ann"), 0.0).number
        zone.attach("ses_ann", "gtw_a", 1, 2)
        assert tick(zone)["gtw_a"][ann].attach_epoch == 1

    def test_but_not_from_a_third(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann", gateway="gtw_c", attach_epoch=3), 0.0)
        with pytest.raises(Conflict):
            zone.attach("ses_ann", "gtw_a", 1, 2)
        zone.detach("ses_ann", 1, 2)
        assert zone.of_session("ses_ann").gateway_id == "gtw_c"

    def test_one_that_failed_after_the_socket_before_it_was_gone(self) -> None:
        zone = make_zone()
        zone.enter(arrival("ann"), 0.0)
        zone.detach("ses_ann", 1)
        zone.attach("ses_ann", "gtw_b", 2)
        zone.detach("ses_ann", 1, 2)
        entity = zone.of_session("ses_ann")
        assert (entity.gateway_id, entity.attach_epoch, entity.link_dead) == ("", 1, True)
        assert tick(zone) == {}
