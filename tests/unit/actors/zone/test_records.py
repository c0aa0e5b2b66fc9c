"""Entities as the store keeps them."""

from __future__ import annotations

import pytest

from actors.zone import records
from actors.zone.records import Record
from cluster.schema import TooNew
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


def stored() -> tuple[Record, bytes]:
    zone = make_zone()
    zone.enter(arrival("ann"), 0.0)
    entity = zone.of_session("ses_ann")
    record = Record(entity, zone.standing(entity), SPEC.id)
    return record, records.dump(record)


def test_what_a_newer_release_adds_is_passed_over() -> None:
    record, data = stored()
    more = data.replace(b'"number"', b'"wings":2,"number"', 1).replace(
        b'{"v":[2,1],', b'{"v":[7,2],"weather":"rain",', 1
    )
    assert more != data
    assert records.load(more) == record


def test_what_a_newer_release_forbids_is_refused() -> None:
    _, data = stored()
    with pytest.raises(TooNew, match="entity of version 7"):
        records.load(data.replace(b'"v":[2,1]', b'"v":[7,3]', 1))


def test_a_record_from_before_there_were_versions() -> None:
    record, data = stored()
    assert records.load(data.replace(b'"v":[2,1],', b"", 1)) == record
