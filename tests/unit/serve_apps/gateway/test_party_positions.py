"""Where members of a party are: what is believed of a client, what is said, and what is forgotten."""

from __future__ import annotations

import numpy as np
import orjson

from actors.zone.rows import MOVE_IN, pack_move_in
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.party_positions import NOBODY, REPEAT_S, STALE_S, Heard, Notices, Said, Standing, Track
from serve_apps.gateway.views import View

WORLD = {"position": {"x": 1.0, "y": 0.0, "z": 2.0}}


def move(sequence: int, x: float, z: float) -> bytes:
    return pack_move_in(7, sequence, x, 0.5, z, 0.0)


def view(ack: int, correction: pb.Correction | None = None) -> View:
    made = View(b"", ack.to_bytes(4, "little"), b"")
    made.correction = correction.SerializeToString() if correction else b""
    return made


def correction(sequence: int, x: float, z: float) -> pb.Correction:
    return pb.Correction(sequence=sequence, position=pb.Vector3(x=x, y=0, z=z), reason="too_fast")


def at(session_id: str, x: float = 0.0, zone: str = "zon_a", user_id: str = "") -> Standing:
    return Standing(session_id, user_id or f"usr_{session_id}", f"Name {session_id}", zone, x, 0.0)


class TestTrack:
    def test_where_it_entered(self) -> None:
        assert Track(WORLD, b"").place == (1.0, 2.0)
        assert Track({}, b"").place is None

    def test_where_it_is_by_now(self) -> None:
        assert Track(WORLD, move(9, 5.0, 6.0)).place == (5.0, 6.0)

    def test_a_move_counts_when_the_zone_has_judged_it(self) -> None:
        track = Track(WORLD, b"")
        track.seen(view(0), move(1, 3.0, 4.0))
        assert track.place == (1.0, 2.0)
        track.seen(view(1), move(3, 9.0, 9.0))
        assert track.place == (3.0, 4.0), "and what came since is not judged yet"
        track.seen(view(3), move(3, 9.0, 9.0))
        assert track.place == (9.0, 9.0)

    def test_a_refused_one_never_does(self) -> None:
        track = Track(WORLD, b"")
        track.seen(view(0), move(1, 500.0, 500.0))
        track.seen(view(1, correction(1, 1.5, 2.5)), move(1, 500.0, 500.0))
        assert track.place == (1.5, 2.5)
        track.seen(view(1), move(1, 500.0, 500.0))
        assert track.place == (1.5, 2.5), "nor later"
        track.seen(view(2), move(2, 1.6, 2.5))
        assert track.place is not None
        np.testing.assert_allclose(track.place, (1.6, 2.5), rtol=1e-6)

    def test_it_reads_what_gateways_write(self) -> None:
        row = np.array([(7, 3, 1.25, 2.5, -3.75, 0.5)], MOVE_IN).tobytes()
        assert Track(WORLD, row).place == (1.25, -3.75)


def heard(*messages: bytes, limit: int = 10, now: float = 0.0) -> Heard:
    made = Heard(limit)
    for message in messages:
        made.take(message, now)
    return made


class TestSaying:
    def test_only_what_changed_and_all_of_it_from_time_to_time(self) -> None:
        said = Said("gtw_1")
        assert said.news([], 0.0) == b""
        assert said.news([at("1"), at("2")], 0.0)
        assert said.news([at("1"), at("2")], 1.0) == b""
        (one,) = internal_pb2.PartyPositions.FromString(said.news([at("1", 0.1), at("2")], 2.0)).members
        assert (one.session_id, round(one.x, 1)) == ("1", 0.1)
        assert said.news([at("1", 0.1), at("2")], REPEAT_S - 0.1) == b""
        (two,) = internal_pb2.PartyPositions.FromString(said.news([at("1", 0.1), at("2")], REPEAT_S)).members
        assert two.session_id == "2"

    def test_another_zone_is_a_change(self) -> None:
        said = Said("gtw_1")
        said.news([at("1")], 0.0)
        assert said.news([at("1", zone="zon_b")], 0.0)

    def test_who_goes_is_said_once(self) -> None:
        said = Said("gtw_1")
        said.news([at("1")], 0.0)
        (gone,) = internal_pb2.PartyPositions.FromString(said.news([], 1.0)).members
        assert (gone.session_id, gone.gone) == ("1", True)
        assert said.news([], 2.0) == b""


class TestHearing:
    def test_the_newest_of_each(self) -> None:
        here = heard(Said("gtw_1").news([at("1", 1.0), at("2", 2.0)], 0.0), Said("gtw_2").news([at("1", 3.3)], 0.0))
        assert here.members(0.0) == [at("1", 3.3), at("2", 2.0)]

    def test_who_is_not_spoken_of_any_more_is_forgotten(self) -> None:
        here = heard(Said("gtw_1").news([at("1")], 0.0))
        here.take(Said("gtw_1").news([at("2")], 0.0), STALE_S / 2)
        assert len(here.members(STALE_S)) == 2
        assert here.members(STALE_S + 0.1) == [at("2")]

    def test_who_goes_is_forgotten_at_once(self) -> None:
        said, here = Said("gtw_1"), Heard(10)
        here.take(said.news([at("1"), at("2")], 0.0), 0.0)
        here.take(said.news([at("2")], 1.0), 1.0)
        assert here.members(1.0) == [at("2")]

    def test_but_not_who_has_come_elsewhere_meanwhile(self) -> None:
        """A reconnect: the new gateway may speak before the old one says that the socket is gone."""
        old, here = Said("gtw_1"), Heard(10)
        here.take(old.news([at("1", 1.0)], 0.0), 0.0)
        here.take(Said("gtw_2").news([at("1", 2.0)], 0.0), 0.0)
        here.take(old.news([], 1.0), 1.0)
        assert here.members(1.0) == [at("1", 2.0)]

    def test_one_place_for_a_user_with_several_characters(self) -> None:
        one, two = at("1", 1.0, user_id="usr_a"), at("2", 2.0, user_id="usr_a")
        for order in ([one, two], [two, one]):
            assert heard(*(Said("gtw_1").news([each], 0.0) for each in order)).members(0.0) == [two]

    def test_it_is_bounded(self) -> None:
        here = heard(*(Said("gtw_1").news([at(str(n))], 0.0) for n in range(50)), limit=3)
        assert [standing.session_id for standing in here.members(0.0)] == ["47", "48", "49"]


def test_nobody_is_told_of_oneself() -> None:
    notices = Notices([at("1"), at("2", 2.0), at("3")])
    two = {"user_id": "usr_2", "name": "Name 2", "zone": "zon_a", "x": 2.0, "z": 0.0}
    assert orjson.loads(notices.to("usr_1")) == {
        "members": [two, {**two, "user_id": "usr_3", "name": "Name 3", "x": 0.0}]
    }
    assert orjson.loads(notices.to("usr_3"))["members"][1] == two
    assert orjson.loads(NOBODY) == {"members": []} == orjson.loads(Notices([at("1")]).to("usr_1"))
