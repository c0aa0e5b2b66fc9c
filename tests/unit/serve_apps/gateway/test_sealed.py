"""keys.* and chat.sealed at a gateway: what is refused, what is kept where, and what happens when a step fails (row 6.4)."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
import pytest

from cluster.errors import Unavailable
from cluster.ports.social import Limits
from cluster.publishing import user_topic
from rayrealm_client.key_records import ECDH, RSA
from rayrealm_client.sealing import OwnKeys, say, seal
from serve_apps.gateway.routes import keys as key_routes
from tests.unit.serve_apps.gateway.fakes import WALL
from tests.unit.serve_apps.gateway.people_rig import People

ANN, BOB = "usr_a", "usr_b"
LIMITS = Limits(100, 100, 100, 100)


@cache
def keys_of(user_id: str, number: int = 1) -> OwnKeys:
    return OwnKeys.create(user_id, WALL, suites=[ECDH])


async def publish(people: People, keys: OwnKeys, **more: Any) -> Any:
    params = {"identity": keys.identity.record, "device": keys.device.record}
    return await people.ask(keys.user_id, "keys.publish", **params, **more)


@pytest.fixture
async def people() -> People:
    """Ann and Bob, who have published."""
    people = People()
    for user_id, name in ((ANN, "Ann"), (BOB, "Bob")):
        people.come(user_id, name)
        await people.character(user_id, name)
        assert (await publish(people, keys_of(user_id)))["result"] == "first"
    return people


def message(to: OwnKeys | None = None, client_id: str = "c1", **more: Any) -> dict[str, Any]:
    device = (to or keys_of(BOB)).device
    said = say(keys_of(ANN), BOB, "hello", "id", WALL)
    params = {"to": BOB, "device": keys_of(ANN).device.device, "client_id": client_id, "items": [seal(said, device)]}
    return params | more


async def kept(people: People, user_id: str, method: str = "chat.sealed") -> list[dict[str, Any]]:
    topic = user_topic(user_id)
    found = await people.services.topics.after({topic: ""}, 1_000)
    return [orjson.loads(each.params_json) for each in found if each.method == method]


async def waiting(people: People, keys: OwnKeys) -> list[str]:
    page = await people.ask(keys.user_id, "sealed.inbox", device=keys.device.device)
    return [each["message_id"] for each in page["messages"]]


class TestKeys:
    async def test_what_was_published_is_handed_out(self, people: People) -> None:
        answer = await people.ask(ANN, "keys.get", user_ids=[BOB, ANN, BOB, "usr_nobody"])
        found = [keys_of(user) for user in (BOB, ANN)]
        records = {k.user_id: {"identity": k.identity.record, "devices": [k.device.record]} for k in found}
        assert answer == {"keys": records, "left_out": []}

    async def test_an_answer_has_a_bound(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(key_routes, "ANSWER_BYTES", 1)
        answer = await people.ask(ANN, "keys.get", user_ids=[BOB, ANN])
        assert (list(answer["keys"]), answer["left_out"]) == ([BOB], [ANN])
        answer = await people.ask(ANN, "keys.get", user_ids=[ANN])
        assert (list(answer["keys"]), answer["left_out"]) == ([ANN], [])

    async def test_nobody_publishes_for_somebody_else(self, people: People) -> None:
        before = await people.services.device_keys.get([ANN, BOB])
        ann, bob = keys_of(ANN), keys_of(BOB)
        for params, reason in (
            ({"identity": bob.identity.record, "device": bob.device.record}, "wrong_user"),
            ({"identity": ann.identity.record, "device": bob.device.record}, "bad_signature"),
            ({"identity": ann.device.record, "device": ann.device.record}, "malformed"),
            ({"identity": ann.identity.record, "device": ann.identity.record}, "wrong_type"),
            ({"identity": "a.b.c", "device": ann.device.record}, "malformed"),
        ):
            assert await people.refused(ANN, "keys.publish", replace=True, **params) == (-32602, reason)
        assert await people.services.device_keys.get([ANN, BOB]) == before

    async def test_records_have_a_bound(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(people.services.settings.sealed.__dict__, "max_key", 256)
        params = {"identity": keys_of(ANN).identity.record, "device": keys_of(ANN).device.record}
        assert await people.refused(ANN, "keys.publish", **params) == (-32602, "too_long")

    async def test_friends_and_own_devices_are_told_of_another_identity(self, people: People) -> None:
        social = people.services.social
        await social.request(ANN, BOB, LIMITS, WALL, "Bob")
        await social.accept(BOB, ANN, LIMITS, WALL)
        new = OwnKeys.create(ANN, WALL, suites=[ECDH])
        refusal = await publish(people, new)
        assert (refusal["code"], refusal["data"]["reason"]) == (-32005, "identity_known")
        assert await kept(people, BOB, "keys.changed") == []
        new = new.renumbered(identity=2)
        assert (await publish(people, new, replace=True))["result"] == "replaced"
        told = {"user_id": ANN, "version": 2, "thumbprint": new.identity.thumbprint}
        assert await kept(people, BOB, "keys.changed") == [told]
        assert await kept(people, ANN, "keys.changed") == [told]
        assert (await publish(people, new, replace=True))["result"] == "same"
        assert await kept(people, BOB, "keys.changed") == [told], "told once, however often it is repeated"

    async def test_friends_are_told_although_the_first_answer_was_lost(
        self, people: People, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        new = OwnKeys.create(ANN, WALL, suites=[ECDH]).renumbered(identity=2)
        real: Any = people.services.topics.publish_many

        async def away(*_: Any, **__: Any) -> Any:
            raise Unavailable("redis")

        monkeypatch.setattr(people.services.topics, "publish_many", away)
        assert (await publish(people, new, replace=True))["code"] == -32006
        monkeypatch.setattr(people.services.topics, "publish_many", real)
        assert (await publish(people, new, replace=True))["result"] == "same"
        assert len(await kept(people, ANN, "keys.changed")) == 1

    async def test_replacements_have_a_rate(self, people: People) -> None:
        for version in range(2, 2 + key_routes.REPLACE_BURST):
            new = OwnKeys.create(ANN, WALL, suites=[ECDH]).renumbered(identity=version)
            assert (await publish(people, new, replace=True))["result"] == "replaced"
        refusal = await publish(people, OwnKeys.create(ANN, WALL, suites=[ECDH]).renumbered(identity=9), replace=True)
        assert (refusal["code"], refusal["data"]["reason"]) == (-32001, "requests")

    async def test_a_removed_device_gets_nothing(self, people: People) -> None:
        device = keys_of(BOB).device.device
        assert await people.ask(ANN, "keys.remove", device=device) == {"device": device, "removed": False}
        assert await people.ask(BOB, "keys.remove", device=device) == {"device": device, "removed": True}
        refusal = await people.ask(ANN, "chat.sealed", **message())
        assert refusal["data"] == {"reason": "stale_devices", "current": {"missing": []}}


class TestRelaying:
    async def test_it_is_told_and_waits(self, people: People) -> None:
        answer = await people.ask(ANN, "chat.sealed", **message())
        assert answer["missing"] == []
        (said,) = await kept(people, BOB)
        assert said == {
            "message_id": answer["message_id"],
            "from": ANN,
            "to": BOB,
            "name": "Ann",
            "device_from": keys_of(ANN).device.device,
            "client_id": "c1",
            "sent_at": WALL,
            "items": said["items"],
        }
        assert await waiting(people, keys_of(BOB)) == [answer["message_id"]]
        assert await kept(people, ANN) == []
        assert await waiting(people, keys_of(ANN)) == []
        device = keys_of(BOB).device.device
        params = {"device": device, "message_ids": [answer["message_id"]]}
        assert await people.ask(ANN, "sealed.read", **params) == {"read": 0}, "others read nothing"
        assert await people.ask(BOB, "sealed.read", **params) == {"read": 1}
        assert await waiting(people, keys_of(BOB)) == []

    async def test_a_repetition_is_answered_and_not_sent_again(self, people: People) -> None:
        first = await people.ask(ANN, "chat.sealed", **message())
        assert await people.ask(ANN, "chat.sealed", **message()) == first
        assert len(await kept(people, BOB)) == len(await waiting(people, keys_of(BOB))) == 1

    async def test_each_step_may_fail_and_is_repeated(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        for store, method in ((people.services.chat, "keep"), (people.services.topics, "publish_many")):
            real = getattr(store, method)

            async def away(*_: Any, **__: Any) -> Any:
                raise Unavailable("redis")

            monkeypatch.setattr(store, method, away)
            assert (await people.ask(ANN, "chat.sealed", **message()))["code"] == -32006
            monkeypatch.setattr(store, method, real)
        assert (await people.ask(ANN, "chat.sealed", **message()))["missing"] == []
        assert len(await kept(people, BOB)) == len(await waiting(people, keys_of(BOB))) == 1

    async def test_devices_with_other_keys_are_told_of(self, people: People) -> None:
        desk, phone = keys_of(BOB).another(WALL, suites=[ECDH]), keys_of(ANN).another(WALL, suites=[ECDH])
        await publish(people, desk)
        await publish(people, phone)
        answer = await people.ask(ANN, "chat.sealed", **message())
        assert sorted(each["device"] for each in answer["missing"]) == sorted([desk.device.device, phone.device.device])
        newer = keys_of(BOB).renumbered(device=2)
        await publish(people, newer)
        refusal = await people.ask(ANN, "chat.sealed", **message(client_id="c2"))
        missing = refusal["data"]["current"]["missing"]
        assert {"user_id": BOB, "device": newer.device.device, "version": 2} in missing
        assert len(await kept(people, BOB)) == 1
        copies = [seal(say(keys_of(ANN), BOB, "hello", "id", WALL), phone.device)]
        answer = await people.ask(ANN, "chat.sealed", **message(desk, client_id="c3", copies=copies))
        assert [each["device"] for each in answer["missing"]] == [newer.device.device]
        assert [item["device"] for item in (await kept(people, ANN))[0]["items"]] == [phone.device.device]
        assert await waiting(people, phone) == await waiting(people, desk) == [answer["message_id"]]

    async def test_who_is_blocked_is_not_told_so(self, people: People) -> None:
        await people.services.social.block(BOB, ANN, LIMITS, WALL, "Ann")
        answer = await people.ask(ANN, "chat.sealed", **message())
        assert answer["missing"] == []
        assert await kept(people, BOB) == []
        assert await waiting(people, keys_of(BOB)) == []
        back = message() | {"to": ANN, "device": keys_of(BOB).device.device}
        back["items"] = [seal("x", keys_of(ANN).device)]
        assert await people.refused(BOB, "chat.sealed", **back) == (-32003, "blocked")

    async def test_what_waits_from_somebody_who_was_blocked_since_goes(self, people: People) -> None:
        await people.ask(ANN, "chat.sealed", **message())
        await people.services.social.block(BOB, ANN, LIMITS, WALL, "Ann")
        assert await waiting(people, keys_of(BOB)) == []
        await people.services.social.unblock(BOB, ANN)
        assert await waiting(people, keys_of(BOB)) == []

    async def test_it_passes_the_gate_of_direct_messages(self, people: People) -> None:
        burst = people.services.settings.chat.burst
        for number in range(burst - 1):
            await people.ask(ANN, "chat.sealed", **message(client_id=f"c{number}"))
        await people.ask(ANN, "chat.message", channel=f"direct:{BOB}", text="open")
        assert await people.refused(ANN, "chat.sealed", **message(client_id="more")) == (-32001, "chat")
        await people.services.chat.mute("direct", ANN, WALL * 2)
        assert await people.refused(ANN, "chat.sealed", **message(client_id="muted")) == (-32003, "muted")

    async def test_strangers_are_counted_as_those_of_direct_messages(
        self, people: People, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(people.services.settings.limits.__dict__, "strangers_per_hour", 1)
        people.come("usr_c", "Cat")
        await publish(people, keys_of("usr_c"))
        assert await people.ask(ANN, "chat.message", channel="direct:usr_d", text="open")
        to_cat = message(keys_of("usr_c")) | {"to": "usr_c"}
        assert await people.refused(ANN, "chat.sealed", **to_cat) == (-32001, "strangers")
        assert await kept(people, "usr_c") == []

    async def test_who_was_met_in_sealed_messages_is_no_stranger_to_a_new_socket(
        self, people: People, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(people.services.settings.limits.__dict__, "strangers_per_hour", 1)
        assert "message_id" in await people.ask(ANN, "chat.sealed", **message())
        people.come(ANN, "Ann")
        assert "message_id" in await people.ask(ANN, "chat.sealed", **message(client_id="c2"))
        people.come(ANN, "Ann")
        assert "message_id" in await people.ask(ANN, "chat.message", channel=f"direct:{BOB}", text="open")
        assert await people.refused(ANN, "chat.message", channel="direct:usr_c", text="open") == (-32001, "strangers")

    async def test_copies_may_come_alone(self, people: People) -> None:
        """When only the sender's own other device is missing, it alone gets the message."""
        phone = keys_of(ANN).another(WALL, suites=[ECDH])
        await people.ask(ANN, "chat.sealed", **message())
        await publish(people, phone)
        said = say(keys_of(ANN), BOB, "hello", "id", WALL)
        copies = [seal(said, phone.device)]
        answer = await people.ask(ANN, "chat.sealed", **message(client_id="c2", items=[], copies=copies))
        assert [each["device"] for each in answer["missing"]] == [keys_of(BOB).device.device]
        assert await waiting(people, phone) == [answer["message_id"]]
        assert len(await kept(people, BOB)) == len(await waiting(people, keys_of(BOB))) == 1
        await publish(people, phone.renumbered(device=2))
        refusal = await people.ask(ANN, "chat.sealed", **message(client_id="c3", items=[], copies=copies))
        assert (refusal["code"], refusal["data"]["reason"]) == (-32005, "stale_devices")

    async def test_it_is_for_somebody(self, people: People) -> None:
        assert await people.refused(ANN, "chat.sealed", **message(items=[])) == (-32602, "too_short")

    async def test_the_history_knows_nothing_of_it(self, people: People) -> None:
        await people.ask(ANN, "chat.sealed", **message())
        assert await people.ask(BOB, "chat.history", channel=f"direct:{ANN}") == {"messages": [], "cursor": None}
        assert (await people.ask(BOB, "chat.inbox"))["messages"] == []


