"""`client.sealed` against a realm that the test plays: what is asked how often, what leaves the inbox, and what is sent again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from rayrealm_client import sealed as module
from rayrealm_client import sealed_people
from rayrealm_client.errors import Conflict, RateLimited
from rayrealm_client.key_file import Keyring
from rayrealm_client.key_records import ECDH
from rayrealm_client.sealed import Sealed
from rayrealm_client.sealing import OwnKeys, say, seal

NOW = 1_700_000_000.0
ME, BOB = "usr_me", "usr_bob"
DEADLINE_S = 5.0
PAGE = 20


@cache
def keys_of(user_id: str) -> OwnKeys:
    return OwnKeys.create(user_id, NOW, suites=[ECDH])


class Never:
    """No jitter."""

    def random(self) -> float:
        return 0.0


class Realm:
    """Implements `rayrealm_client.asking.Asking`: one user's inbox, everybody's keys, and a bound for `keys.get`."""

    def __init__(self, burst: int = 20) -> None:
        self.inbox: dict[str, dict[str, Any]] = {}
        self.devices: dict[str, list[OwnKeys]] = {}
        self.asked: list[list[str]] = []
        self.sent: list[dict[str, Any]] = []
        self.served: list[tuple[str, str]] = []  # user, device: in the order in which they got something
        self.between: dict[int, Callable[[], None]] = {}  # after so many messages were sent
        self.burst = burst

    def publish(self, *keys: OwnKeys) -> None:
        for each in keys:
            self.devices[each.user_id] = [*self.devices.get(each.user_id, []), each]

    def receive(self, sender: OwnKeys, text: str, number: int, by: OwnKeys | None = None) -> dict[str, Any]:
        """`by`: whoever has signed it, if it is not the sender."""
        said = say(by or sender, ME, text, f"id-{number}", NOW)
        item = seal(said, keys_of(ME).device)
        params: dict[str, Any] = {"message_id": f"msg_{number:04d}", "from": sender.user_id, "to": ME, "items": [item]}
        self.inbox[params["message_id"]] = params
        return params

    async def request(self, method: str, params: Any = None, timeout_s: float | None = None) -> Any:
        await asyncio.sleep(0)
        return getattr(self, method.replace(".", "_"))(params)

    repeat = request

    def keys_publish(self, _: Any) -> Any:
        return {"result": "first"}

    def keys_get(self, params: Any) -> Any:
        if len(self.asked) >= self.burst:
            raise RateLimited(-32001, "too fast", {"retryAfter": 0.01})
        self.asked.append(params["user_ids"])
        found = {each: self.devices[each] for each in params["user_ids"] if each in self.devices}
        records = {
            user: {"identity": all_[0].identity.record, "devices": [each.device.record for each in all_]}
            for user, all_ in found.items()
        }
        return {"keys": records, "left_out": []}

    def sealed_inbox(self, params: Any) -> Any:
        after = int(params.get("cursor") or 0)
        waiting = [each for each in self.inbox.values() if int(each["message_id"][4:]) > after]
        page = waiting[:PAGE]
        cursor = str(int(page[-1]["message_id"][4:])) if len(waiting) > PAGE else None
        return {"messages": page, "more": cursor is not None, "cursor": cursor}

    def sealed_read(self, params: Any) -> Any:
        return {"read": sum(self.inbox.pop(each, None) is not None for each in params["message_ids"])}

    def chat_sealed(self, params: Any) -> Any:
        """As a gateway does: what is sealed for present keys is relayed, and all other devices are missing in this message."""
        self.sent.append(params)
        given: list[tuple[str, str, int]] = []
        for user, member in ((params["to"], "items"), (ME, "copies")):
            given += [(user, each["device"], each["version"]) for each in params[member]]
        present = [
            (user, each.device.device, each.device.version)
            for user in (params["to"], ME)
            for each in self.devices.get(user, [])
            if each.device.device != params["device"]
        ]
        missing = [{"user_id": u, "device": d, "version": v} for u, d, v in present if (u, d, v) not in given]
        good = [each for each in given if each in present]
        if not any(user == (params["to"] if params["items"] else ME) for user, *_ in good):
            raise Conflict(-32005, "conflict", {"reason": "stale_devices", "current": {"missing": missing}})
        self.served += [each[:2] for each in good]
        self.between.pop(len(self.sent), lambda: None)()
        return {"message_id": f"msg_{len(self.sent)}", "missing": missing}


class Stage:
    """`told`: texts, and reasons of what was not opened."""

    def __init__(self) -> None:
        self.realm = Realm()
        self.realm.publish(keys_of(ME), keys_of(BOB))
        self.ahead_s = 0.0
        self.sealed = Sealed(self.realm, lambda: NOW, lambda: time.monotonic() + self.ahead_s, Never())
        self.told: list[str] = []
        self.sealed.on_message(lambda message: self.told.append(message.text))
        self.sealed.on_unopened(lambda message: self.told.append(message.reason))

    async def begin(self) -> None:
        await self.sealed.begin(Keyring(keys_of(ME)))

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - conditions span both ends
                await asyncio.sleep(0.001)


@pytest.fixture
def stage() -> Any:
    stage = Stage()
    yield stage
    stage.sealed.close()


class TestOpening:
    async def test_nonsense_blocks_nobody(self, stage: Stage) -> None:
        eve = keys_of("usr_eve")
        stage.realm.publish(eve)
        for number in range(1, 41):
            stage.realm.receive(eve, "nonsense", number, by=keys_of("usr_other"))
        stage.realm.receive(keys_of(BOB), "hello", 41)
        await stage.begin()
        assert stage.told == ["bad_signature"] * 40 + ["hello"]
        assert stage.realm.asked == [["usr_eve"], ["usr_bob"]], "about each sender once"
        assert list(stage.realm.inbox) == ["msg_0041"], "what nobody can ever open waits no longer"

    async def test_one_who_is_known_is_asked_about_now_and_then(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What comes meanwhile stays in the inbox until the realm was asked once more."""
        monkeypatch.setattr(sealed_people, "LOOK_AGAIN_S", 0.2)
        eve = keys_of("usr_eve")
        stage.realm.publish(eve)
        await stage.begin()
        started = time.monotonic()
        for number in range(1, 51):
            stage.sealed.take(stage.realm.receive(eve, "nonsense", number, by=keys_of("usr_other")))
            await asyncio.sleep(0.001)
        stage.sealed.take(stage.realm.receive(keys_of(BOB), "hello", 51))
        await stage.until(lambda: "hello" in stage.told and list(stage.realm.inbox) == ["msg_0051"])
        assert stage.told.count("bad_signature") == 50
        asked = sum("usr_eve" in each for each in stage.realm.asked)
        assert 2 <= asked <= 1 + (time.monotonic() - started) / 0.2

    async def test_many_senders_are_looked_up_at_once(self, stage: Stage) -> None:
        people = [keys_of(f"usr_{number}") for number in range(30)]
        stage.realm.publish(*people)
        for number, each in enumerate(people, 1):
            stage.realm.receive(each, f"of {number}", number)
        await stage.begin()
        assert stage.told == [f"of {number}" for number in range(1, 31)]
        assert len(stage.realm.asked) == 2, "one request for each page"

    async def test_what_cannot_be_looked_up_now_holds_up_nobody(self, stage: Stage) -> None:
        stage.realm.receive(keys_of(BOB), "known", 1)
        await stage.begin()
        stage.realm.burst = 0
        stage.realm.publish(keys_of("usr_new"))
        stage.realm.receive(keys_of("usr_new"), "of somebody new", 2)
        stage.realm.receive(keys_of(BOB), "after it", 3)
        await stage.sealed.fetch_inbox(stage.realm.request)
        assert stage.told == ["known", "after it"]
        stage.realm.burst = 100
        await stage.until(lambda: "of somebody new" in stage.told)

    async def test_what_was_read_before_leaves_the_inbox(self, stage: Stage) -> None:
        stage.realm.receive(keys_of(BOB), "one", 1)
        await stage.begin()
        await stage.sealed.read(["msg_0001"])
        stage.realm.receive(keys_of(BOB), "one", 2)
        stage.realm.inbox["msg_0002"]["items"] = [seal(say(keys_of(BOB), ME, "one", "id-1", NOW), keys_of(ME).device)]
        await stage.sealed.fetch_inbox(stage.realm.request)
        assert stage.told == ["one", "replayed"]
        assert stage.realm.inbox == {}

    async def test_a_new_identity_waits_and_is_told_once(self, stage: Stage) -> None:
        stage.realm.receive(keys_of(BOB), "one", 1)
        await stage.begin()
        new = OwnKeys.create(BOB, NOW, suites=[ECDH])
        stage.realm.devices[BOB] = [new]
        stage.ahead_s = 60.0
        stage.realm.receive(new, "it is me", 2)
        for _ in range(2):
            await stage.sealed.fetch_inbox(stage.realm.request)
        assert stage.told == ["one", "identity_changed"]
        stage.sealed.accept(BOB)
        await stage.sealed.fetch_inbox(stage.realm.request)
        assert stage.told == ["one", "identity_changed", "it is me"]

    async def test_a_realm_that_grants_nothing_is_asked_no_more(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(module, "LATER", 2)
        stage.realm.burst = 0
        stage.realm.receive(keys_of(BOB), "hello", 1)
        await stage.begin()
        fetcher = stage.sealed._fetcher
        assert fetcher is not None
        await asyncio.wait_for(fetcher, DEADLINE_S)
        assert stage.told == []
        assert list(stage.realm.inbox) == ["msg_0001"]
        stage.realm.burst = 100
        await stage.begin()
        assert stage.told == ["hello"]


class TestTelling:
    async def test_each_device_gets_it_once(self, stage: Stage) -> None:
        """One that the receiver adds meanwhile is served by a second message, and nobody else."""
        desk = keys_of(BOB).another(NOW, suites=[ECDH])
        await stage.begin()
        await stage.sealed.tell(BOB, "before")
        stage.realm.publish(desk)
        stage.realm.served.clear()
        assert await stage.sealed.tell(BOB, "hello") == "msg_2"
        assert stage.realm.served == [(BOB, keys_of(BOB).device.device), (BOB, desk.device.device)]
        assert len(stage.realm.sent) == 3

    async def test_newer_keys_of_a_device_that_was_served_are_served(self, stage: Stage) -> None:
        await stage.begin()
        desk, newer = keys_of(BOB).another(NOW, suites=[ECDH]), keys_of(BOB).renumbered(device=2)
        await stage.sealed.tell(BOB, "before")
        stage.realm.publish(desk)
        stage.realm.between[2] = lambda: stage.realm.devices.update({BOB: [newer, desk]})
        stage.realm.served.clear()
        await stage.sealed.tell(BOB, "hello")
        versions = [(each["device"], each["version"]) for params in stage.realm.sent[1:] for each in params["items"]]
        device = keys_of(BOB).device.device
        assert versions == [(device, 1), (device, 2), (desk.device.device, 1)]

    async def test_ones_own_other_device_alone_is_served(self, stage: Stage) -> None:
        phone = keys_of(ME).another(NOW, suites=[ECDH])
        await stage.begin()
        await stage.sealed.tell(BOB, "before")
        stage.realm.publish(phone)
        stage.realm.served.clear()
        assert await stage.sealed.tell(BOB, "hello") == "msg_2"
        assert stage.realm.served == [(BOB, keys_of(BOB).device.device), (ME, phone.device.device)]
        assert [len(params["items"]) for params in stage.realm.sent] == [1, 1, 0]

    async def test_what_was_delivered_is_not_an_error(self, stage: Stage) -> None:
        await stage.begin()
        await stage.sealed.tell(BOB, "before")
        stage.realm.publish(keys_of(BOB).another(NOW, suites=[ECDH]))
        stage.realm.burst = 0
        assert await stage.sealed.tell(BOB, "hello") == "msg_2"
