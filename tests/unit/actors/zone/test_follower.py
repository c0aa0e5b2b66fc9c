"""What a follower knows of its zone's owner (row 7.4)."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable, Coroutine

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.zone.follower import ASK_S, DEAF_S, DOUBT, REJOIN_S, Follower, Replica, Silence
from actors.zone.replication import AT_LEAST_S, FORGET_S, Replication
from actors.zone.rows import PLACE, pack_places
from cluster.adapters.memory.bus import MemoryBus
from cluster.subjects import Subjects
from realm_proto import internal_pb2
from tests.simulation import virtual_time
from tests.unit.actors.zone_model import arrival, make_zone

CAPACITY = 16
PATIENCE_S = 0.25


def rows(*places: tuple[int, int, float]) -> bytes:
    """(number, incarnation, x)."""
    made = np.zeros(len(places), PLACE)
    for row, (number, incarnation, x) in zip(made, places, strict=True):
        row["number"], row["incarnation"], row["x"] = number, incarnation, x
    return pack_places(made)


def said(places: bytes = b"", *, epoch: int = 1, whole: bool = False, slot: int = 0) -> internal_pb2.ZoneReplica:
    return internal_pb2.ZoneReplica(zone_id="zon_a", epoch=epoch, tick=1, places=places, whole=whole, slot=slot)


class TestReplica:
    def test_it_is_no_use_before_it_has_heard_everything_once(self) -> None:
        replica = Replica(CAPACITY)
        assert replica.take(said(rows((1, 1, 5.0))))
        assert (replica.synced, replica.places()) == (False, None)
        replica.take(said(rows((2, 2, 6.0)), whole=True))
        assert replica.places() == rows((2, 2, 6.0))
        replica.take(said(whole=True))
        assert (replica.places(), len(replica)) == (b"", 0)

    def test_an_older_incarnation_is_not_believed(self) -> None:
        replica = Replica(CAPACITY)
        replica.take(said(rows((1, 1, 5.0)), epoch=3, whole=True))
        for epoch in (0, 1, 2):
            assert not replica.take(said(rows((1, 1, 9.0)), epoch=epoch, whole=True))
        assert (replica.places(), replica.epoch) == (rows((1, 1, 5.0)), 3)

    def test_of_a_newer_one_nothing_is_known_yet(self) -> None:
        replica = Replica(CAPACITY)
        replica.take(said(rows((1, 1, 5.0)), whole=True))
        assert replica.expect(2)
        assert not replica.expect(2)
        assert (replica.synced, len(replica)) == (False, 0)
        replica.take(said(rows((2, 1, 5.0)), epoch=3, whole=True))
        assert replica.places() == rows((2, 1, 5.0))

    def test_a_store_that_lost_its_data_begins_again_and_so_does_it(self) -> None:
        replica = Replica(CAPACITY)
        replica.take(said(rows((1, 1, 5.0)), epoch=7, whole=True))
        assert replica.expect(1)
        assert replica.places() is None
        assert replica.take(said(rows((1, 1, 5.0)), epoch=1, whole=True))

    def test_nonsense_harms_nothing(self) -> None:
        replica = Replica(CAPACITY)
        replica.take(said(rows((1, 1, 5.0)), whole=True))
        with pytest.raises(ValueError, match="no places"):
            replica.take(said(b"x" * 27, epoch=2, whole=True))
        replica.take(said(rows((CAPACITY, 1, 5.0), (2**32 - 1, 1, 5.0))))
        assert replica.places() == rows((1, 1, 5.0))
        assert replica.epoch == 1

    @given(
        st.lists(
            st.tuples(
                st.booleans(), st.dictionaries(st.integers(0, 15), st.tuples(st.integers(1, 5), st.integers(0, 99)))
            )
        )
    )
    def test_it_is_what_was_said_last_of_everybody(
        self, history: list[tuple[bool, dict[int, tuple[int, int]]]]
    ) -> None:
        replica, model = Replica(CAPACITY), dict[int, tuple[int, int]]()
        replica.take(said(whole=True))
        for whole, places in history:
            model = {**({} if whole else model), **places}
            replica.take(said(rows(*((n, i, float(x)) for n, (i, x) in places.items())), whole=whole))
        assert replica.places() == rows(*((n, *model[n]) for n in sorted(model)))


class TestSilence:
    def test_only_what_came_back_counts(self) -> None:
        silence = Silence(0.0)
        silence.asked(0.3)
        assert not silence.longer_than(PATIENCE_S)
        silence.echoed(0.3, 0.301)
        assert silence.longer_than(PATIENCE_S)
        silence.heard(0.302)
        assert not silence.longer_than(PATIENCE_S)

    def test_a_question_from_before_says_nothing_of_what_is_now(self) -> None:
        """This process stood still: what was sent to it meanwhile comes before the answer to what it asks now."""
        silence = Silence(0.0)
        silence.asked(0.1)
        silence.echoed(0.1, 20.0)
        assert not silence.longer_than(PATIENCE_S)

    def test_an_owner_may_be_slower_to_come_back_than_this_process(self) -> None:
        silence = Silence(0.0)
        for asked_at in (0.1, 0.2, 0.3):
            silence.asked(asked_at)
        silence.asked(10.0)
        silence.echoed(10.0, 10.001)  # the bus is back
        silence.asked(10.0 + REJOIN_S)
        silence.echoed(10.0 + REJOIN_S, 10.001 + REJOIN_S)
        assert not silence.longer_than(PATIENCE_S)
        late = 10.01 + REJOIN_S + PATIENCE_S
        silence.asked(late)
        silence.echoed(late, late + 0.001)
        assert silence.longer_than(PATIENCE_S)

    def test_who_is_heard_again_has_no_more_time_than_others(self) -> None:
        silence = Silence(0.0)
        silence.deaf(10.0)
        silence.heard(10.5)
        silence.asked(10.8)
        silence.echoed(10.8, 10.8 + DEAF_S / 2)
        assert silence.longer_than(PATIENCE_S)


class Stage:
    """A follower, and what it says."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.subjects = Subjects("test")
        self.asked: list[float] = []
        self.follower = Follower("zon_a", 1, CAPACITY, PATIENCE_S, self.bus, self.subjects, time.monotonic, time.time)

    async def start(self) -> None:
        await self.bus.subscribe(self.subjects.zone_follower("zon_a"), lambda _: self.asked.append(time.monotonic()))
        await self.follower.start()

    def owner_says(self, message: internal_pb2.ZoneReplica) -> None:
        self.bus.publish(self.subjects.zone_replica("zon_a"), message.SerializeToString())

    async def for_s(self, seconds: float, says: internal_pb2.ZoneReplica | None = None) -> None:
        """Time goes by; an owner speaks twenty times a second."""
        speaking = asyncio.create_task(self._speak(says)) if says is not None else None
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.follower.ask(time.monotonic())
            await self.follower.wait()
        if speaking is not None:
            speaking.cancel()

    async def _speak(self, says: internal_pb2.ZoneReplica) -> None:
        while True:
            self.owner_says(says)
            await asyncio.sleep(0.05)


