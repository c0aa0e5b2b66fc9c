"""Entities as the store keeps them."""

from __future__ import annotations

import pytest

from actors.zone import records
from tests.unit.actors.zone_model import arrival, make_zone


def test_an_entity_comes_back_as_it_was() -> None:
    zone = make_zone()
    zone.enter(arrival("ann", 10.25, 20.5, y=1.5, yaw=2.0), 0.0)
    entity = zone.of_session("ses_ann")
    zone.commit_change(
        *zone.plan_change("ses_ann", entity.entity_id, 1, {"hat": "röd", "deep": {"list": [1, 2.5, None]}})
    )
    back, standing = records.load(records.dump(entity, zone.standing(entity)))
    assert back == entity
    assert standing == zone.standing(entity)
    assert (back.version, back.properties["hat"]) == (2, "röd")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"{}", b'{"entity": {}, "standing": {}}', b'{"entity": 1, "standing": 2}', b"\xff"],
)
def test_what_is_no_entity_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        records.load(data)


def test_an_entity_with_a_field_too_many_is_a_value_error() -> None:
    """What a later release may have written."""
    zone = make_zone()
    zone.enter(arrival("ann"), 0.0)
    entity = zone.of_session("ses_ann")
    data = records.dump(entity, zone.standing(entity))
    with pytest.raises(ValueError, match="no stored entity"):
        records.load(data.replace(b'"number"', b'"wings":2,"number"', 1))
