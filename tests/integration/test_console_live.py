"""The console's live feed on a real socket (row 7.8): what changes, slow readers, ends of sessions, and a console that restarts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from cluster.operations.model import Look, Nothing, Registry, Result
from serve_apps.console.feed import MOST_TOPICS
from tests.integration.console_rig import ConsoleRig, Visitor, console, console_rig, told
from tests.integration.identity_rig import eventually


@pytest.fixture
async def rig(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[ConsoleRig]:
    async with console_rig(valkey_url, nats_url, nats_token) as made:
        yield made


class Zones(Result):
    version: int
    zones: list[dict[str, Any]]


async def closed(link: ClientConnection) -> int | None:
    """The code with which the realm has closed it."""
    async with asyncio.timeout(10.0):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await link.recv()
    return link.close_code


class World:
    """A map that tests change. `bulk`: bytes of each zone."""

    def __init__(self, bulk: int = 0) -> None:
        self.zones = {f"z{n}": {"zone": f"z{n}", "population": 0, "bulk": "x" * bulk} for n in range(3)}
        self.asked = 0

    async def run(self, *_: object) -> Zones:
        self.asked += 1
        return Zones(version=1, zones=[dict(zone) for zone in self.zones.values()])

    def registry(self) -> Registry:
        made = Registry()
        made.add(Look("world.map", "The map", Nothing, Zones, self.run, "zones map"))
        return made


async def test_a_real_realm_is_told(rig: ConsoleRig) -> None:
    ada = await rig.operator("ada")
    async with ada.live("overview", "map", "heat", "gateways", "nodes", "jobs", "samples", "logs") as link:
        whole: dict[str, Any] = {}
        async with asyncio.timeout(15.0):
            while {"overview", "gateways", "jobs", "samples", "clock"} - whole.keys():
                said = orjson.loads(await link.recv())
                whole.setdefault(said["topic"], said["data"])
        assert whole["jobs"] == {"total": 0, "jobs": []}
        assert whole["samples"]["full"]
        known = {each["gateway"] for each in whole["gateways"]["gateways"]}
        while not known:  # a console that has just begun to listen has not heard it yet
            known = {each["gateway"] for each in (await told(link, "gateways"))["changed"]}
        assert known == {rig.realm.gateway.hub.gateway_id}
        async with asyncio.timeout(15.0):
            while True:
                more = (await told(link, "samples"))["series"]
                if more.get("sockets") and more.get("tick_ms_p95"):
                    break
        history = (await ada.get("history/show")).json()
        assert {"players", "sockets", "messages_per_s"} <= set(history["series"])
        zone = rig.realm.settings.world.zones[0].id
        named = (await ada.get("history/show", zone=zone)).json()["series"]
        assert set(named) == {f"tick_ms_p95:{zone}", f"population:{zone}"}


async def test_the_whole_first_then_what_changed(valkey_url: str, nats_url: str, nats_token: str) -> None:
    world = World()
    async with console_rig(valkey_url, nats_url, nats_token, operations=world.registry()) as rig:
        ada = await rig.operator("ada")
        async with ada.live("map") as link, ada.live("map") as other:
            assert len((await told(link, "map"))["zones"]) == 3
            assert len((await told(other, "map"))["zones"]) == 3
            world.zones["z1"]["population"] = 7
            for each in (link, other):
                news = await told(each, "map")
                assert (news["changed"], news["gone"]) == ([world.zones["z1"]], [])
                assert "version" not in news
            del world.zones["z0"]
            assert await told(link, "map") == {"changed": [], "gone": ["z0"]}
            await link.send(json.dumps({"unsubscribe": ["map"]}))
            await link.send(json.dumps({"subscribe": ["map"]}))
            assert [zone["zone"] for zone in (await told(link, "map"))["zones"]] == ["z1", "z2"], "the whole again"

        async def nobody_asks() -> bool:
            before = world.asked
            await asyncio.sleep(0.5)
            return world.asked == before

        await eventually(nobody_asks, 10.0)


async def test_at_most_one_message_a_push(valkey_url: str, nats_url: str, nats_token: str) -> None:
    world = World()
    async with console_rig(
        valkey_url, nats_url, nats_token, operations=world.registry(), console={"push_s": 0.3}
    ) as rig:
        ada, loop = await rig.operator("ada"), asyncio.get_running_loop()
        async with ada.live("map") as link:
            await told(link, "map")
            times: list[float] = []
            for count in range(6):
                world.zones["z1"]["population"] = count + 1
                await told(link, "map")
                times.append(loop.time())
            gaps = [later - earlier for earlier, later in pairwise(times)]
            assert min(gaps) > 0.15
            assert sum(gaps) / len(gaps) > 0.25


async def test_a_slow_reader_costs_one_message_and_gets_the_newest(
    valkey_url: str, nats_url: str, nats_token: str
) -> None:
    world = World(bulk=300_000)
    async with console_rig(
        valkey_url, nats_url, nats_token, operations=world.registry(), console={"push_s": 0.02}
    ) as rig:
        ada = await rig.operator("ada")
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        narrow.setblocking(False)
        host, port = rig.origin.removeprefix("http://").split(":")
        await asyncio.get_running_loop().sock_connect(narrow, (host, int(port)))
        async with ada.live("map", sock=narrow, max_queue=1, compression=None) as link:
            first = orjson.loads(await link.recv())
            while first["topic"] != "map":
                first = orjson.loads(await link.recv())
            before = world.asked
            changes = 0

            async def many() -> bool:
                nonlocal changes
                changes += 1
                for zone in world.zones.values():
                    zone["population"] = changes
                return world.asked > before + 100

            await eventually(many, 20.0)  # a hundred changes of a megabyte each, and nobody reads
            heard: list[int] = []
            async with asyncio.timeout(20.0):
                while not heard or heard[-1] != changes:
                    said = orjson.loads(await link.recv())
                    if said["topic"] == "map":
                        heard.append(said["data"]["changed"][0]["population"])
            assert len(heard) < 20, "the rest was skipped"
            assert heard == sorted(heard)


class TestWhoMay:
    async def refused(self, visitor: Visitor, **how: Any) -> tuple[int, str]:
        with pytest.raises(InvalidStatus) as caught:
            async with visitor.live("map", **how):
                pass
        answer = caught.value.response
        return answer.status_code, orjson.loads(answer.body or b"{}").get("reason", "")

    async def test_nobody(self, rig: ConsoleRig) -> None:
        assert await self.refused(rig.visitor()) == (401, "not_logged_in")

    async def test_no_other_page(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        for origin in ("https://evil.example", None):
            assert await self.refused(ada, origin=origin) == (403, "origin_refused")

    @pytest.mark.parametrize("how", ["role", "logout", "remove"])
    async def test_whose_session_ends_is_closed(self, rig: ConsoleRig, how: str) -> None:
        ada, eve = await rig.operator("ada"), await rig.operator("eve", "viewer")
        async with eve.live("overview") as link:
            await told(link, "overview")
            if how == "logout":
                await eve.post("logout")
            else:
                await ada.act(f"operators.{how}", {"name": "eve"} | ({"role": "operator"} if how == "role" else {}))
            assert await closed(link) == 4401


class TestNonsense:
    @pytest.mark.parametrize(
        "said", ["x", "[]", '{"subscribe": 5}', b"\xff", json.dumps({"subscribe": [f"logs?q={n}" for n in range(99)]})]
    )
    async def test_it_ends_the_connection(self, rig: ConsoleRig, said: str | bytes) -> None:
        ada = await rig.operator("ada")
        async with ada.live() as link:
            await link.send(said)
            assert await closed(link) == 1008
        assert MOST_TOPICS < 99

    async def test_topics_that_there_are_not_are_ignored(self, rig: ConsoleRig) -> None:
        ada = await rig.operator("ada")
        async with ada.live("no.such", "jobs") as link:
            assert (await told(link, "jobs"))["total"] == 0


async def test_logs_as_they_come(rig: ConsoleRig) -> None:
    ada, runtime = await rig.operator("ada"), rig.realm.gateway._runtime

    def say(number: int, level: str) -> None:
        line = {"at": float(number), "level": level, "event": f"event {number}", "kind": "zone", "process": "zone/a"}
        runtime.bus.publish(runtime.subjects.process_logs(), orjson.dumps(line))

    topic = "logs?level=warning&process=zone/a"
    async with ada.live(topic) as link:
        await told(link, topic)
        for number, level in enumerate(("info", "warning", "debug", "error")):
            say(number, level)
        heard: list[str] = []
        while len(heard) < 2:
            heard += [line["event"] for line in (await told(link, topic))["lines"]]
        assert heard == ["event 1", "event 3"]


async def test_after_a_restart_the_session_still_counts_and_history_begins_anew(rig: ConsoleRig) -> None:
    ada = await rig.operator("ada")
    first = (await ada.get("history/show")).json()["since"]
    async with console(rig.realm) as (_, url):
        ada.http.base_url = url.removesuffix("/console/")
        ada.origin = url.removesuffix("/console/")
        assert (await ada.get("me")).status_code == 200
        assert (await ada.get("history/show")).json()["since"] > first
        async with ada.live("samples") as link:
            assert (await told(link, "samples"))["full"]
