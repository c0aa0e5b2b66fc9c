"""What single processes are asked over the bus: who answers, and with what."""

from __future__ import annotations

import asyncio
from functools import partial

import orjson
import pytest

from cluster import process_control
from cluster.adapters.memory.bus import MemoryBus
from cluster.errors import Conflict, Unauthorized, Unavailable
from cluster.process_control import ProcessControl, ask_process, ask_processes, beat_now
from cluster.subjects import Subjects

SUBJECTS = Subjects("rayrealm-test")


class Realm:
    """Two processes on one bus. `beats`, `died`: which of them did, in order."""

    def __init__(self) -> None:
        self.bus = MemoryBus()
        self.beats: list[str] = []
        self.died: list[str] = []
        self.controls: dict[str, ProcessControl] = {}

    async def start(self, *names: str, chaos: bool = True) -> Realm:
        for name in names:
            control = ProcessControl(name, chaos, partial(self.beats.append, name), partial(self.died.append, name))
            await self.bus.respond(SUBJECTS.process_control(), control.respond)
            self.controls[name] = control
        return self


async def echo(text: str) -> str:
    if not text:
        raise Conflict("nothing_to_say", {"why": "empty"})
    return text


async def test_only_the_one_that_is_meant_answers() -> None:
    realm = await Realm().start("a", "b")
    for control in realm.controls.values():
        control.add("echo", echo)
    assert await ask_process(realm.bus, SUBJECTS, "b", "echo", {"text": "hello"}, 1.0) == "hello"
    with pytest.raises(Conflict) as caught:
        await ask_process(realm.bus, SUBJECTS, "a", "echo", {"text": ""}, 1.0)
    assert caught.value.current == {"why": "empty"}
    with pytest.raises(Unavailable):
        await ask_process(realm.bus, SUBJECTS, "c", "echo", {"text": "hello"}, 0.05)


async def test_all_answer_but_those_that_refuse() -> None:
    realm = await Realm().start("a", "b", "c")
    realm.controls["a"].add("echo", echo)
    realm.controls["b"].add("echo", echo)
    assert await ask_processes(realm.bus, SUBJECTS, "echo", {"text": "x"}, 0.1, 10) == {"a": "x", "b": "x"}


async def test_beats_are_asked_of_some_or_all() -> None:
    realm = await Realm().start("a", "b", "c")
    beat_now(realm.bus, SUBJECTS, ["a", "c"])
    await realm.bus.flush(1.0)
    await asyncio.sleep(0)
    assert sorted(realm.beats) == ["a", "c"]
    beat_now(realm.bus, SUBJECTS)
    await realm.bus.flush(1.0)
    await asyncio.sleep(0)
    assert sorted(realm.beats) == ["a", "a", "b", "c", "c"]


async def test_killed_after_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_control, "DIES_AFTER_S", 0.0)
    realm = await Realm().start("a", "b")
    assert await ask_process(realm.bus, SUBJECTS, "a", "kill", {}, 1.0) is True
    async with asyncio.timeout(1.0):
        while not realm.died:  # noqa: ASYNC110 - a timer of the loop's
            await asyncio.sleep(0)
    assert realm.died == ["a"]


async def test_not_while_chaos_is_off() -> None:
    realm = await Realm().start("a", chaos=False)
    with pytest.raises(Unauthorized):
        await ask_process(realm.bus, SUBJECTS, "a", "kill", {}, 1.0)
    assert realm.died == []


@pytest.mark.parametrize("data", [b"", b"[]", b'"x"', b"{", orjson.dumps({"only": "b", "method": "kill"})])
async def test_nonsense_and_what_others_are_told_is_passed_over(data: bytes) -> None:
    assert await ProcessControl("a", True, lambda: None).respond(data) is None


@pytest.mark.parametrize("method", ["kill", "restart"])
@pytest.mark.parametrize("only", [None, ["a"], ["a", "b"]])
async def test_no_message_ends_more_than_one(monkeypatch: pytest.MonkeyPatch, method: str, only: object) -> None:
    monkeypatch.setattr(process_control, "DIES_AFTER_S", 0.0)
    died: list[str] = []
    control = ProcessControl("a", True, lambda: None, lambda: died.append("a"))
    assert await control.respond(orjson.dumps({"method": method, "params": {}, "only": only})) is None
    await asyncio.sleep(0.01)
    assert died == []


def test_a_method_s_name_is_taken_once() -> None:
    control = ProcessControl("a", True, lambda: None)
    with pytest.raises(ValueError, match="two methods"):
        control.add("kill", echo)
