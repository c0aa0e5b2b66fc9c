"""What somebody of the social load does when answers do not come, and what they write down."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from cluster.bench import social, socialites
from cluster.bench.returning import Returning
from cluster.bench.social import Social, victim
from cluster.bench.social_checks import ChatBook, Findings, StatusBook
from cluster.bench.socialites import ALL, READ_AT_ONCE, Socialite, circles, pair
from cluster.errors import Ours
from rayrealm_client.codec import Notification
from rayrealm_client.errors import ConnectionLost, DeadlineExceeded, InvalidState, RealmError, Unavailable
from rayrealm_client.models import Ready, RecoveryToken

IDS = [f"usr_{number}" for number in range(30)]


class Answers(Returning):
    """A client whose requests are answered by `answer`, and remembered."""

    def __init__(self, answer: Callable[[str, dict[str, Any]], Any]) -> None:
        super().__init__("http://h:1", "token", random.Random(1))
        self.answer = answer
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def request(self, method: str, params: dict[str, Any], timeout_s: float) -> Any:
        self.asked.append((method, params))
        told = self.answer(method, params)
        if isinstance(told, RealmError):
            raise told
        return told


def well(method: str, params: dict[str, Any]) -> Any:
    if method in ("presence.subscribe", "presence.get"):
        ids = params["user_ids"]
        return {"presences": [{"user_id": one, "status": "online", "text": "", "version": 1} for one in ids]}
    return {"message_id": f"msg_{params.get('text', '')}", "presences": []}


@pytest.fixture
def chat() -> ChatBook:
    return ChatBook(Findings())


@pytest.fixture
def statuses(chat: ChatBook) -> StatusBook:
    return StatusBook(chat.findings)


@pytest.fixture
def ann(chat: ChatBook, statuses: StatusBook, monkeypatch: pytest.MonkeyPatch) -> Socialite:
    monkeypatch.setattr(socialites, "AGAIN_S", (0.0, 0.0))
    person = Socialite(0, Answers(well), random.Random(3), chat, statuses)
    ready(person, IDS[0])
    for user_id in IDS[1:]:
        statuses.came(user_id, "online", 0.0)
    return person


def ready(person: Socialite, user_id: str) -> None:
    assert person.client.on_ready is not None
    token = RecoveryToken("t", 60.0)
    told = Ready("ses", user_id, False, "authenticated", "r", 8, None, False, "s", 0, token, (), frozenset())
    person.client.on_ready(told, "gtw")


def hear(person: Socialite, method: str, **params: Any) -> None:
    assert person.client.on_notice is not None
    person.client.on_notice(Notification(method, params, 1))


def client(person: Socialite) -> Answers:
    assert isinstance(person.client, Answers)
    return person.client


def answers(person: Socialite, *told: Any) -> None:
    """In this order; then well."""
    waiting = list(told)
    client(person).answer = lambda method, params: waiting.pop(0) if waiting else well(method, params)


async def test_it_knows_whom_it_watches(ann: Socialite, statuses: StatusBook) -> None:
    ann.know(IDS)
    await ann.watch()
    assert client(ann).asked == [("presence.subscribe", {"user_ids": IDS[1:21]})]
    assert statuses.wrong() == []
    hear(ann, "presence.changed", user_id=IDS[1], status="offline", version=2)
    assert statuses.findings.counts["false_offline"] == 1


async def test_it_waits_until_somebody_is_there(ann: Socialite) -> None:
    gone = {"presences": [{"user_id": IDS[1], "status": "offline", "version": 1}]}
    answers(ann, gone, Unavailable(-32006, "away", {}), gone)
    async with asyncio.timeout(5.0):
        await ann.until_there(IDS[1:3])
    assert client(ann).asked == [("presence.get", {"user_ids": IDS[1:3]})] * 4


async def test_a_message_is_repeated_until_it_is_acknowledged(ann: Socialite, chat: ChatBook) -> None:
    await ann.join(circles(0, 30))
    ann.know(IDS)
    client(ann).asked.clear()
    answers(ann, DeadlineExceeded("no answer"), Unavailable(-32006, "away", {}), ConnectionLost(1006, "gone"))
    await ann._say()
    assert len(client(ann).asked) == 4
    assert len({params["client_id"] for _, params in client(ann).asked}) == 1
    assert (chat.acknowledged, ann.unanswered, ann.refused) == (1, 3, 0)


async def test_one_that_is_refused_must_not_come(ann: Socialite, chat: ChatBook) -> None:
    await ann.join(circles(0, 30))
    ann.know(IDS)
    client(ann).asked.clear()
    answers(ann, InvalidState(-32003, "no", {"reason": "muted"}))
    await ann._say()
    ((_, params),) = client(ann).asked
    chat.joined(IDS[1], ALL, 0.0)
    chat.heard(IDS[1], ALL, params["text"], "msg_1", 1.0)
    assert (ann.refused, chat.findings.counts["foreign"]) == (1, 1)


async def test_one_that_is_refused_after_it_had_no_answer_may_come(ann: Socialite, chat: ChatBook) -> None:
    await ann.join(circles(0, 30))
    answers(ann, DeadlineExceeded("no answer"), InvalidState(-32003, "no", {"reason": "muted"}))
    await ann._say()
    (text,) = chat._said
    chat.heard(ann.user_id, chat._said[text].channel, text, "msg_1", 1.0)
    assert (ann.refused, dict(chat.findings.counts)) == (1, {})


async def test_a_change_without_an_answer_is_not_what_counts(ann: Socialite, statuses: StatusBook) -> None:
    answers(ann, *[DeadlineExceeded("no answer")] * 3)
    await ann._change(3)
    assert statuses.acknowledged == 0
    await ann._change(3)
    assert statuses.acknowledged == 1
    assert [params["text"] for _, params in client(ann).asked] == ["1", "1", "1", "2"]


async def test_direct_messages_are_of_two_and_are_read(ann: Socialite, chat: ChatBook) -> None:
    ann.know(IDS)
    between = pair(IDS[0], IDS[1])
    for number in range(READ_AT_ONCE):
        text = f"hello {number}"
        chat.said(IDS[1], between, text, 0.0)
        hear(ann, "chat.message", channel=f"direct:{IDS[1]}", text=text, message_id=f"m{number}", **{"from": IDS[1]})
    chat.said(IDS[0], between, "mine", 0.0)
    hear(ann, "chat.message", channel=f"direct:{IDS[1]}", text="mine", message_id="mine", **{"from": IDS[0]})
    assert dict(chat.findings.counts) == {}
    await ann._read()
    assert client(ann).asked == [("chat.read", {"message_ids": [f"m{number}" for number in range(READ_AT_ONCE)]})]


@pytest.mark.parametrize("settled", [True, False])
async def test_at_rest_it_is_known_how_it_is(ann: Socialite, statuses: StatusBook, settled: bool) -> None:
    ann.know(IDS)
    answers(ann, *([] if settled else [DeadlineExceeded("no answer")]))
    await ann._change(1)
    ann.rest()
    async with asyncio.timeout(5.0):
        await ann.live()
    assert [params["text"] for _, params in client(ann).asked] == (["1"] if settled else ["1", "2"])
    assert statuses.acknowledged == 1


async def test_who_is_hushed_changes_once_more(
    ann: Socialite, statuses: StatusBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socialites, "HUSH_S", 0.0)
    changed = asyncio.Event()

    def answer(method: str, params: dict[str, Any]) -> Any:
        changed.set()
        return well(method, params)

    client(ann).answer = answer
    ann.know(IDS)
    ann.hush()
    living = asyncio.create_task(ann.live())
    async with asyncio.timeout(5.0):
        await changed.wait()
        ann.rest()
        await living
    assert [method for method, _ in client(ann).asked] == ["presence.update"]
    assert statuses.acknowledged == 1


def test_circles_are_few_and_large() -> None:
    assert {circles(number, 200) for number in range(200)} == {(ALL, f"social-{group}") for group in range(4)}
    assert pair("b", "a") == pair("a", "b") == "direct:a:b"


def test_the_grace_period_is_one_that_can_be_waited_for() -> None:
    assert f"[session]\ngrace_s = {social.GRACE_S}\nper_user" in social.config(10)


def test_a_victim_is_the_only_one_of_its_kind() -> None:
    assert victim("nats", {3: "gateway", 4: "nats"}) == 4
    for pids in ({3: "gateway"}, {3: "nats", 4: "nats"}):
        with pytest.raises(Ours, match="processes of kind nats"):
            victim("nats", pids)


async def test_somebody_who_breaks_down_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socialites, "STATUS_PAUSE_S", (0.0, 0.0))
    monkeypatch.setattr(socialites, "TALK_PAUSE_S", (0.0, 0.0))
    people = Social([Answers(well), Answers(well)], seed=1)
    for person, user_id in zip(people.people, IDS, strict=False):
        ready(person, user_id)
        await person.join(circles(person.number, 2))
    await people.meet()
    client(people.people[0]).answer = lambda method, params: None if method == "chat.message" else well(method, params)
    with pytest.raises(ExceptionGroup, match="unhandled"):
        await people.live(5.0, {})


class TestTheEnd:
    """Ten people of whom one leaves; a grace period of nothing."""

    @pytest.fixture
    async def people(self, monkeypatch: pytest.MonkeyPatch) -> Social:
        for name, value in (("SETTLE_S", 0.05), ("GONE_S", 0.05), ("POLL_S", 0.01)):
            monkeypatch.setattr(social, name, value)
        made = Social([Answers(well) for _ in range(10)], seed=1)
        for person, user_id in zip(made.people, IDS, strict=False):
            ready(person, user_id)
            person.client.connected = True
        await made.meet()
        return made

    async def test_it_is_judged_when_it_has_settled(self, people: Social) -> None:
        people.statuses.asked(IDS[3], 1, "busy", 1.0)
        people.statuses.kept(IDS[3], 1)
        await people.settle()
        assert people.findings.counts["wrong_status"] == 9

    @pytest.mark.parametrize("told", [9, 8])
    async def test_who_goes_must_be_shown_offline_to_everybody(self, people: Social, told: int) -> None:
        await people.settle()

        def leave() -> None:
            for person in people.people[1 : 1 + told]:
                hear(person, "presence.changed", user_id=IDS[0], status="offline", version=2)

        people.people[0].client.leave = leave  # type: ignore[method-assign]
        assert len(await people.some_leave(0.0)) == (told == 9)
        assert dict(people.findings.counts) == ({} if told == 9 else {"wrong_status": 1})