def play(scenario: Callable[[Stage], Coroutine[None, None, None]]) -> None:
    async def all_of_it() -> None:
        stage = Stage()
        await stage.start()
        await scenario(stage)

    virtual_time.run(all_of_it)


class TestFollower:
    def test_it_asks_now_and_then_and_in_a_hurry_when_nobody_answers(self) -> None:
        async def scenario(stage: Stage) -> None:
            await stage.for_s(5.0, said(whole=True))
            assert 5 <= len(stage.asked) <= 7
            assert not stage.follower.silence.longer_than(PATIENCE_S)
            stage.asked.clear()
            began = time.monotonic()
            await stage.for_s(0.4)
            assert stage.follower.silence.longer_than(PATIENCE_S)
            assert began + PATIENCE_S * DOUBT - 0.1 < stage.asked[0] < began + PATIENCE_S
            await stage.for_s(5.0)
            stage.asked.clear()
            await stage.for_s(10 * ASK_S)
            assert 9 <= len(stage.asked) <= 11, "not for ever in a hurry"

        play(scenario)

    def test_without_a_bus_it_asks_nothing_and_blames_nobody(self) -> None:
        async def scenario(stage: Stage) -> None:
            stage.bus.set_connected(False)
            await stage.for_s(3.0)
            assert stage.asked == []
            stage.bus.set_connected(True)
            await stage.for_s(REJOIN_S - 0.1)
            assert not stage.follower.silence.longer_than(PATIENCE_S)
            await stage.for_s(PATIENCE_S + 0.3)
            assert stage.follower.silence.longer_than(PATIENCE_S)

        play(scenario)

    def test_its_own_earlier_incarnation_is_not_its_owner(self) -> None:
        async def scenario(stage: Stage) -> None:
            stage.owner_says(said(rows((1, 1, 1.0)), epoch=4, whole=True, slot=1))
            await asyncio.sleep(0.01)
            assert (stage.follower.replica.epoch, stage.follower.replica.synced) == (0, False)

        play(scenario)

    def test_a_newer_owner_has_all_the_time_to_speak(self) -> None:
        async def scenario(stage: Stage) -> None:
            await stage.for_s(0.5)
            assert stage.follower.silence.longer_than(PATIENCE_S)
            stage.follower.expect(1)
            assert not stage.follower.silence.longer_than(PATIENCE_S)
            before = len(stage.asked)
            stage.follower.ask(time.monotonic())
            await asyncio.sleep(0)
            assert len(stage.asked) == before + 1, "it wants to know everything at once"
            await stage.for_s(0.5)
            stage.follower.expect(1)
            assert stage.follower.silence.longer_than(PATIENCE_S)

        play(scenario)

    def test_another_followers_questions_are_not_its_own(self) -> None:
        async def scenario(stage: Stage) -> None:
            other = internal_pb2.ZoneFollower(follower=b"other", sent_at=time.monotonic() + 60)
            stage.bus.publish(stage.subjects.zone_follower("zon_a"), other.SerializeToString())
            await asyncio.sleep(0.01)
            assert not stage.follower.silence.longer_than(PATIENCE_S)

        play(scenario)

    def test_stopped_it_hears_nothing(self) -> None:
        async def scenario(stage: Stage) -> None:
            await stage.follower.stop()
            stage.owner_says(said(whole=True))
            await asyncio.sleep(0.01)
            assert stage.follower.replica.epoch == 0

        play(scenario)


