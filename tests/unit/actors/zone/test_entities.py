"""Numbers are short names: one must never mean two entities to anybody."""

from __future__ import annotations

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
    with pytest.raises(ValueError, match="not in deque"):
        table.reserve(1)


def test_a_changed_entity_is_another_one() -> None:
    entity = put(EntityTable(1), "ann")
    changed = entity.changed({"hat": "red"})
    assert (entity.version, entity.properties) == (1, {})
    assert (changed.version, changed.properties) == (2, {"hat": "red"})
    assert changed.entity_id == entity.entity_id
