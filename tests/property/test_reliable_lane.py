"""Whatever fails, and whenever: each client has exactly what its session's log has, in order and once, or was told that it has not
(rows 1.7 and 2.5; PROTOCOL.md, "Reliable notifications" and "Recovery").

Two halves meet in the log. What it holds for a session must be what was published to its topics while it listened; what a client
got must be what the log holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from cluster.errors import Unavailable
from tests.property.lane_players import Gateway, Player
from tests.property.lane_world import ACTOR, World

TOPICS = ("news", "chat:hall")
STEPS = 500
SEEDS = 40
ROUNDS = 600  # of a quarter of a second, for everything to come right once nothing fails any more


class Walk:
    """A random walk through all that may happen."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.gateways: list[Gateway] = []
        self.players: list[Player] = []
        self.posted: dict[int, str] = {}
        self.acknowledged: set[int] = set()

    @property
    def living(self) -> list[Gateway]:
        return [gateway for gateway in self.gateways if gateway.alive]

    async def begin(self) -> None:
        world = self.world
        world.rough = False
        world.start_actor()
        await world.settle()
        await world.records.register_actor(world.actor.fence)
        for n in range(3):
            placed = await world.records.place("", f"ses_{n}", f"usr_ses_{n}", 9, 99, 1e6, world.wall_clock())
            assert placed.actor == ACTOR
            self.players.append(Player(world, placed.session_id))
        for _ in range(2):
            await self.new_gateway()
        await self.connect()
        await world.settle()
        await self.receive()
        for player in self.players[:2]:
            for topic in TOPICS:
                world.spawn(player.change([topic]))
                await world.settle()
        world.rough = True

    async def new_gateway(self) -> None:
        gateway = Gateway(self.world, f"gtw_{len(self.gateways)}")
        await gateway.listen()
        self.gateways.append(gateway)

    # --- what may happen ----------------------------------------------------------------------------------------

    async def publish(self) -> None:
        topic = self.world.rng.choice(TOPICS)
        for _ in range(self.world.rng.choice([1, 1, 1, 2, 5, 15])):
            self.world.spawn(self.world.publish(topic))

    async def deliver(self) -> None:
        self.world.bus.deliver(self.world.rng.randint(1, 12))

    async def receive(self) -> None:
        for player in self.players:
            player.receive(self.world.rng.randint(0, 8))

    async def ack(self) -> None:
        self.world.rng.choice(self.players).ack()

    async def cut(self) -> None:
        self.world.rng.choice(self.players).drop()

    async def connect(self) -> None:
        for player in self.players:
            if player.socket is None:
                self.open(player)

    def open(self, player: Player) -> None:
        if not player.connecting:
            player.connecting = True
            self.world.spawn(player.connect(self.world.rng.choice(self.living)))

    async def move_over(self) -> None:
        """A socket is opened while another one is still good."""
        self.open(self.world.rng.choice(self.players))

    async def notice(self) -> None:
        for gateway in self.living:
            for client in list(gateway.clients.values()):
                if gateway.sockets[client].dead:
                    gateway.close(client)

    async def kill_gateway(self) -> None:
        self.world.rng.choice(self.living).kill()
        for player in self.players:
            if player.socket is not None and player.socket.dead:
                player.drop()
        await self.new_gateway()

    async def mute(self) -> None:
        """Its heartbeats are lost for a while, or come again."""
        gateway = self.world.rng.choice(self.living)
        gateway.muted = not gateway.muted

    async def kill_actor(self) -> None:
        if not self.world.actor.over:
            self.world.replace_actor()

    async def actor_away(self) -> None:
        """For as long as it takes until `revive` is drawn."""
        self.world.actor.kill()

    async def revive(self) -> None:
        if self.world.actor.over:
            self.world.start_actor()

    async def time(self) -> None:
        self.world.now += self.world.rng.choice([0.05, 0.25, 0.25, 1.0])
        self.tick()

    def tick(self) -> None:
        for actor in (self.world.actor, *self.world.zombies):
            actor.tick()
        for gateway in self.living:
            gateway.tick()

    async def flush(self) -> None:
        for gateway in self.living:
            gateway.link.flush()

    async def change(self) -> None:
        self.world.spawn(self.world.rng.choice(self.players).change(TOPICS))

    async def post(self) -> None:
        player = self.world.rng.choice(self.players)
        number = len(self.posted)
        self.posted[number] = player.session_id
        self.world.spawn(self._post(number, player.session_id))

    async def _post(self, number: int, session_id: str) -> None:
        params = orjson.dumps({"number": number})
        try:
            await self.world.call("lane", "post", [([session_id], "presence.changed", params)], 60.0)
        except Unavailable:
            return
        self.acknowledged.add(number)

    async def outage(self) -> None:
        self.world.outage = not self.world.outage

    async def step(self) -> None:
        weights: dict[Callable[[], Coroutine[Any, Any, None]], int] = {
            self.publish: 20, self.deliver: 40, self.receive: 20, self.ack: 10, self.cut: 3, self.connect: 12,
            self.move_over: 1, self.notice: 3, self.kill_gateway: 1, self.kill_actor: 2, self.actor_away: 1,
            self.revive: 3, self.time: 20, self.flush: 15, self.change: 3, self.post: 3, self.outage: 1,
            self.mute: 1,
        }  # fmt: skip
        world = self.world
        (what,) = world.rng.choices(list(weights), list(weights.values()))
        world.counts[what.__name__] += 1
        await what()
        for _ in range(world.rng.randint(0, 6)):
            await asyncio.sleep(0)
        for error in world.errors:
            raise error

    # --- and the end --------------------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Nothing fails any more: everything comes right by itself, and soon."""
        world = self.world
        if world.rng.random() < 0.7:
            world.bus.lose()  # so that what was said last is lost, and nothing later betrays it
        world.rough = world.outage = False
        for gateway in self.living:
            gateway.muted = False
        await self.revive()
        calm = 0
        for _ in range(ROUNDS):
            world.now += 0.25
            self.tick()
            await self.connect()
            await self.notice()
            for _ in range(3):
                await world.settle()
                await self.flush()
                world.bus.deliver(100_000)
                for player in self.players:
                    player.receive(100_000)
                    player.ack()
            for error in world.errors:
                raise error
            calm = calm + 1 if self.calm() else 0
            if calm == 4:
                return
        raise AssertionError(f"it did not come right: {self.state()}")

    def calm(self) -> bool:
        following = self.world.actor.following
        read = all(
            place == self.world.published[t][-1].id for t, place in following._places.items() if self.world.published[t]
        )
        return read and not self.world.actor.lane._pending and all(self.whole(player) for player in self.players)

    def whole(self, player: Player) -> bool:
        newest = len(self.world.told.entries[player.session_id])
        return player.socket is not None and player.socket.greeted and not player.busy and player.last == newest

    def state(self) -> dict[str, Any]:
        return {
            player.session_id: (
                player.last,
                len(self.world.told.entries[player.session_id]),
                player.busy,
                player.socket,
            )
            for player in self.players
        }

    def check(self) -> None:
        for player in self.players:
            self.check_client(player)
            for topic in TOPICS:
                self.check_topic(player.session_id, topic)
        posts = [
            (session_id, orjson.loads(params)["number"])
            for session_id, entries in self.world.told.entries.items()
            for method, params, _ in entries.values()
            if method == "presence.changed"
        ]
        assert len(posts) == len(set(posts)), "posted twice"
        assert {(self.posted[number], number) for number in self.acknowledged} <= set(posts)

    def check_client(self, player: Player) -> None:
        """What it got, and what it was told it missed, is the log."""
        entries = self.world.told.entries[player.session_id]
        assert sorted(entries) == list(range(1, len(entries) + 1))
        assert [(m, p) for _, m, p in player.got] == [
            (entries[seq][0], orjson.loads(entries[seq][1])) for seq, _, _ in player.got
        ]
        missed = [seq for first, last in player.missed for seq in range(first, last + 1)]
        assert sorted([*missed, *(seq for seq, _, _ in player.got)]) == sorted(entries)
        got = [seq for seq, _, _ in player.got]
        assert got == sorted(set(got))

    def check_topic(self, session_id: str, topic: str) -> None:
        """While it was a member it was told the topic's messages without a hole, except where it was told of one."""
        published = self.world.published[topic]
        told: list[int | None] = []  # None: a gap
        for _, (method, params, _) in sorted(self.world.told.entries[session_id].items()):
            said = orjson.loads(params)
            if said.get("topic") == topic:
                told.append(said["number"] if method == "system.topic" else None)
        numbers = [number for number in told if number is not None]
        assert numbers == sorted(set(numbers)), "in the log's order, once"
        holes = set[int]()
        before: int | None = -1
        for at, number in enumerate(told):
            if number is not None and at and told[at - 1] is None and before is not None:
                holes |= set(range(before + 1, number))
            before = before if number is None else number
        trimmed = len(published) - self.world.settings.session.topic_log
        events = self.world.windows[session_id, topic]
        for at, (joined, what, start) in enumerate(events):
            if not joined or what != "done":
                continue
            left = [index for again, _, index in events[at + 1 :] if not again]
            window = list(range(start, min([len(published), *left])))
            lacking = [number in numbers or number in holes for number in window]
            # The actor may be behind when a member leaves, and still be when it is back, which then hears of some that are older.
            runs = sum(not there and (not at or lacking[at - 1]) for at, there in enumerate(lacking))
            assert runs <= len(left), "a hole for no reason"
            assert all(number < trimmed for number in set(window) & holes), "a gap where the log has it"


@pytest.mark.parametrize("seed", range(SEEDS))
async def test_a_walk(seed: int) -> None:
    walk = Walk(seed)
    with capture_logs():
        try:
            await walk.begin()
            for _ in range(STEPS):
                await walk.step()
            await walk.heal()
            walk.check()
        finally:
            await walk.world.end()
