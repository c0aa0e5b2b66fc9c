"""Topics, watching and attributes: stored before they are acknowledged."""

from __future__ import annotations

import pytest

from cluster.errors import SubscriptionLimit, Unavailable
from tests.unit.actors.session.stage import ACTOR, Stage


async def test_topics(stage: Stage) -> None:
    host = await stage.host()
    session_id = (await stage.attach(host)).session_id
    assert await stage.belongings.subscribe(session_id, 1, ["news", "zone:1"], []) == ("news", "zone:1")
    assert await stage.belongings.subscribe(session_id, 1, ["x"], ["news"]) == ("zone:1", "x")
    assert (await stage.record(session_id)).subscriptions == ("zone:1", "x")


async def test_too_many_topics_change_nothing(stage: Stage) -> None:
    host = await stage.host()
    session_id = (await stage.attach(host)).session_id
    limit = stage.settings.session.max_subscriptions
    topics = [f"t{n}" for n in range(limit)]
    await stage.belongings.subscribe(session_id, 1, topics, [])
    with pytest.raises(SubscriptionLimit) as refused:
        await stage.belongings.subscribe(session_id, 1, ["one more"], [])
    assert refused.value.limit == limit
    assert (await stage.record(session_id)).subscriptions == tuple(topics)
    assert len(await stage.belongings.subscribe(session_id, 1, ["one more"], ["t0"])) == limit


async def test_watching(stage: Stage) -> None:
    host = await stage.host()
    session_id = (await stage.attach(host)).session_id
    change, watching = await stage.belongings.watch(session_id, 1, ["usr_b", "usr_c", "usr_b"], [])
    assert watching == 2
    assert (change.session_id, change.watching, change.actor) == (session_id, ("usr_b", "usr_c"), ACTOR)
    change, watching = await stage.belongings.watch(session_id, 1, [], ["usr_b"])
    assert (change.watching, watching) == (("usr_c",), 1)
    assert (await stage.record(session_id)).watching == ("usr_c",)


async def test_watching_is_bounded(stage: Stage) -> None:
    host = await stage.host()
    session_id = (await stage.attach(host)).session_id
    await stage.belongings.watch(session_id, 1, [f"usr_{n}" for n in range(stage.settings.presence.watched)], [])
    with pytest.raises(SubscriptionLimit) as refused:
        await stage.belongings.watch(session_id, 1, ["usr_more"], [])
    assert refused.value.limit == stage.settings.presence.watched == 200
    assert len((await stage.record(session_id)).watching) == 200


async def test_attributes(stage: Stage) -> None:
    host = await stage.host()
    session_id = (await stage.attach(host)).session_id
    await stage.belongings.set_attribute(session_id, 1, "language", "sv")
    await stage.belongings.set_attribute(session_id, 1, "volume", {"music": 0.5})
    await stage.belongings.set_attribute(session_id, 1, "language", None)
    assert (await stage.record(session_id)).attributes == {"volume": {"music": 0.5}}


async def test_what_was_not_stored_is_not_true(stage: Stage) -> None:
    host = await stage.host()
    session_id = (await stage.attach(host)).session_id
    told = len(stage.told)
    stage.store.fail("write", times=4)
    for change in (
        stage.belongings.subscribe(session_id, 1, ["news"], []),
        stage.belongings.set_presence(session_id, 1, "away", None, None),
        stage.belongings.watch(session_id, 1, ["usr_b"], []),
        stage.belongings.set_attribute(session_id, 1, "a", 1),
    ):
        with pytest.raises(Unavailable):
            await change
    record = host.sessions[session_id].record
    assert (record.subscriptions, record.status, record.watching, record.attributes) == ((), "online", (), {})
    assert len(stage.told) == told


async def test_all_of_it_survives_the_actor(stage: Stage) -> None:
    first = await stage.host()
    session_id = (await stage.attach(first)).session_id
    await stage.belongings.subscribe(session_id, 1, ["news"], [])
    await stage.belongings.set_presence(session_id, 1, "busy", None, None)
    await stage.belongings.watch(session_id, 1, ["usr_b"], [])
    await stage.belongings.set_attribute(session_id, 1, "a", [1])
    second = await stage.host()
    record = second.sessions[session_id].record
    assert (record.subscriptions, record.status, record.watching, record.attributes) == (
        ("news",),
        "busy",
        ("usr_b",),
        {"a": [1]},
    )
