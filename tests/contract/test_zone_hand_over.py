"""An entity goes from zone to zone, and is always in exactly one of them: what every adapter of the zone port does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from random import Random

import pytest

from cluster.errors import Fenced, Unavailable
from cluster.ports.zones import Parcel
from tests.contract.zone_stores import A, B, C, Stores, drops, parcel, puts, stores_of

STEPS = 250


@pytest.fixture(params=["memory", "redis"])
async def stores(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Stores]:
    async with stores_of(request, namespace) as made:
        yield made


@pytest.fixture
async def a(stores: Stores) -> int:
    """The epoch of A, which has ent_1 and ent_2."""
    epoch = await stores.zones.take(A, 0)
    await stores.zones.commit(A, epoch, puts(1, 2), {})
    return epoch


@pytest.fixture
async def b(stores: Stores) -> int:
    """The epoch of B, which has nothing."""
    return await stores.zones.take(B, 0)


async def where(stores: Stores, number: int) -> tuple[list[str], str]:
    """The zones that have the entity, and the zone of its session."""
    found = []
    for zone in (A, B, C):
        stored = await stores.zones.load(zone)
        found += [zone] * (f"ent_{number}" in stored.entities) + [zone] * (f"ent_{number}" in stored.arrivals)
    zones = await stores.zones.zones_of([f"ses_{number}"])
    return found, zones.get(f"ses_{number}", "")


class TestHandOver:
    async def test_it_moves_and_its_session_with_it(self, stores: Stores, a: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        assert await stores.has(A) == {"ent_2": b"1"}
        assert await stores.arrivals(A) == await stores.has(B) == {}
        assert await stores.arrivals(B) == {"ent_1": b"moved"}
        assert await stores.zones.zones_of(["ses_1", "ses_2"]) == {"ses_1": B, "ses_2": A}

    async def test_who_has_no_session(self, stores: Stores, a: int) -> None:
        await stores.zones.commit(A, a, {"ent_npc": ("", b"1")}, {})
        await stores.zones.hand_over(A, a, B, [Parcel("ent_npc", "", 1, b"npc")])
        assert await stores.arrivals(B) == {"ent_npc": b"npc"}
        assert await stores.zones.zones_of([""]) == {}

    async def test_nobody(self, stores: Stores, a: int) -> None:
        await stores.zones.hand_over(A, a, B, [])
        assert len(await stores.has(A)) == 2

    async def test_who_is_not_here(self, stores: Stores, a: int) -> None:
        """Never stored, or dropped meanwhile: nothing appears from nowhere."""
        await stores.zones.commit(A, a, {}, drops(2))
        await stores.zones.hand_over(A, a, B, [parcel(2), parcel(9)])
        assert await stores.arrivals(B) == {}
        assert await where(stores, 2) == await where(stores, 9) == ([], "")

    async def test_again(self, stores: Stores, a: int) -> None:
        for record in (b"moved", b"again"):
            await stores.zones.hand_over(A, a, B, [parcel(1, 1, record)])
        assert await stores.arrivals(B) == {"ent_1": b"moved"}
        await stores.zones.hand_over(A, a, B, [parcel(1, 1, b"again"), parcel(2)])
        assert await stores.arrivals(B) == {"ent_1": b"moved", "ent_2": b"moved"}

    async def test_again_after_it_was_claimed(self, stores: Stores, a: int, b: int) -> None:
        await stores.network.lose_answer(stores.zones.hand_over(A, a, B, [parcel(1)]))
        assert await stores.claim(B, b, stores.other) == {"ent_1": b"moved"}
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        assert await stores.has(B) == {"ent_1": b"moved"}
        assert await stores.arrivals(B) == {}

    async def test_again_after_the_other_changed_and_dropped_it(self, stores: Stores, a: int, b: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        await stores.claim(B, b, stores.other)
        await stores.other.commit(B, b, puts(1, record=b"changed there"), {})
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        assert await stores.has(B) == {"ent_1": b"changed there"}
        await stores.other.commit(B, b, {}, drops(1))
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        assert await where(stores, 1) == ([], "")

    async def test_whoever_owns_the_other_zone(self, stores: Stores, a: int, b: int) -> None:
        handing, arrive = await stores.network.hold(stores.zones.hand_over(A, a, B, [parcel(1)]))
        newer = await stores.other.take(B, 1, expected=b)
        arrive.set()
        await handing
        with pytest.raises(Fenced):
            await stores.claim(B, b)
        assert await stores.claim(B, newer, stores.other) == {"ent_1": b"moved"}

    async def test_a_zone_that_nobody_took_yet(self, stores: Stores, a: int) -> None:
        await stores.zones.hand_over(A, a, C, [parcel(1)])
        assert await where(stores, 1) == ([C], C)

    async def test_an_older_arrival_is_replaced_and_a_newer_one_is_not(self, stores: Stores, a: int) -> None:
        for transfer, record, expected in ((3, b"3", b"3"), (4, b"4", b"4"), (2, b"2", b"4"), (4, b"4'", b"4")):
            await stores.zones.commit(A, a, puts(1), {})
            await stores.zones.hand_over(A, a, B, [parcel(1, transfer, record)])
            assert await stores.arrivals(B) == {"ent_1": expected}
            assert await where(stores, 1) == ([B], B)

    async def test_a_late_put_does_not_bring_it_back(self, stores: Stores, a: int) -> None:
        late, arrive = await stores.network.hold(stores.zones.commit(A, a, puts(1, record=b"late"), {}))
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        arrive.set()
        with pytest.raises(Unavailable):
            await late
        assert await where(stores, 1) == ([B], B)


class TestANameThatIsUsedAgain:
    """A character that comes into the world again has the same entity id, and its transfers may begin anew."""

    async def test_where_it_had_come_to(self, stores: Stores, a: int, b: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1, 5)])
        await stores.claim(B, b, stores.other)
        await stores.other.commit(B, b, {}, drops(1))
        await stores.other.commit(B, b, puts(1, record=b"new"), {})
        await stores.other.hand_over(B, b, A, [parcel(1, 1, b"new")])
        assert await stores.claim(A, a) == {"ent_1": b"new"}
        assert await where(stores, 1) == ([A], A)

    async def test_where_it_had_passed_through(self, stores: Stores, a: int, b: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1, 5)])
        await stores.claim(B, b, stores.other)
        await stores.other.hand_over(B, b, C, [parcel(1, 6)])
        c = await stores.zones.take(C, 0)
        await stores.claim(C, c)
        await stores.zones.commit(C, c, {}, drops(1))
        await stores.zones.commit(A, a, puts(1), {})
        await stores.zones.hand_over(A, a, B, [parcel(1, 1, b"new")])
        assert await stores.claim(B, b, stores.other) == {"ent_1": b"new"}
        assert await where(stores, 1) == ([B], B)


class TestThereAndBack:
    async def go_back(self, stores: Stores, b: int) -> None:
        assert await stores.claim(B, b, stores.other) == {"ent_1": b"moved"}
        await stores.other.hand_over(B, b, A, [parcel(1, 2, b"back")])

    async def test_with_a_first_try_that_runs_last(self, stores: Stores, a: int, b: int) -> None:
        given_up, arrive = await stores.network.hold(stores.zones.hand_over(A, a, B, [parcel(1)]))
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        await self.go_back(stores, b)
        assert await stores.claim(A, a) == {"ent_1": b"back"}
        arrive.set()
        with pytest.raises(Unavailable):
            await given_up
        assert await where(stores, 1) == ([A], A)
        assert (await stores.has(A))["ent_1"] == b"back"

    @pytest.mark.parametrize("claimed", [False, True])
    async def test_with_a_repeat_of_the_first(self, stores: Stores, a: int, b: int, claimed: bool) -> None:
        await stores.network.lose_answer(stores.zones.hand_over(A, a, B, [parcel(1)]))
        await self.go_back(stores, b)
        if claimed:
            await stores.claim(A, a)
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        stored = await stores.zones.load(A)
        assert {**stored.entities, **stored.arrivals}["ent_1"] == b"back"
        assert await where(stores, 1) == ([A], A)

    async def test_and_there_again(self, stores: Stores, a: int, b: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        await self.go_back(stores, b)
        await stores.claim(A, a)
        await stores.zones.hand_over(A, a, B, [parcel(1, 3, b"again")])
        assert await stores.claim(B, b, stores.other) == {"ent_1": b"again"}
        assert await where(stores, 1) == ([B], B)

    async def test_over_a_third_zone(self, stores: Stores, a: int, b: int) -> None:
        c = await stores.zones.take(C, 0)
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        await stores.claim(B, b, stores.other)
        await stores.other.hand_over(B, b, C, [parcel(1, 2, b"on")])
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        assert await stores.claim(C, c, stores.other) == {"ent_1": b"on"}
        assert await where(stores, 1) == ([C], C)


class TestClaim:
    async def test_all_that_waits_and_only_once(self, stores: Stores, a: int, b: int) -> None:
        assert await stores.claim(B, b) == {}
        await stores.zones.hand_over(A, a, B, [parcel(1), parcel(2, 7, b"two")])
        assert await stores.claim(B, b) == {"ent_1": b"moved", "ent_2": b"two"}
        assert await stores.claim(B, b) == {}
        assert await stores.has(B) == {"ent_1": b"moved", "ent_2": b"two"}

    async def test_one_without_an_answer_comes_again(self, stores: Stores, a: int, b: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        await stores.network.lose_answer(stores.zones.claim(B, b))
        await stores.zones.hand_over(A, a, B, [parcel(2)])
        await stores.network.lose_answer(stores.zones.claim(B, b))
        assert await stores.claim(B, b) == {"ent_1": b"moved", "ent_2": b"moved"}
        assert await stores.claim(B, b) == {}

    async def test_but_not_if_it_is_gone(self, stores: Stores, a: int, b: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1), parcel(2)])
        await stores.network.lose_answer(stores.zones.claim(B, b))
        await stores.zones.commit(B, b, {}, drops(1))
        assert await stores.claim(B, b) == {"ent_2": b"moved"}

    async def test_the_next_incarnation_finds_it_among_its_entities(self, stores: Stores, a: int, b: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        await stores.network.lose_answer(stores.zones.claim(B, b))
        newer = await stores.other.take(B, 1)
        assert await stores.has(B) == {"ent_1": b"moved"}
        assert await stores.claim(B, newer, stores.other) == {}

    async def test_one_that_is_given_up_takes_nothing(self, stores: Stores, a: int, b: int) -> None:
        given_up, arrive = await stores.network.hold(stores.zones.claim(B, b))
        assert await stores.claim(B, b) == {}
        await stores.zones.hand_over(A, a, B, [parcel(1)])
        arrive.set()
        with pytest.raises(Unavailable):
            await given_up
        assert await stores.claim(B, b) == {"ent_1": b"moved"}

    async def test_an_arrival_that_is_older_than_what_is_here(self, stores: Stores, a: int, b: int) -> None:
        await stores.zones.hand_over(A, a, B, [parcel(1, 5, b"5")])
        await stores.claim(B, b)
        await stores.zones.commit(A, a, puts(1), {})  # A believes that it still has it
        await stores.zones.hand_over(A, a, B, [parcel(1, 4, b"4")])
        assert await stores.claim(B, b) == {}
        assert await stores.has(B) == {"ent_1": b"5"}
        assert await where(stores, 1) == ([B], B)


@pytest.mark.parametrize("seed", range(4))
async def test_everybody_is_in_exactly_one_zone(stores: Stores, seed: int) -> None:
    """At random: hand-overs, claims, changes and new incarnations, answers that are lost, tries that run late, repeats."""
    rng, store = Random(seed), stores.zones
    epochs = {zone: await store.take(zone, 0) for zone in (A, B, C)}
    numbers = range(6)
    await store.commit(A, epochs[A], puts(*numbers, record=b"0"), {})
    known = {A: set(numbers), B: set[int](), C: set[int]()}  # what each owner believes to have
    transfers = Counter[int]()
    given_up: list[tuple[asyncio.Task[None], asyncio.Event]] = []
    happened = Counter[str]()

    async def write(zone: str, to: str, parcels: list[Parcel]) -> None:
        """As an owner does: until it is definite."""
        while True:
            what = rng.choice(("done", "done", "lost", "held"))
            happened[what] += 1
            call = store.hand_over(zone, epochs[zone], to, parcels)
            if what == "done":
                return await call
            if what == "lost":
                await stores.network.lose_answer(call)
            else:
                given_up.append(await stores.network.hold(call))

    async def claim(zone: str) -> None:
        while rng.random() < 0.4:
            await stores.network.lose_answer(store.claim(zone, epochs[zone]))
            happened["claim_lost"] += 1
        known[zone] |= {int(name.removeprefix("ent_")) for name in await stores.claim(zone, epochs[zone])}

    for step in range(STEPS):
        zone, to = rng.sample((A, B, C), 2)
        what = rng.choice(("hand_over", "hand_over", "claim", "claim", "put", "take", "late"))
        if what == "hand_over" and known[zone]:
            going = rng.sample(sorted(known[zone]), rng.randint(1, len(known[zone])))
            transfers.update(going)
            await write(zone, to, [parcel(number, transfers[number], b"%d" % step) for number in going])
            known[zone] -= set(going)
            happened["crossed"] += len(going)
        elif what == "claim":
            await claim(zone)
        elif what == "put" and known[zone]:
            await store.commit(zone, epochs[zone], puts(*known[zone], record=b"%d" % step), {})
        elif what == "take":
            epochs[zone] = await store.take(zone, rng.randrange(2))
            known[zone] = {int(name.removeprefix("ent_")) for name in await stores.has(zone)}
        elif what == "late" and given_up:
            task, arrive = given_up.pop(rng.randrange(len(given_up)))
            arrive.set()
            with pytest.raises((Unavailable, Fenced)):
                await task
        for number in numbers:
            zones, of_session = await where(stores, number)
            assert zones == [of_session], (step, what, number)
    for task, arrive in given_up:
        arrive.set()
        with pytest.raises((Unavailable, Fenced)):
            await task
    for zone in (A, B, C):
        await claim(zone)
        assert {f"ent_{number}" for number in known[zone]} == (await stores.has(zone)).keys()
    assert sum(map(len, known.values())) == len(numbers)
    assert min(happened[what] for what in ("lost", "held", "claim_lost", "crossed")) > 10
