"""Entities as the store keeps them."""

from __future__ import annotations

import pytest

from actors.zone import records
from actors.zone.records import Record
from tests.unit.actors.zone_model import SPEC, arrival, change, make_zone


def test_an_entity_comes_back_as_it_was() -> None:
    zone = make_zone()
    zone.enter(arrival("ann", 10.25, 20.5, y=1.5, yaw=2.0), 0.0)
    entity = zone.of_session("ses_ann")
    change(zone, "ann", hat="röd", deep={"list": [1, 2.5, None]})
    entity.owner, entity.transfer = "zon_other", 1_700_000_003
    record = Record(entity, zone.standing(entity), SPEC.id, 7.5, 1_700_000_000.25)
    back = records.load(records.dump(record))
    assert back == record
    assert (back.entity.version, back.entity.properties["hat"]) == (2, "röd")


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
    data = records.dump(Record(entity, zone.standing(entity), SPEC.id))
    with pytest.raises(ValueError, match="no stored entity"):
        records.load(data.replace(b'"number"', b'"wings":2,"number"', 1))
