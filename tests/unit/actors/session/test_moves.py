"""Sessions whose characters walked into other zones: their records follow (row 7.2)."""

from __future__ import annotations

import pytest

from cluster.errors import Fenced, InvalidState, RealmError, SessionGone, Unavailable
from tests.unit.actors.session.stage import FOREST, MEADOW, Stage


async def test_the_record_and_the_presence_index_are_told(stage: Stage) -> None:
    host = await stage.host()
    first, second = await stage.enter(host), await stage.enter(host, "usr_b", "Bob")
    stage.told.clear()
    stage.moves.moved(FOREST, [first.session_id, "ses_unknown"])
    assert (await stage.record(first.session_id)).zone_id == MEADOW, "not at once"
    await stage.moves.settle()
    assert (await stage.record(first.session_id)).zone_id == FOREST
    assert (await stage.record(second.session_id)).zone_id == MEADOW
    assert [(change.session_id, change.zone_id) for change in stage.told] == [(first.session_id, FOREST)]
    await stage.moves.settle()
    assert len(stage.told) == 1


async def test_the_newest_of_several_counts(stage: Stage) -> None:
    host = await stage.host()
    attached = await stage.enter(host)
    for zone in (FOREST, MEADOW, FOREST, MEADOW):
        stage.moves.moved(zone, [attached.session_id])
    stage.store.called.clear()
    await stage.moves.settle()
    assert (await stage.record(attached.session_id)).zone_id == MEADOW
    assert "write" not in stage.store.called, "it is where it was"


async def test_who_is_in_no_zone_does_not_move(stage: Stage) -> None:
    host = await stage.host()
    outside, gone = await stage.attach(host), await stage.enter(host, "usr_b", "Bob")
    stage.moves.moved(FOREST, [outside.session_id, gone.session_id])
    await host.leave(gone.session_id, 1)
    await stage.moves.settle()
    for each in (outside, gone):
        assert (await stage.record(each.session_id)).zone_id == ""


async def test_a_store_that_is_away_loses_nothing(stage: Stage) -> None:
    host = await stage.host()
    first, second = await stage.enter(host), await stage.enter(host, "usr_b", "Bob")
    stage.store.fail("write", Unavailable("redis"))
    stage.moves.moved(FOREST, [first.session_id, second.session_id])
    await stage.moves.settle()
    assert (await stage.record(first.session_id)).zone_id == MEADOW
    assert (await stage.record(second.session_id)).zone_id == FOREST
    assert stage.moves.waiting
    await stage.moves.settle()
    assert (await stage.record(first.session_id)).zone_id == FOREST
    assert not stage.moves.waiting


async def test_a_move_that_waits_does_not_undo_a_newer_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    host = await stage.host()
    attached = await stage.enter(host)

    async def away(*args: object) -> None:
        stage.moves.moved(MEADOW, [attached.session_id])
        raise Unavailable("redis")

    monkeypatch.setattr(stage.records, "write", away)
    stage.moves.moved(FOREST, [attached.session_id])
    await stage.moves.settle()
    monkeypatch.undo()
    await stage.moves.settle()
    assert (await stage.record(attached.session_id)).zone_id == MEADOW


@pytest.mark.parametrize("error", [SessionGone("session_unknown"), InvalidState("state", "disconnecting")])
async def test_one_that_cannot_be_noted_any_more_is_not_tried_for_ever(stage: Stage, error: RealmError) -> None:
    host = await stage.host()
    attached = await stage.enter(host)
    stage.store.fail("write", error)
    stage.moves.moved(FOREST, [attached.session_id])
    await stage.moves.settle()
    assert not stage.moves.waiting


async def test_an_older_incarnation_stops(stage: Stage) -> None:
    host = await stage.host()
    attached = await stage.enter(host)
    old = stage.moves
    await stage.host()
    old.moved(FOREST, [attached.session_id])
    with pytest.raises(Fenced):
        await old.settle()
