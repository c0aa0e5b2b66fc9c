"""The parts of a simulated realm do to their users what Redis, NATS and Ray may do, and no more."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from actors.zone import records
from actors.zone.arrivals import Standing
from actors.zone.entities import Entity
from cluster.errors import Fenced, NotFound, Unavailable
from tests.simulation.machines import Machines, SimCalls
from tests.simulation.network import Network, ProcessBus, Roughness
from tests.simulation.server import TIMEOUT_S, Fates, Kept, Server, SimRedis, Watch
from tests.simulation.virtual_time import Process, VirtualLoop, run


def a_record(entity_id: str) -> bytes:
    entity = Entity(1, 1, entity_id, "player", "Ann", "ses_1", "usr_1", "chr_1", "", 1)
    return records.dump(records.Record(entity, Standing(entity_id, 1, 0.0, 0.0, 0.0, 0.0, 0), "zon_a"))


class Seen(Watch):
    def __init__(self) -> None:
        self.told: list[Any] = []

    def taken(self, process: int, zone_id: str, slot: int, epoch: int) -> None:
        self.told.append(("taken", process, zone_id, epoch))

    def wrote(self, process: int, what: str, zone_id: str, epoch: int, before: Kept, after: Kept) -> None:
        had, has = ({z: sorted(kept[z].entities) for z in kept} for kept in (before, after))
        self.told.append((what, process, had, has))


class TestNetwork:
    def rig(self, rough: Roughness) -> tuple[Network, list[ProcessBus], list[Process]]:
        network = Network(random.Random(1), rough)
        processes = [Process(name, number) for number, name in enumerate("ab")]
        return network, [ProcessBus(network, process) for process in processes], processes

    def test_messages_of_one_keep_their_order_and_take_time(self) -> None:
        async def work() -> tuple[list[int], int]:
            _, (one, two), _ = self.rig(Roughness())
            heard: list[int] = []
            await two.subscribe("x", lambda data: heard.append(data[0]))
            for number in range(100):
                one.publish("x", bytes([number]))
            assert heard == []
            await asyncio.sleep(0.0004)
            early = len(heard)
            await asyncio.sleep(0.0146)
            return heard, early

        assert run(work) == (list(range(100)), 0)

    def test_some_are_lost_and_all_while_it_is_away(self) -> None:
        async def work() -> tuple[int, int]:
            network, (one, two), _ = self.rig(Roughness(lost=0.2))
            heard: list[bytes] = []
            await two.subscribe("x", heard.append)
            for _ in range(200):
                one.publish("x", b"1")
            await asyncio.sleep(1.0)
            some = len(heard)
            network.away = True
            one.publish("x", b"2")
            await asyncio.sleep(1.0)
            with pytest.raises(Unavailable):
                await one.flush(0.5)
            return some, len(heard)

        some, all_of_them = run(work)
        assert 120 < some < 200
        assert some == all_of_them

    def test_the_dead_say_and_hear_nothing(self) -> None:
        async def work() -> tuple[list[bytes], list[bytes]]:
            _, (one, two), processes = self.rig(Roughness())
            heard: tuple[list[bytes], list[bytes]] = ([], [])
            await one.subscribe("x", heard[0].append)
            await two.subscribe("x", heard[1].append)
            one.publish("x", b"on its way")
            processes[0].kill()
            one.publish("x", b"after death")
            await asyncio.sleep(1.0)
            two.publish("x", b"of the other")
            await asyncio.sleep(1.0)
            return heard

        assert run(work) == ([], [b"on its way", b"of the other"])

    def test_who_is_stopped_hears_it_later(self) -> None:
        async def work() -> tuple[list[bytes], list[bytes]]:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            _, (one, two), processes = self.rig(Roughness())
            heard: list[bytes] = []
            await two.subscribe("x", heard.append)
            loop.stop_process(processes[1])
            one.publish("x", b"1")
            await asyncio.sleep(1.0)
            before = list(heard)
            loop.resume(processes[1])
            await asyncio.sleep(1.0)
            return before, heard

        assert run(work) == ([], [b"1"])


class TestServer:
    def rig(self, fates: Fates) -> tuple[Server, Seen, SimRedis, Process]:
        seen = Seen()
        server = Server(random.Random(1), fates, seen)
        process = Process("test", 7)
        return server, seen, SimRedis(server, process), process

    def test_what_a_write_changed_is_told(self) -> None:
        async def work() -> list[Any]:
            _, seen, redis, _ = self.rig(Fates())
            epoch = await redis.zones.take("zon_a", 0)
            await redis.zones.commit("zon_a", epoch, {"ent_1": ("ses_1", a_record("ent_1"))}, {})
            with pytest.raises(Fenced):
                await redis.zones.commit("zon_a", epoch + 1, {}, {"ent_1": "ses_1"})
            return seen.told

        assert run(work) == [("taken", 7, "zon_a", 1), ("commit", 7, {"zon_a": []}, {"zon_a": ["ent_1"]})]

    def test_an_answer_may_be_lost_after_it_acted(self) -> None:
        async def work() -> list[Any]:
            _, seen, redis, _ = self.rig(Fates(answer_lost=1.0))
            with pytest.raises(Unavailable):
                await redis.zones.take("zon_a", 0)
            return seen.told

        assert run(work) == [("taken", 7, "zon_a", 1)]

    def test_a_request_may_act_when_it_was_given_up(self) -> None:
        async def work() -> tuple[int, int, float]:
            _, seen, redis, _ = self.rig(Fates(late=1.0))
            began = asyncio.get_running_loop().time()
            with pytest.raises(Unavailable):
                await redis.zones.take("zon_a", 0)
            took = asyncio.get_running_loop().time() - began
            before = len(seen.told)
            await asyncio.sleep(3 * TIMEOUT_S)
            return before, len(seen.told), took

        before, after, took = run(work)
        assert (before, after) == (0, 1)
        assert took == pytest.approx(TIMEOUT_S, abs=0.1)

    def test_away(self) -> None:
        async def work() -> list[Any]:
            server, seen, redis, _ = self.rig(Fates())
            for how in ("refuse", "hang"):
                server.go(how)
                with pytest.raises(Unavailable):
                    await redis.zones.owner("zon_a")
                server.come_back()
            await redis.zones.take("zon_a", 0)
            return seen.told

        assert run(work) == [("taken", 7, "zon_a", 1)]

    def test_the_dead_ask_nothing(self) -> None:
        async def work() -> list[Any]:
            _, seen, redis, process = self.rig(Fates())
            process.kill()
            with pytest.raises(asyncio.CancelledError):
                await redis.zones.take("zon_a", 0)
            await asyncio.sleep(1.0)
            return seen.told

        assert run(work) == []


class Echo:
    def __init__(self, process: Process) -> None:
        self.number = process.number

    async def say(self, what: str) -> str:
        await asyncio.sleep(0.1)
        return f"{what} from {self.number}"

    async def refuse(self) -> None:
        raise NotFound("nothing")


class TestMachines:
    def rig(self) -> tuple[Machines, SimCalls, list[str]]:
        deaths: list[str] = []
        machines = Machines(random.Random(1), lambda process, why: deaths.append(f"{process.name} {why}"))
        machines.start("echo", "", Echo)
        return machines, SimCalls(machines, 1), deaths

    def test_calls(self) -> None:
        async def work() -> str:
            _, calls, _ = self.rig()
            with pytest.raises(NotFound):
                await calls.call("echo", "refuse", deadline_s=1.0)
            with pytest.raises(Unavailable):
                await calls.call("nobody", "say", "x", deadline_s=1.0)
            with pytest.raises(Unavailable):
                await calls.call("echo", "say", "x", deadline_s=0.05)
            said: str = await calls.call("echo", "say", "hello", deadline_s=1.0)
            return said

        assert run(work) == "hello from 1"

    def test_who_is_killed_is_restarted_and_its_callers_are_told(self) -> None:
        async def work() -> tuple[str, list[str]]:
            machines, calls, deaths = self.rig()
            call = asyncio.create_task(calls.call("echo", "say", "x", deadline_s=5.0))
            await asyncio.sleep(0.05)
            machines.kill("echo")
            with pytest.raises(Unavailable):
                await call
            assert machines.alive("echo") is None
            said: str = await calls.call("echo", "say", "hello", deadline_s=5.0, idempotent=True)
            return said, deaths

        assert run(work) == ("hello from 2", ["echo killed"])

    def test_who_is_removed_is_not(self) -> None:
        async def work() -> bool:
            machines, _, _ = self.rig()
            machines.remove("echo")
            await asyncio.sleep(5.0)
            return machines.alive("echo") is None

        assert run(work)

    def test_who_is_disowned_goes_on_beside_its_successor(self) -> None:
        async def work() -> tuple[str, list[int]]:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, VirtualLoop)
            machines, calls, _ = self.rig()
            process = machines.disown("echo")
            assert process is not None
            said: str = await calls.call("echo", "say", "hello", deadline_s=5.0, idempotent=True)
            running: Callable[[], list[int]] = lambda: sorted(a.process.number for a in machines.running() if a.process)  # noqa: E731
            assert running() == [2]
            loop.resume(process)
            return said, running()

        assert run(work) == ("hello from 2", [1, 2])
