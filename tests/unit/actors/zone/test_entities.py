"""Numbers are short names: one must never mean two entities to anybody."""

from __future__ import annotations

import random
import time
from dataclasses import replace

import pytest

from actors.zone.entities import NO_GATEWAY, Entity, EntityTable
from cluster.errors import RateLimited


def put(table: EntityTable, name: str, number: int | None = None) -> Entity:
    number = table.next_number() if number is None else number
    entity = Entity(number, 1, f"ent_{name}", "player", name, f"ses_{name}", "usr", f"chr_{name}", "gtw", 1)
    table.add(entity, 1.0, 2.0, 3.0, 0.5, 7, 10.0, 100.0)
    return entity


def test_an_entity_is_found_by_all_its_names_until_it_is_removed() -> None:
    table = EntityTable(4)
    entity = put(table, "ann")
    n = entity.number
    assert table.by_number[n] is table.by_session["ses_ann"] is table.by_id["ent_ann"] is entity
    assert table.position[n].tolist() == [1.0, 2.0, 3.0]
    assert (table.yaw[n], table.sequence[n], table.budget[n], table.budget_at[n]) == (0.5, 7, 10.0, 100.0)
    assert table.alive[n]
    assert table.gateway[n] == NO_GATEWAY
    assert len(table) == 1
    table.gateway[n] = 3
    assert table.remove(n) is entity
    assert not table.by_number
    assert not table.by_session
    assert not table.by_id
    assert not table.alive[n]
    assert table.gateway[n] == NO_GATEWAY
    assert len(table) == 0


def test_a_freed_number_rests_until_the_tick_is_over() -> None:
    table = EntityTable(1)
    table.remove(put(table, "ann").number)
    with pytest.raises(RateLimited, match="zone full"):
        table.next_number()
    table.end_tick()
    assert table.next_number() == 0


def test_freed_numbers_are_used_last() -> None:
    table = EntityTable(4)
    first = put(table, "ann").number
    table.remove(first)
    table.end_tick()
    assert [table.next_number() for _ in range(4)] == [1, 2, 3, 0]


def test_a_full_table_refuses_and_says_when_to_try_again() -> None:
    table = EntityTable(2)
    assert [table.next_number(), table.next_number()] == [0, 1]
    with pytest.raises(RateLimited) as refused:
        table.next_number()
    assert refused.value.retry_after_s > 0


def test_a_reserved_number_is_not_given_to_another() -> None:
    table = EntityTable(3)
    table.reserve(1)
    put(table, "ann", 1)
    assert [table.next_number(), table.next_number()] == [0, 2]
    with pytest.raises(ValueError, match="1 is not free"):
        table.reserve(1)


def test_room_counts_what_is_reserved() -> None:
    table = EntityTable(4)
    for number in (3, 0):
        table.reserve(number)
    assert table.room == 2
    assert [table.next_number(), table.next_number()] == [1, 2]
    assert table.room == 0
    with pytest.raises(RateLimited):
        table.next_number()


def test_a_reserved_number_that_is_freed_comes_once_and_last() -> None:
    table = EntityTable(3)
    for _ in range(3):
        table.reserve(0)
        table.remove(put(table, "ann", 0).number)
        with pytest.raises(ValueError, match="0 is not free"):
            table.reserve(0)
        table.end_tick()
        assert table.room == 3
    assert [table.next_number() for _ in range(3)] == [1, 2, 0]
    assert table.room == 0


def test_any_order_of_reserving_taking_and_freeing_gives_every_number_once() -> None:
    rng = random.Random(4)
    table = EntityTable(12)
    taken: set[int] = set()
    for _ in range(2_000):
        choice = rng.random()
        if choice < 0.35 and len(taken) < 12:
            number = table.next_number()
            assert number not in taken
            taken.add(put(table, str(number), number).number)
        elif choice < 0.65 and len(taken) < 12:
            number = rng.choice([n for n in range(12) if n not in taken])
            table.reserve(number)
            taken.add(put(table, str(number), number).number)
        elif taken:
            number = rng.choice(sorted(taken))
            table.remove(number)
            taken.remove(number)
            table.end_tick()
        assert table.room == 12 - len(taken)


def test_reserving_all_of_a_large_table_backwards_is_no_work() -> None:
    table = EntityTable(65_536)
    began = time.process_time()
    for number in reversed(range(65_536)):
        table.reserve(number)
    assert table.room == 0
    assert time.process_time() - began < 2.0  # to search the queue each time takes half a minute


def ghost(entity: Entity, owner: str) -> Entity:
    return replace(entity, owner=owner)


class TestGhosts:
    """Entities of other zones: known by id, nobody's player here."""

    def test_one_takes_a_number_and_is_not_mine(self) -> None:
        table = EntityTable(2)
        put(table, "ann")
        other = ghost(put(EntityTable(4), "bob"), "zon_other")
        other.number = table.next_number()
        table.add(other, 1.0, 2.0, 3.0, 0.5, 7, 0.0, 100.0)
        assert (len(table), table.room) == (2, 0)
        assert table.alive[:2].tolist() == [True, True]
        assert table.mine[:2].tolist() == [True, False]
        assert "ses_bob" not in table.by_session
        assert table.by_id["ent_bob"] is other

    def test_one_s_own_becomes_one_and_the_other_way_round(self) -> None:
        table = EntityTable(2)
        ann = put(table, "ann")
        table.gateway[ann.number] = 3
        table.frozen[ann.number] = True
        ann.owner = "zon_other"
        table.own(ann.number)
        assert (table.mine[ann.number], table.alive[ann.number]) == (False, True)
        assert table.gateway[ann.number] == NO_GATEWAY, "its views come from its owner"
        assert not table.frozen[ann.number]
        assert table.by_session == {}
        again = ghost(ann, "")
        table.replace(again)
        assert table.mine[ann.number]
        assert table.by_session["ses_ann"] is table.by_id["ent_ann"] is table.by_number[ann.number] is again
        assert table.position[ann.number].tolist() == [1.0, 2.0, 3.0]

    def test_a_session_that_is_somebody_else_s_by_now_is_left_alone(self) -> None:
        """It left and came in anew, and the entity that it had before goes later."""
        table = EntityTable(2)
        old = put(table, "ann")
        new = Entity(table.next_number(), 2, "ent_new", "player", "new", "ses_ann", "usr", "chr_new", "gtw", 2)
        table.add(new, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)
        old.owner = "zon_other"
        table.own(old.number)
        table.remove(old.number)
        assert table.by_session["ses_ann"] is new

    def test_those_without_a_session_are_in_no_index_of_sessions(self) -> None:
        table = EntityTable(1)
        tree = Entity(table.next_number(), 1, "ent_tree", "npc", "Tree", "", "", "", "", 0)
        table.add(tree, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)
        assert (table.by_session, table.mine[0], tree.link_dead) == ({}, True, False)
        table.remove(tree.number)
        assert table.by_id == {}


def test_who_is_link_dead() -> None:
    entity = put(EntityTable(1), "ann")
    assert not entity.link_dead
    entity.gateway_id = ""
    assert entity.link_dead
