"""What a user chooses to show: checked, stored before it is acknowledged, and what the next session starts with (row 3.2)."""

from __future__ import annotations

from typing import Any

import pytest

from actors.session.attaching import Attach
from cluster.errors import Conflict, InvalidInput, InvalidState, Unavailable
from tests.unit.actors.session.stage import Stage


@pytest.fixture
async def session_id(stage: Stage) -> str:
    return (await stage.attach(await stage.host())).session_id


@pytest.mark.parametrize("status", ["away", "busy", "invisible"])
async def test_a_status_is_stored_and_told(stage: Stage, session_id: str, status: str) -> None:
    now = await stage.belongings.set_presence(session_id, 1, status, None, None)
    assert now == {"status": status, "text": "", "metadata": {}}
    assert (await stage.record(session_id)).status == status
    assert stage.told[-1].status == status


async def test_each_change_is_a_later_edition(stage: Stage, session_id: str) -> None:
    """By which an index that is rebuilt from records knows what had to wait for it."""
    for status in ("away", "busy"):
        before = (await stage.record(session_id)).edition
        await stage.belongings.set_presence(session_id, 1, status, None, None)
        assert (await stage.record(session_id)).edition == stage.told[-1].edition == before + 1


@pytest.mark.parametrize("status", ["", "offline", "ONLINE"])
async def test_no_other_status(stage: Stage, session_id: str, status: str) -> None:
    told = len(stage.told)
    with pytest.raises(InvalidState) as refused:
        await stage.belongings.set_presence(session_id, 1, status, "text", {})
    assert (refused.value.reason, refused.value.state) == ("status_not_allowed", "online")
    record = await stage.record(session_id)
    assert (record.status, record.status_text, len(stage.told)) == ("online", "", told)


async def test_what_is_left_out_stays(stage: Stage, session_id: str) -> None:
    change = stage.belongings.set_presence
    await change(session_id, 1, "busy", "cooking", {"song": "x"})
    assert await change(session_id, 1, None, "eating", None) == {
        "status": "busy",
        "text": "eating",
        "metadata": {"song": "x"},
    }
    assert await change(session_id, 1, None, "", {}) == {"status": "busy", "text": "", "metadata": {}}
    told = len(stage.told)
    await change(session_id, 1, "busy", "", {})
    assert len(stage.told) == told, "nothing is another"


async def test_a_text_is_cleaned(stage: Stage, session_id: str) -> None:
    now = await stage.belongings.set_presence(session_id, 1, None, "e\u0301 \u202eold\u0007", None)
    assert now["text"] == "\u00e9 old"
    assert stage.told[-1].text == "\u00e9 old"


async def test_metadata_is_cleaned_names_and_values(stage: Stage, session_id: str) -> None:
    now = await stage.belongings.set_presence(
        session_id, 1, None, None, {"so\u202eng": "e\u0301 \u2066x\u0007", "on": ""}
    )
    assert now["metadata"] == {"song": "\u00e9 x", "on": ""}
    assert stage.told[-1].metadata == (await stage.record(session_id)).status_metadata == now["metadata"]


