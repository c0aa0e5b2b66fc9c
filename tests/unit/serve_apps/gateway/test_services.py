"""How handlers tell users something: through their topics (row 2.3)."""

from __future__ import annotations

import orjson
import pytest

from cluster.errors import Unavailable
from tests.unit.serve_apps.gateway.fakes import Gateway


async def test_all_devices_of_a_user_are_told() -> None:
    gateway = Gateway()
    await gateway.services.tell("usr_1", "friends.changed", {"kind": "request"}, "k", sender="usr_2", refresh="ties")
    await gateway.services.tell("usr_1", "friends.changed", {"kind": "again"}, "k", sender="usr_2", refresh="ties")
    (message,) = await gateway.topics.after({"user:usr_1": ""}, 10)
    assert (message.method, message.sender, message.refresh) == ("friends.changed", "usr_2", "ties")
    assert orjson.loads(message.params_json) == {"kind": "request"}


async def test_a_refresh_alone_has_no_method() -> None:
    gateway = Gateway()
    await gateway.services.tell("usr_1", "", {}, "k", refresh="party")
    (message,) = await gateway.topics.after({"user:usr_1": ""}, 10)
    assert (message.method, message.refresh) == ("", "party")


async def test_several_users_are_told_the_same() -> None:
    gateway = Gateway()
    users = ["usr_1", "usr_2"]
    first = await gateway.services.tell_all(users, "chat.message", b'{"n":1}', "k", result="msg_1", sender="usr_1")
    again = await gateway.services.tell_all(["usr_3"], "chat.message", b'{"n":2}', "k", result="msg_2")
    assert (first, again) == ("msg_1", "msg_1")
    messages = await gateway.topics.after({f"user:usr_{n}": "" for n in (1, 2, 3)}, 10)
    assert [(m.topic, m.params_json, m.sender) for m in messages] == [
        ("user:usr_1", b'{"n":1}', "usr_1"),
        ("user:usr_2", b'{"n":1}', "usr_1"),
    ]


async def test_a_log_of_another_length() -> None:
    gateway = Gateway()
    for n in range(3):
        await gateway.services.publish("chat:hall", "m", b"%d" % n, "", limit=2)
    assert [m.params_json for m in await gateway.topics.after({"chat:hall": ""}, 10)] == [b"1", b"2"]


async def test_a_log_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = Gateway()

    async def away(*_: object, **__: object) -> object:
        raise Unavailable("redis")

    monkeypatch.setattr(gateway.topics, "publish_many", away)
    monkeypatch.setattr(gateway.topics, "publish", away)
    with pytest.raises(Unavailable):
        await gateway.services.tell("usr_1", "m", {}, "k")
    with pytest.raises(Unavailable):
        await gateway.services.tell_all(["usr_1"], "m", {}, "k")
