"""The event streams at a real NATS (row 4.3): made as the settings say, kept so, and written to without loss. No realm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from pydantic import SecretStr
from structlog.testing import capture_logs

from cluster.contacts import first_contact
from cluster.event_buffer import Limits
from cluster.settings import EventSettings, RedisSettings, Settings
from tests.integration.event_rig import DEADLINE_S, bodies, found, nats_settings, outside, presence, publisher, until
from tests.servers import Nats, Valkey

MIB = 1024 * 1024


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Nats]:
    """Its own for each test: streams belong to the whole server."""
    with Nats(tmp_path) as running:
        yield running


@pytest.fixture
def deaf_to_streams(tmp_path: Path) -> Iterator[Nats]:
    """A NATS without JetStream."""
    made = Nats(tmp_path)
    (tmp_path / "nats.conf").write_text(f'authorization {{ token: "{made.token}" }}\n')
    with made:
        yield made


# --- the streams -----------------------------------------------------------------------------------------------------


async def test_the_streams_are_as_documented(server: Nats) -> None:
    async with publisher(server, max_bytes=8 * MIB):
        expected = {
            "PRESENCE": ("presence.>", RetentionPolicy.WORK_QUEUE, StorageType.FILE, 3_600.0, -1, 120.0),
            "STATE_SYNC": ("state.>", RetentionPolicy.WORK_QUEUE, StorageType.FILE, 300.0, -1, 120.0),
            "POSITION": ("position.>", RetentionPolicy.LIMITS, StorageType.MEMORY, 30.0, 100_000, 30.0),
        }
        for name, (subject, retention, storage, age, most, window) in expected.items():
            config = (await found(server, name)).config
            assert config.subjects == [subject]
            assert (config.retention, config.storage) == (retention, storage)
            assert (config.max_age, config.max_msgs, config.duplicate_window) == (age, most, window)
            assert config.max_bytes == 8 * MIB


async def test_a_prefix_keeps_realms_apart(server: Nats) -> None:
    async with publisher(server, prefix="eu") as eu, publisher(server) as other:
        presence(eu, "usr_eu", 1)
        presence(other, "usr_other", 1)
        await until(lambda: eu.waiting == other.waiting == 0)
        assert [body["user_id"] for body in await bodies(server, "EU_PRESENCE")] == ["usr_eu"]
        assert [body["user_id"] for body in await bodies(server, "PRESENCE")] == ["usr_other"]


async def test_changed_settings_update_the_streams_and_are_reported(server: Nats) -> None:
    async with publisher(server, max_bytes=8 * MIB):
        pass
    with capture_logs() as logs:
        async with publisher(server, max_bytes=4 * MIB):
            assert (await found(server, "STATE_SYNC")).config.max_bytes == 4 * MIB
    told = [line["what"] for line in logs if line["event"] == "event_stream_differs"]
    assert told == [
        f"{name}: max_bytes is {8 * MIB} and should be {4 * MIB}; it was changed"
        for name in ("PRESENCE", "STATE_SYNC", "POSITION")
    ]


async def test_what_cannot_be_changed_is_reported_and_left(server: Nats) -> None:
    async with outside(server) as jetstream:
        await jetstream.add_stream(StreamConfig("PRESENCE", subjects=["presence.>"], retention=RetentionPolicy.LIMITS))
    with capture_logs() as logs:
        async with publisher(server) as events:
            presence(events, "usr_a", 1)
            await until(lambda: events.counts.kept["presence"] == 1)
    config = (await found(server, "PRESENCE")).config
    assert config.retention == RetentionPolicy.LIMITS
    assert config.max_age == 3_600.0  # the rest is as it should be
    told = [line["what"] for line in logs if line["event"] == "event_stream_differs"]
    assert (
        "PRESENCE: retention is limits and should be workqueue; it cannot be changed and stays: "
        "delete the stream to have it made anew" in told
    )


async def test_a_stream_of_somebody_else_is_left_alone(server: Nats) -> None:
    async with outside(server) as jetstream:
        await jetstream.add_stream(StreamConfig("PRESENCE", subjects=["doors.>"], max_msgs=7))
    with capture_logs() as logs:
        async with publisher(server) as events:
            presence(events, "usr_a", 1)
            await until(lambda: events.counts.dropped["presence"] == 1)
            events.publish("state", "zon_meadow", {}, "one")
            await until(lambda: events.counts.kept["state"] == 1)
    info = await found(server, "PRESENCE")
    assert (info.config.subjects, info.config.max_msgs, info.state.messages) == (["doors.>"], 7, 0)
    [told] = [line["what"] for line in logs if line["event"] == "event_stream_differs"]
    assert "a stream of that name is for other subjects (doors.>)" in told
    assert "events.prefix" in told


async def test_subjects_that_are_taken_are_reported(server: Nats) -> None:
    async with outside(server) as jetstream:
        await jetstream.add_stream(StreamConfig("DOORS", subjects=["state.>"]))
    with capture_logs() as logs:
        async with publisher(server) as events:
            presence(events, "usr_a", 1)
            await until(lambda: events.counts.kept["presence"] == 1)
    [told] = [line["what"] for line in logs if line["event"] == "event_stream_differs"]
    assert told.startswith("STATE_SYNC: NATS refuses it (subjects overlap")


async def test_a_stream_that_somebody_deleted_is_made_again(server: Nats) -> None:
    async with publisher(server) as events, outside(server) as jetstream:
        await jetstream.delete_stream("STATE_SYNC")
        events.publish("state", "zon_meadow", {"n": 1}, "one")
        await until(lambda: events.counts.kept["state"] == 1)
    assert await bodies(server, "STATE_SYNC") == [{"n": 1}]


# --- a NATS that has no streams --------------------------------------------------------------------------------------


async def test_without_jetstream_the_bus_goes_on_and_events_are_dropped(deaf_to_streams: Nats) -> None:
    with capture_logs() as logs:
        async with publisher(deaf_to_streams, ready=False) as events:
            presence(events, "usr_a", 1)
            await until(lambda: events.counts.dropped["presence"] == 1)
            events.publish("position", "zon_meadow", {}, "")
            assert events.counts.dropped["position"] == 1
            assert not events.counts.streams_ready
            await events._bus.flush(DEADLINE_S)
    told = [line["what"] for line in logs if line["event"] == "event_stream_differs"]
    assert told == ["NATS has no JetStream: start it with `--jetstream`, or a `jetstream {}` in its configuration"]


async def test_the_operator_is_told_at_the_start(
    deaf_to_streams: Nats, valkey_server: Valkey, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        realm=namespace, redis=RedisSettings(url=SecretStr(valkey_server.url)), nats=nats_settings(deaf_to_streams)
    )
    said: list[str] = []
    await first_contact(settings, said.append)
    assert len(said) == 1
    assert said[0].startswith("event streams: NATS has no JetStream")
    assert "the realm goes on without them" in said[0]

    said.clear()
    monkeypatch.setattr("cluster.event_streams.LEAST_NATS", (99, 1))
    await first_contact(settings, said.append)
    assert len(said) == 1
    assert "event streams need 99.1 or newer" in said[0]

    said.clear()
    await first_contact(settings.model_copy(update={"events": EventSettings(enabled=False)}), said.append)
    assert said == []


async def test_a_start_makes_the_streams(server: Nats, valkey_server: Valkey, namespace: str) -> None:
    settings = Settings(
        realm=namespace, redis=RedisSettings(url=SecretStr(valkey_server.url)), nats=nats_settings(server)
    )
    said: list[str] = []
    await first_contact(settings, said.append)
    assert said == []
    assert (await found(server, "POSITION")).config.max_msgs == 100_000


# --- publishing ------------------------------------------------------------------------------------------------------


async def test_an_event_that_comes_again_is_kept_once(server: Nats) -> None:
    async with publisher(server) as events, publisher(server) as another:
        for version in (1, 2):
            presence(events, "usr_a", version)
        await until(lambda: events.counts.kept["presence"] == 2)
        presence(another, "usr_a", 2)
        await until(lambda: another.counts.suppressed["presence"] == 1)
    assert [body["version"] for body in await bodies(server, "PRESENCE")] == [1, 2]


async def test_nats_killed_in_the_middle_loses_and_doubles_nothing(server: Nats) -> None:
    async with publisher(server) as events:
        for n in range(300):
            events.publish("state", "zon_meadow", {"n": n}, f"event-{n}")
        # Some are acknowledged, some on their way, some not sent.
        await until(lambda: events.counts.kept["state"] >= 20)
        server.kill()
        for n in range(300, 400):
            events.publish("state", "zon_meadow", {"n": n}, f"event-{n}")
        await until(lambda: not events._bus.connected)
        events.publish("position", "zon_meadow", {}, "")
        server.start()
        for n in range(400, 500):
            events.publish("state", "zon_meadow", {"n": n}, f"event-{n}")
        await until(lambda: events.waiting == 0)
        assert events.counts.dropped == {"presence": 0, "state": 0, "position": 1}
        kept = [body["n"] for body in await bodies(server, "STATE_SYNC")]
        assert sorted(kept) == list(range(500))  # type: ignore[type-var]
        # Places are kept in memory: their stream went with the server, and is there again.
        before = events.counts.dropped["position"]
        events.publish("position", "zon_meadow", {"tick": 1}, "")
        await events._bus.flush(DEADLINE_S)
        assert events.counts.dropped["position"] == before
        assert await bodies(server, "POSITION") == [{"tick": 1}]


async def test_what_a_silent_nats_does_not_acknowledge_is_sent_again(server: Nats) -> None:
    async with publisher(server) as events:
        server.pause()
        presence(events, "usr_a", 1)
        await until(lambda: events.counts.repeated["presence"] >= 1)
        server.unpause()
        await until(lambda: events.waiting == 0)
    assert len(await bodies(server, "PRESENCE")) == 1


async def test_what_jetstream_refuses_is_tried_a_few_times_and_given_up(server: Nats) -> None:
    async with outside(server) as jetstream:
        await jetstream.add_stream(
            StreamConfig("STATE_SYNC", subjects=["state.>"], retention=RetentionPolicy.WORK_QUEUE, max_msg_size=50)
        )
    with capture_logs() as logs:
        async with publisher(server, limits=Limits(ack_s=0.02, attempts=3)) as events:
            events.publish("state", "zon_meadow", {"text": "x" * 100}, "long")
            events.publish("state", "zon_meadow", {"n": 1}, "short")
            await until(lambda: events.waiting == 0)
    assert (events.counts.dropped["state"], events.counts.kept["state"], events.counts.repeated["state"]) == (1, 1, 2)
    assert [line["stream"] for line in logs if line["event"] == "event_not_kept"] == ["state"]
    assert await bodies(server, "STATE_SYNC") == [{"n": 1}]