@pytest.mark.parametrize(
    ("text", "metadata", "field"),
    [
        ("x" * 121, None, "text"),
        ("\u200b", None, "text"),
        (None, {f"m{number}": "" for number in range(9)}, "metadata"),
        (None, {"": "x"}, "metadata"),
        (None, {"n" * 33: "x"}, "metadata"),
        (None, {"song": "x" * 129}, "metadata.song"),
        (None, {"song": "\u202e"}, "metadata.song"),
        (None, {"\u202e": "x"}, "metadata"),
        (None, {"song": "x", "so\u202eng": "y"}, "metadata"),
    ],
)
async def test_limits(
    stage: Stage, session_id: str, text: str | None, metadata: dict[str, str] | None, field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        await stage.belongings.set_presence(session_id, 1, "busy", text, metadata)
    assert [name for name, _ in refused.value.errors] == [field]
    assert (await stage.record(session_id)).status == "online"


async def test_the_most_that_is_taken(stage: Stage, session_id: str) -> None:
    most: dict[str, Any] = {f"{number}" + "n" * 31: "v" * 128 for number in range(8)}
    now = await stage.belongings.set_presence(session_id, 1, None, "x" * 120, most)
    assert (now["text"], now["metadata"]) == ("x" * 120, most)


async def test_idleness_is_stored_and_told_once(stage: Stage, session_id: str) -> None:
    told = len(stage.told)
    await stage.belongings.set_idle(session_id, 1, True)
    await stage.belongings.set_idle(session_id, 1, True)
    assert ((await stage.record(session_id)).idle, stage.told[-1].effective, len(stage.told)) == (
        True,
        "away",
        told + 1,
    )
    await stage.belongings.set_idle(session_id, 1, False)
    assert ((await stage.record(session_id)).idle, stage.told[-1].effective) == (False, "online")


async def test_the_next_socket_knows_that_it_is_idle(stage: Stage, session_id: str) -> None:
    await stage.belongings.set_idle(session_id, 1, True)
    again = await (await stage.host()).attach(Attach(session_id, "usr_a", "gtw_b"))
    assert (again.attach_epoch, again.idle) == (2, True)


async def test_another_socket_may_not_say_so(stage: Stage, session_id: str) -> None:
    for change in (
        stage.belongings.set_idle(session_id, 2, True),
        stage.belongings.set_presence(session_id, 2, "busy", None, None),
    ):
        with pytest.raises(Conflict):
            await change
    record = await stage.record(session_id)
    assert (record.idle, record.status) == (False, "online")


async def test_what_is_not_stored_is_not_told(stage: Stage, session_id: str) -> None:
    told = len(stage.told)
    stage.store.fail("write", times=2)
    with pytest.raises(Unavailable):
        await stage.belongings.set_idle(session_id, 1, True)
    with pytest.raises(Unavailable):
        await stage.belongings.set_presence(session_id, 1, "busy", "x", None)
    record = stage.belongings._table.sessions[session_id].record
    assert (record.idle, record.status, record.status_text, len(stage.told)) == (False, "online", "", told)


async def test_a_session_begins_as_its_user_left(stage: Stage) -> None:
    await stage.social.inner.choose("usr_a", {"status": "invisible", "text": "out", "metadata": {"song": "x"}})
    attached = await stage.attach(await stage.host())
    record = await stage.record(attached.session_id)
    assert (record.status, record.status_text, record.status_metadata) == ("invisible", "out", {"song": "x"})
    assert {change.status for change in stage.told} == {"invisible"}, "from the first moment on"


async def test_a_restart_announces_nobody_who_never_had_a_socket(stage: Stage) -> None:
    """Its record says online, whatever the user chose: it would speak for one who is invisible."""
    await stage.social.inner.choose("usr_a", {"status": "invisible"})
    hidden = (await stage.attach(await stage.host())).session_id
    detached = (await stage.attach(await stage.host(), "usr_b")).session_id
    await (await stage.host()).detach(detached, 1)
    placed = await stage.place("usr_a")
    stage.told.clear()
    host = await stage.host()
    assert placed in host.sessions
    assert sorted((change.session_id, change.status) for change in stage.told) == [
        (hidden, "invisible"),
        (detached, "online"),
    ]
    attached = await host.attach(Attach(placed, "usr_a", "gtw_a"))
    assert (attached.attach_epoch, stage.told[-1].status) == (1, "invisible")


async def test_a_session_that_never_had_a_socket_is_no_sign_of_life(stage: Stage) -> None:
    """Nor does its end tell friends that somebody invisible was there."""
    await stage.social.inner.choose("usr_a", {"status": "invisible"})
    await stage.host()
    placed = await stage.place("usr_a")
    host = await stage.host()
    assert placed in host.sessions
    await stage.wait(host, stage.settings.session.grace_s + 2)
    assert placed not in host.sessions
    assert (await stage.social.inner.profiles(["usr_a"]))["usr_a"].last_online == 0.0