class TestReplication:
    def messages(self, replication: Replication, moved: np.ndarray, now: float) -> list[internal_pb2.ZoneReplica]:
        return [internal_pb2.ZoneReplica.FromString(data) for data in replication.tell(moved, now)]

    def test_a_follower_that_asks_hears_all_of_it_once_then_who_moved(self) -> None:
        zone = make_zone(CAPACITY)
        numbers = [zone.enter(arrival(name, x=10.0 * n), 0.0).number for n, name in enumerate("abc")]
        replication, replica = Replication(zone, 1), Replica(CAPACITY)
        moved = np.zeros(CAPACITY, bool)
        assert self.messages(replication, moved, 0.0) == [], "nobody follows"
        replication.asked(0.0)
        (whole,) = self.messages(replication, moved, 0.0)
        assert (whole.whole, whole.slot, whole.epoch) == (True, 1, zone.epoch)
        replica.take(whole)
        rng = random.Random(1)
        for tick in range(1, 60):
            moved[:] = False
            for number in rng.sample(numbers, 2):
                zone.table.position[number, 0] = rng.uniform(0, 100)
                moved[number] = True
            for message in self.messages(replication, moved, tick * 0.05):
                assert not message.whole
                replica.take(message)
            assert replica.places() == zone.places()

    def test_a_zone_that_stands_still_says_that_it_is_there(self) -> None:
        zone = make_zone(CAPACITY)
        replication, nobody = Replication(zone, 0), np.zeros(CAPACITY, bool)
        replication.asked(0.0)
        said_at = [now for tick in range(100) for now in [tick * 0.05] if self.messages(replication, nobody, now)]
        assert len(said_at) > 40
        assert max(b - a for a, b in itertools.pairwise(said_at)) <= AT_LEAST_S + 0.051

    def test_a_follower_that_asks_no_more_is_forgotten(self) -> None:
        zone = make_zone(CAPACITY)
        replication, nobody = Replication(zone, 0), np.zeros(CAPACITY, bool)
        replication.asked(0.0)
        assert self.messages(replication, nobody, FORGET_S)
        assert not self.messages(replication, nobody, FORGET_S + 0.2)
        replication.asked(60.0)
        assert self.messages(replication, nobody, 60.0)[0].whole

    def test_no_message_is_too_big_for_the_bus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("actors.zone.replication.MAX_ROWS", 2)
        zone = make_zone(CAPACITY)
        for n in range(5):
            zone.enter(arrival(f"p{n}", x=10.0 * n), 0.0)
        replication, replica = Replication(zone, 0), Replica(CAPACITY)
        replication.asked(0.0)
        made = self.messages(replication, np.zeros(CAPACITY, bool), 0.0)
        assert [(len(m.places) // PLACE.itemsize, m.whole) for m in made] == [(2, True), (2, False), (1, False)]
        for message in made:
            replica.take(message)
        assert replica.places() == zone.places()
