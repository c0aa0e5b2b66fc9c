"""Players who walk and write while the realm is being broken, and write down what they are told (DESIGN, "The commands")."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from random import Random

import httpx
from pydantic import SecretStr

from cluster.bench.crew import BotStats
from cluster.bench.entrants import enlist
from cluster.bench.walker import Wanderer
from cluster.chaos.gaps import ViewGaps
from cluster.chaos.history import History
from cluster.chaos.lanes import REQUEST_S, AttributeLane, ChatLane, Lane, StateLane
from cluster.chaos.recording import RecordingClient
from cluster.chaos.sight import Reach, Sight, Standing, differences, sight
from cluster.errors import Ours
from rayrealm_client.errors import NotConnected, RealmError
from rayrealm_client.models import Ready, World
from rayrealm_client.view import Changes, Correction, View

MOVES_HZ = 10.0
SPEED_M_S = 6.0
PACE_OF_LIMIT = 0.8
TIMEOUT_S = 10.0
ACCOUNT_S = 60.0
COME_S = 60.0
STATE_PAUSE_S, CHAT_PAUSE_S, ATTRIBUTE_PAUSE_S = (0.2, 1.0), (0.6, 2.0), (0.6, 2.0)
LEAVING = 0.03
ALL = "all"
GROUPS = 2
PROBE_S = 1.0
PROBE_PAUSE_S = 0.05
LOOK_PAUSE_S = 0.4


class ChaosBot:
    """One player, who walks all over the land. Its lanes are what it writes; `gaps`, how long it was without a view."""

    def __init__(
        self,
        url: str,
        number: int,
        seed: int,
        history: History,
        stats: BotStats,
        http: httpx.AsyncClient,
        zones: Callable[[], Sequence[str]],
        calm: float = 1.0,
    ) -> None:
        """`zones()`: those that there are; `calm`: its pauses, as a multiple of the usual ones."""
        self.name = stats.username
        self.stats = stats
        self.gaps = ViewGaps()
        self._number = number
        self._history = history
        self._zones = zones
        self._rng = Random(f"{seed}:{number}")  # noqa: S311 - what it does is no secret
        self.client = RecordingClient(url, self.name, history, timeout_s=TIMEOUT_S, rng=self._rng, http=http)
        channels = (ALL, f"group{number % GROUPS}")
        chat, attributes, self._state_pause_s = (
            (low * calm, high * calm) for low, high in (CHAT_PAUSE_S, ATTRIBUTE_PAUSE_S, STATE_PAUSE_S)
        )
        self._chat = ChatLane(self.client, history, self._dice("chat", seed), chat, channels)
        self._attributes = AttributeLane(self.client, history, self._dice("attribute", seed), attributes)
        self._state: StateLane | None = None
        self._seed = seed
        self._walker: Wanderer | None = None
        self._standing_still = False
        self._walking: asyncio.Task[None] | None = None
        self._writing: list[asyncio.Task[None]] = []
        self._probes = 0
        self._viewed = asyncio.Event()

    def _dice(self, lane: str, seed: int) -> Random:
        return Random(f"{seed}:{self._number}:{lane}")  # noqa: S311 - see above

    @property
    def lanes(self) -> list[Lane]:
        return [self._chat, self._attributes, *([self._state] if self._state is not None else [])]

    # --- its life ----------------------------------------------------------------------------------------------

    async def come(self) -> None:
        """An account with a character; then as `arrive`."""
        password = SecretStr(secrets.token_urlsafe(12))
        accounts = self.client.accounts
        entrant = await enlist(accounts, self.name, password, self._number, self._rng, ACCOUNT_S)
        await self.arrive(entrant.character_id)

    async def arrive(self, character_id: str) -> None:
        """A session, channels, its character in the world; then it walks. The client is logged in. Raises RealmError."""
        self.stats.logins += 1
        self.client.on_world(self._placed)
        self.client.on_zone(self._is_in)
        self.client.on_view(self._saw)
        self.client.on_correction(self._corrected)
        self.client.on_ready(self._connected)
        dice = self._dice("state", self._seed)
        self._state = StateLane(
            self.client,
            self._history,
            dice,
            self._state_pause_s,
            character_id,
            self._zones,
            LEAVING,
            self._pause,
        )
        async with asyncio.timeout(COME_S):
            await self.client.connect(COME_S)
            await self._chat.join()
            zones = self._zones()
            await self._state.come_in(zones[self._number % len(zones)])
        self._walking = asyncio.create_task(self._walk())

    async def watch(self, user_id: str) -> None:
        """Be told of somebody's presence: that travels by the reliable lane, too."""
        await self.client.presence.subscribe([user_id])

    def write(self) -> None:
        """All lanes, until `rest`."""
        self._writing = [asyncio.create_task(lane.run()) for lane in self.lanes]

    async def rest(self, deadline_s: float) -> bool:
        """No new requests; those under way come to their end. False if one does not. Raises what a lane raised."""
        for lane in self.lanes:
            lane.stop()
        done, waiting = await asyncio.wait(self._writing, timeout=deadline_s) if self._writing else (set(), set())
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()
        self._writing = []
        return not waiting

    async def read_back(self, deadline_s: float, other: ChaosBot) -> bool:
        """What the realm has of it now, into the history, and the status of another one. False if it was not told in time."""
        if self.gone:
            return False
        until = time.monotonic() + deadline_s
        reads: list[Callable[[], Awaitable[bool]]] = [self._attributes.read, self._read_session]
        reads += [partial(self._read_status, other), *([self._state.read] if self._state is not None else [])]
        for read in reads:
            while not await read():
                if time.monotonic() > until:
                    return False
        return True

    async def _read_session(self) -> bool:
        try:
            told = await self.client.request("system.info", timeout_s=REQUEST_S)
        except RealmError:
            await asyncio.sleep(LOOK_PAUSE_S)
            return False
        world, prefix = told["world"], "chat:"
        channels = [topic.removeprefix(prefix) for topic in told["topics"] if topic.startswith(prefix)]
        shown = self.client.zone
        self._history.add("session", bot=self.name, zone=world and world["zone"], shown=shown, channels=channels)
        return True

    async def _read_status(self, other: ChaosBot) -> bool:
        ready = other.client.session_ready
        if ready is None:
            return False
        try:
            (presence,) = await self.client.presence.subscribe([ready.user_id])
        except RealmError:
            await asyncio.sleep(LOOK_PAUSE_S)
            return False
        self._history.add("status", bot=other.name, value=presence.status)
        return True

    async def go(self) -> None:
        for task in (self._walking, *self._writing):
            if task is not None:
                task.cancel()
        await self.client.close()

    # --- how it is ---------------------------------------------------------------------------------------------

    @property
    def gone(self) -> bool:
        """The realm has sent it away."""
        return self.client.ended is not None

    @property
    def trouble(self) -> BaseException | None:
        """What ended one of its tasks, which nothing should: a bug of ours."""
        for task in (self._walking, *self._writing):
            if task is not None and task.done() and not task.cancelled() and task.exception() is not None:
                return task.exception()
        return None

    @property
    def away(self) -> bool:
        """It is not in the world, by its own will."""
        return self._state is None or self._state.away

    @property
    def standing(self) -> Standing | None:
        """Where it is; None while it is on its way into the world or out of it."""
        world, zone, state = self.client.world, self.client.zone, self._state
        if world is None or zone is None or state is None or state.away or self.gone:
            return None
        x, _, z = self.client.position
        return Standing(world.entity_id, self.name, state.stay, zone, x, z)

    async def look(self, deadline_s: float, others: Callable[[], list[Standing]], forgotten_m: float) -> None:
        """Whether it sees what is there, into the history: what is wrong still at the deadline."""
        until = time.monotonic() + deadline_s
        before: Sight | None = None
        wrong = ["nobody says what is there"]
        near: list[Standing] = []
        while wrong and time.monotonic() < until:
            with contextlib.suppress(RealmError):  # on its way to another zone, or out of reach
                snapshot = await self.client.request("state.sync.request", timeout_s=REQUEST_S)
                me, world = self.standing, self.client.world
                radius = 0.0 if world is None else world.interest_radius
                reach = Reach(radius, radius + forgotten_m, self._standing_still)
                now = sight(self.client.entities, snapshot, me, others(), reach)
                near = list(now.near.values())
                wrong = differences(before, now) if before is not None else wrong
                before = now
            if wrong:
                await asyncio.sleep(LOOK_PAUSE_S)
        across = sum(other.zone != self.client.zone for other in near)
        self._history.add("sight", bot=self.name, wrong=wrong, near=len(near), across=across)

    async def served(self, since: float) -> float:
        """Seconds from `since` until it is served: a new move is judged, and a change of its state and an attribute are durable.

        What was on its way is given up first: the measure is the realm's, not a client's patience.
        """
        state = self._state
        if state is None:
            raise Ours(f"{self.name} is not there")
        for lane in self.lanes:
            lane.now()
        ends = await asyncio.gather(self._judged(), self._probed(), state.acknowledged())
        return max(ends) - since

    async def _judged(self) -> float:
        sequence = self.client.sequence
        while self.client.acked <= sequence:
            self._viewed.clear()
            await self._viewed.wait()
        return time.monotonic()

    async def _probed(self) -> float:
        """An attribute of its own, set again until that is acknowledged."""
        while True:
            self._probes += 1
            op = self._history.invoked(self.name, "attribute", name="probe", n=self._probes)
            try:
                params = {"name": "probe", "value": self._probes}
                await self.client.request("session.attribute.set", params, PROBE_S)
            except RealmError as error:
                self._history.add("unknown", op=op, why=str(error))
                await asyncio.sleep(PROBE_PAUSE_S)
            else:
                self._history.add("acknowledged", op=op)
                return time.monotonic()

    # --- walking -----------------------------------------------------------------------------------------------

    async def _walk(self) -> None:
        due = time.monotonic()
        while self.client.ended is None:
            due = max(due + 1.0 / MOVES_HZ, time.monotonic() - 1.0)
            await asyncio.sleep(due - time.monotonic())
            walker = self._walker
            if walker is None or self.client.world is None:
                continue
            x, z = walker.x, walker.z
            walker.step(1.0 / MOVES_HZ)
            try:
                await self.client.move(walker.x, self.client.position.y, walker.z, walker.yaw)
                self.stats.moves += 1
            except NotConnected:
                walker.x, walker.z = x, z  # who cannot be heard does not walk
        self._history.add("ended", bot=self.name, why=str(self.client.ended))

    def _connected(self, ready: Ready) -> None:
        if self.stats.entered:
            self.stats.reconnects += 1

    def stand(self) -> None:
        """Walk no further. It goes on to say where it is: what was lost on the way is said again."""
        self._standing_still = True
        if self._walker is not None:
            self._walker.speed = 0.0

    def _placed(self, world: World) -> None:
        x, _, z = world.position
        pace = 0.0 if self._standing_still else min(SPEED_M_S, PACE_OF_LIMIT * world.max_speed)
        self._walker = Wanderer(world.land, x, z, pace, self._rng)
        self.stats.entered += 1
        if self.away:
            self._pause()

    def _is_in(self, zone: str) -> None:
        self.stats.zone = zone

    def _pause(self) -> None:
        """It is out of the world by its own will: that is no gap. Over a border, and with a new socket, every gap counts."""
        self.stats.last_view = None
        self.gaps.pause()

    def _corrected(self, correction: Correction) -> None:
        self.stats.corrections += 1
        if self._walker is not None:
            self._walker.x, _, self._walker.z = self.client.position

    def _saw(self, view: View, changes: Changes) -> None:
        self.stats.saw(view.ack)
        self.gaps.saw(time.monotonic())
        if self.away:
            self._pause()
        self._viewed.set()
