"""What all players are told, and what is no text, no topic, no maintenance."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cluster.errors import Conflict, InvalidState, NotFound
from cluster.operations import announcing
from cluster.operations.announcing import Broadcast, Maintain, Publish, words
from cluster.operations.model import Operator, Role
from cluster.operations.people import Export, Message
from cluster.ports.accounts import Account
from cluster.ports.protection import Maintenance
from tests.unit.cluster.operator_rig import make_desk


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "The realm takes nobody in for maintenance. You can stay."),
        ({"reason": "new ground"}, "The realm takes nobody in for maintenance: new ground. You can stay."),
        ({"close_after_s": 0.0}, "The realm closes for maintenance now."),
        ({"close_after_s": 90.0}, "The realm closes for maintenance in 90 s."),
        ({"close_after_s": 300.0, "reason": "x"}, "The realm closes for maintenance in 5 min: x."),
    ],
)
def test_what_players_are_told(params: dict[str, Any], said: str) -> None:
    assert words(Maintain(on=True, **params)) == said


@pytest.mark.parametrize("text", ["", "  ", "x" * 1_001, "a\x00b", "a\u202eb", "a\tb"])
def test_no_texts(text: str) -> None:
    for kind, more in ((Broadcast, {}), (Message, {"session": "ses_1"})):
        with pytest.raises(ValidationError):
            kind(text=text, **more)


@pytest.mark.parametrize("given", [{}, {"user": "a", "session": "ses_1"}])
def test_one_of_two(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Message(text="x", **given)
    with pytest.raises(ValidationError):
        Export(**given)


@pytest.mark.parametrize(("topic", "data"), [("chat:hall", 1), ("", 1), ("news", "x" * 9_000)])
def test_no_topics(topic: str, data: Any) -> None:
    with pytest.raises(ValidationError):
        Publish(topic=topic, data=data)


@pytest.mark.parametrize(
    "given", [{"close_after_s": -1.0}, {"close_after_s": 4_000.0}, {"for_s": 0.0}, {"reason": "a\nb"}, {"allow": [""]}]
)
def test_no_maintenance(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Maintain(on=True, **given)


async def test_who_is_allowed_must_be_somebody() -> None:
    desk = make_desk()
    await desk.accounts.create(Account("usr_ann", "ann", "$argon2id$", 1.0))
    settled = await announcing.settle(desk, Maintain(on=True, allow=["Ann", "usr_ann"]))
    assert settled.allow == ["usr_ann"]
    with pytest.raises(NotFound):
        await announcing.settle(desk, Maintain(on=True, allow=["nobody"]))


async def test_only_what_a_job_closed_is_opened_by_cancelling_it() -> None:
    desk = make_desk(now=lambda: 100.0)
    params = Maintain(on=True)
    for held in (None, Maintenance(1.0, "a", "", job="job_2"), Maintenance(1.0, "a", "", close_at=99.0, job="job_1")):
        await desk.protection.maintain(held, 50.0)
        with pytest.raises(InvalidState):
            await announcing.cancel(desk, params, "job_1")
        assert await announcing.current(desk) == held
    await desk.protection.maintain(Maintenance(1.0, "a", "", close_at=101.0, job="job_1"), 50.0)
    await announcing.cancel(desk, params, "job_1")
    assert await announcing.current(desk) is None


class Job:
    operator = Operator("operator:ada", Role.ADMIN, "console")

    def __init__(self, name: str, began_at: float) -> None:
        self.id = name
        self.began_at = began_at

    async def tell(self, step: str, done: float = 0.0) -> None:
        """Nobody listens."""


async def test_a_job_that_is_carried_on_does_not_undo_what_was_ordered_since() -> None:
    desk = make_desk(now=lambda: 200.0)
    closing, opening, again = Job("job_1", 100.0), Job("job_2", 110.0), Job("job_3", 120.0)
    await announcing.maintain(desk, Maintain(on=True), closing)
    await announcing.maintain(desk, Maintain(on=False), opening)
    with pytest.raises(Conflict) as caught:
        await announcing.maintain(desk, Maintain(on=True), closing)
    assert caught.value.current == {"realm": "open"}
    assert await announcing.current(desk) is None
    await announcing.maintain(desk, Maintain(on=True), again)
    with pytest.raises(Conflict):
        await announcing.maintain(desk, Maintain(on=False), opening)
    there = await announcing.current(desk)
    assert there is not None
    assert there.job == "job_3"
    assert (await announcing.maintain(desk, Maintain(on=True), again)).on, "the same again is fine"
