"""Messages go into the log and then over the bus, once for a key (row 2.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.adapters.memory.bus import MemoryBus
from cluster.adapters.memory.topics import MemoryTopicLog
from cluster.publishing import Publisher, user_topic
from cluster.subjects import Subjects
from realm_proto import internal_pb2

SUBJECTS = Subjects("test")
ANN, BEN = user_topic("usr_ann"), user_topic("usr_ben")


@dataclass
class Rig:
    log: MemoryTopicLog = field(default_factory=MemoryTopicLog)
    bus: MemoryBus = field(default_factory=MemoryBus)
    said: list[internal_pb2.TopicMessage] = field(default_factory=list)

    @property
    def publisher(self) -> Publisher:
        return Publisher(self.log, self.bus, SUBJECTS, 3)

    async def listen(self, *topics: str) -> None:
        for topic in topics:
            await self.bus.subscribe(
                SUBJECTS.topic(topic), lambda data: self.said.append(internal_pb2.TopicMessage.FromString(data))
            )


async def test_it_is_kept_and_said_with_all_that_belongs_to_it() -> None:
    rig = Rig()
    await rig.listen("news")
    for n in range(2):
        await rig.publisher.publish("news", "m", b"%d" % n, "", sender="usr_a", refresh="ties")
    rig.bus.deliver()
    kept = await rig.log.after({"news": ""}, 10)
    assert [(m.topic, m.id, m.previous, m.method, m.params_json, m.sender, m.refresh) for m in rig.said] == [
        (m.topic, m.id, m.previous, m.method, m.params_json, m.sender, m.refresh) for m in kept
    ]
    assert [(m.params_json, m.sender, m.refresh) for m in kept] == [(b"0", "usr_a", "ties"), (b"1", "usr_a", "ties")]
    assert kept[1].previous == kept[0].id


async def test_a_key_says_it_once() -> None:
    rig = Rig()
    await rig.listen("news", ANN, BEN)
    assert await rig.publisher.publish("news", "m", b"1", "k", "first") == "first"
    assert await rig.publisher.publish("news", "m", b"1", "k", "second") == "first"
    assert await rig.publisher.publish_many([ANN, BEN], "m", b"1", "many", "first") == "first"
    assert await rig.publisher.publish_many([ANN], "m", b"1", "many", "second") == "first"
    rig.bus.deliver()
    assert sorted(m.topic for m in rig.said) == sorted(["news", ANN, BEN])


async def test_to_nobody() -> None:
    rig = Rig()
    assert await rig.publisher.publish_many([], "m", b"1", "k", "result") == "result"
    assert await rig.publisher.publish_many([ANN], "m", b"1", "k", "later") == "later", "the key is not used up"


async def test_how_much_is_kept() -> None:
    rig = Rig()
    for n in range(5):
        await rig.publisher.publish("news", "m", b"%d" % n, "")
    assert [m.params_json for m in await rig.log.after({"news": ""}, 10)] == [b"2", b"3", b"4"]
    await rig.publisher.publish("news", "m", b"5", "", limit=10)
    assert len(await rig.log.after({"news": ""}, 10)) == 4
    await rig.publisher.publish_many(["news", ANN, BEN], "m", b"6", "", limit=[1, None, 2])
    assert [m.params_json for m in await rig.log.after({"news": ""}, 10)] == [b"6"]
    for n in range(7, 12):
        await rig.publisher.publish_many([ANN, BEN], "m", b"%d" % n, "", limit=[None, 2])
    assert [m.params_json for m in await rig.log.after({ANN: ""}, 10)] == [b"9", b"10", b"11"], "as any topic"
    assert [m.params_json for m in await rig.log.after({BEN: ""}, 10)] == [b"10", b"11"]