class TestRefusals:
    async def test_what_is_no_sealed_message(self, people: People) -> None:
        good = message()["items"][0]
        header, *rest = good["jwe"].split(".")
        for jwe, reason in (
            ("hello", "not_a_jwe"),
            (".".join([header, *rest, "more"]), "not_a_jwe"),
            (".".join(["e30", *rest]), "not_a_jwe"),
            (".".join([header, "A" * 342, *rest[1:]]), "wrong_suite"),
            (seal("x", keys_of(ANN).device)["jwe"], "wrong_device"),
        ):
            params = message(items=[good | {"jwe": jwe}])
            assert await people.refused(ANN, "chat.sealed", **params) == (-32602, reason)
        assert await people.refused(ANN, "chat.sealed", **message(items=[good | {"version": 2}])) == (
            -32602,
            "wrong_device",
        )
        assert await kept(people, BOB) == []

    async def test_a_suite_that_the_device_does_not_have(self, people: People) -> None:
        other = OwnKeys.create(BOB, WALL, suites=[RSA], rsa_bits=2_048)
        device = keys_of(BOB).device
        stranger = seal("x", other.device)
        jwe = seal("x", type(device)(BOB, device.device, 1, 1, other.device.keys, ""))["jwe"]
        assert stranger["device"] != device.device
        params = message(items=[{"device": device.device, "version": 1, "jwe": jwe}])
        assert await people.refused(ANN, "chat.sealed", **params) == (-32602, "wrong_suite")

    async def test_sizes(self, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(people.services.settings.sealed.__dict__, "max_message", 300)
        assert await people.refused(ANN, "chat.sealed", **message()) == (-32602, "too_long")

    async def test_they_are_counted_by_reason(self, people: People) -> None:
        good = message()["items"][0]
        await people.ask(ANN, "chat.sealed", **message(items=[good | {"jwe": "hello"}]))
        await people.ask(ANN, "chat.sealed", **message(device="dev_other"))
        await publish(people, OwnKeys.create(ANN, WALL, suites=[ECDH]))
        await people.ask(ANN, "chat.sealed", **message() | {"to": ANN})
        found = {
            sample.labels["reason"]: sample.value
            for family in people.gateway.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "rayrealm_gateway_sealed_refused_total"
        }
        assert found == {"not_a_jwe": 1, "no_keys": 1, "identity_known": 1, "other": 1}

    async def test_senders_without_keys(self, people: People) -> None:
        people.come("usr_c", "Cat")
        assert await people.refused("usr_c", "chat.sealed", **message()) == (-32003, "no_keys")
        assert await people.refused(ANN, "chat.sealed", **message(device="dev_other")) == (-32003, "no_keys")

    async def test_receivers_without_keys_and_oneself(self, people: People) -> None:
        assert await people.refused(ANN, "chat.sealed", **message(to=None) | {"to": "usr_nobody"}) == (
            -32005,
            "stale_devices",
        )
        assert await people.refused(ANN, "chat.sealed", **message() | {"to": ANN}) == (-32602, "is yourself")
