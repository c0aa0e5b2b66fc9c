"""Players: each has a socket at a gateway, walks about, changes its properties, comes and goes, and writes down what it is told."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from dataclasses import dataclass
from typing import Any, Protocol

from cluster.chaos.history import History
from rayrealm_client import codec
from rayrealm_client.errors import CodecError
from rayrealm_client.scene import Scene
from rayrealm_client.view import View
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.messages import Code, Framing
from serve_apps.gateway.upgrade import Refusal, Upgrade
from tests.simulation.recorder import in_order
from tests.simulation.sockets import Gate, Socket

KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
ANSWER_S = 12.0
STEP_S = 0.4
SPEED = 4.0
GAP_S = 1.5
UNKNOWN = frozenset({Code.UNAVAILABLE, Code.INTERNAL_ERROR, Code.SESSION_EXPIRED})


class Land(Protocol):
    """What players need of the simulation."""

    history: History
    calm: bool
    size: tuple[float, float]

    def gate(self) -> Gate | None: ...

    def token(self, user_id: str) -> str: ...


class Lost(Exception):
    """The socket is gone, or nothing came for too long."""


class Refused(Exception):
    """An error answer."""

    def __init__(self, code: int, data: dict[str, Any]) -> None:
        super().__init__(code, data)
        self.code = code
        self.data = data


@dataclass(slots=True)
class Habits:
    """Seconds on average between two of each."""

    change_s: float = 6.0
    stay_s: float = 120.0
    away_s: float = 6.0
    socket_s: float = 90.0


class Player:
    """`dithers`: it walks to and fro over the middle of the land, where borders are."""

    def __init__(
        self, name: str, character_id: str, land: Land, rng: random.Random, habits: Habits, *, dithers: bool
    ) -> None:
        self.name = name
        self.character_id = character_id
        self.entity_id = "ent_" + character_id.removeprefix("chr_")
        self.scene = Scene()
        self.inside = False
        """The realm has told it so, and not otherwise since."""
        self.busy = False
        self.wrong = 0
        self._land = land
        self._history = land.history
        self._rng = rng
        self._habits = habits
        self._dithers = dithers
        self._socket: Socket | None = None
        self._gone = asyncio.Event()
        self._ready: asyncio.Future[dict[str, Any]] | None = None
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._ids = itertools.count(1)
        self._recovery = ""
        self._at = (0.0, 0.0)
        self._aim = (0.0, 0.0)
        self._sequence = 0
        self._changes = itertools.count(1)
        self._viewed_at: float | None = None

    # --- the socket --------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        return self._socket is not None and self._socket.open

    async def live(self) -> None:
        """For ever."""
        while True:
            if not await self._connect():
                await asyncio.sleep(self._rng.uniform(0.3, 1.5))
                continue
            walking = asyncio.create_task(self._walk())
            acting = asyncio.create_task(self._act())
            try:
                await self._gone.wait()
            finally:
                walking.cancel()
                self.hang_up()
            await asyncio.wait([acting])
            await asyncio.sleep(self._rng.uniform(0.1, 2.0))

    async def _connect(self) -> bool:
        gate = self._land.gate()
        if gate is None:
            return False
        upgrade = Upgrade(
            self._land.token(self.name) if not self._recovery else "",
            "",
            self._recovery,
            "",
            0,
            Framing.PROTO,
            Framing.PROTO.value,
            KEY,
        )
        answer = await gate.attach(upgrade)
        if isinstance(answer, Refusal):
            if answer.status.value in (401, 403):
                self._recovery = ""
            return False
        socket = self._socket = Socket(self, gate, self._rng.uniform(0.002, 0.04))
        self._gone.clear()
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[dict[str, Any]] = loop.create_future()
        self._ready = ready
        socket.client = gate.connect(answer[0], answer[1], upgrade, socket)
        try:
            async with asyncio.timeout(ANSWER_S):
                said = await ready
        except (TimeoutError, Lost):
            socket.cut("no session.ready")
            return False
        self._recovery = said["recovery"]["token"]
        self._told(said.get("world"))
        return True

    def _told(self, world: dict[str, Any] | None) -> None:
        """What session.ready says of where the character is."""
        if (world is not None) != self.inside:
            op = self._history.invoked(self.name, "enter" if world else "leave", entity=self.entity_id)
            self._history.add("acknowledged", op=op)
        self._is(world)

    def _is(self, world: dict[str, Any] | None) -> None:
        self.inside = world is not None
        if world is None:
            self.scene.clear()
            self._viewed_at = None
            return
        place = world["position"]
        self._at = (place["x"], place["z"])
        self._sequence = max(self._sequence, int(world["sequence"]))
        self._choose()

    def lost(self, socket: Socket, _why: str) -> None:
        if socket is not self._socket:
            return
        self._gone.set()
        self.scene.clear()
        self._viewed_at = None
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(Lost)
            self._ready.exception()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(Lost)
        self._answers.clear()

    def hang_up(self) -> None:
        """Its connection breaks."""
        if self._socket is not None:
            self._socket.cut("broken")

    # --- what comes --------------------------------------------------------------------------------------------

    def take(self, socket: Socket, frame: bytes) -> None:
        if socket is not self._socket:
            return
        try:
            items = codec.decode(frame)
            for item in items:
                if isinstance(item, View):
                    self._saw(item)
                elif isinstance(item, codec.Notification):
                    self._noticed(item)
                elif isinstance(item, codec.Result | codec.Failure):
                    self._answered(item)
        except CodecError as error:
            self.wrong += 1
            self._history.add("broken", bot=self.name, why=str(error))
            self.hang_up()

    def _saw(self, view: View) -> None:
        now = asyncio.get_running_loop().time()
        if self._viewed_at is not None and now - self._viewed_at > GAP_S and not self._land.calm:
            self._history.add("gap", bot=self.name, s=round(now - self._viewed_at, 3))
        self._viewed_at = now
        if view.reset is not None:
            self._history.add("reset", bot=self.name, zone=view.reset.zone, epoch=view.reset.epoch)
        self.scene.apply(view)
        if view.correction is not None:
            place = view.correction.position
            self._at = (place.x, place.z)
            self._choose()

    def _noticed(self, notice: codec.Notification) -> None:
        if notice.method == "session.ready" and self._ready is not None and not self._ready.done():
            self._ready.set_result(dict(notice.params or {}))
        elif notice.method == "session.token" and notice.params:
            self._recovery = notice.params["token"]
        elif notice.method == "session.reconnect":
            self.hang_up()

    def _answered(self, item: codec.Result | codec.Failure) -> None:
        answer = self._answers.pop(int(item.id or 0), None)
        if answer is None or answer.done():
            return
        if isinstance(item, codec.Result):
            answer.set_result(item.value)
        else:
            answer.set_exception(Refused(item.code, item.data or {}))

    async def _ask(self, method: str, params: dict[str, Any]) -> Any:
        """Raises Lost, Refused."""
        socket = self._socket
        if socket is None or not socket.open:
            raise Lost
        number = next(self._ids)
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        socket.say(codec.encode(codec.Request(number, method, params), "proto"))
        try:
            async with asyncio.timeout(ANSWER_S):
                return await answer
        except TimeoutError:
            raise Lost from None
        finally:
            self._answers.pop(number, None)

    # --- walking -----------------------------------------------------------------------------------------------

    def _choose(self) -> None:
        width, depth = self._land.size
        if self._dithers:
            far = self._rng.uniform(3.0, 9.0)
            x = width / 2 + far if self._at[0] < width / 2 else width / 2 - far
            self._aim = (x, self._at[1])
        else:
            self._aim = (self._rng.uniform(1.0, width - 1.0), self._rng.uniform(1.0, depth - 1.0))

    async def _walk(self) -> None:
        while True:
            await asyncio.sleep(STEP_S * self._rng.uniform(0.9, 1.1))
            if self.inside and not self._land.calm:
                self._step()

    def _step(self) -> None:
        socket = self._socket
        if socket is None or not socket.open:
            return
        (x, z), (to_x, to_z) = self._at, self._aim
        far = math.hypot(to_x - x, to_z - z)
        if far < SPEED * STEP_S:
            self._choose()
        else:
            part = SPEED * STEP_S * 0.9 / far
            x, z = x + (to_x - x) * part, z + (to_z - z) * part
        self._at = (x, z)
        self._sequence += 1
        move = pb.PositionUpdate(sequence=self._sequence)
        move.position.x, move.position.z = x, z
        socket.say(pb.WebSocketMessage(move=move).SerializeToString())

    # --- requests ----------------------------------------------------------------------------------------------

    async def _act(self) -> None:
        """Until the socket is gone."""
        habits, rng = self._habits, self._rng
        hang_up_at = rng.expovariate(1 / habits.socket_s)
        began = asyncio.get_running_loop().time()
        leave_in = rng.expovariate(1 / habits.stay_s)
        while self.connected:
            wait = rng.expovariate(1 / (habits.change_s if self.inside else habits.away_s))
            await self._wait(min(wait, 30.0))
            if not self.connected:
                return
            if self._land.calm:
                continue
            now = asyncio.get_running_loop().time() - began
            self.busy = True
            try:
                if now > hang_up_at:
                    self.hang_up()
                    return
                if not self.inside:
                    await self._enter()
                    leave_in = now + rng.expovariate(1 / habits.stay_s)
                elif now > leave_in:
                    await self._leave()
                else:
                    await self._change()
            finally:
                self.busy = False

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._gone.wait()
        except TimeoutError:
            return

    async def _do(self, do: str, method: str, params: dict[str, Any], **more: Any) -> Any:
        """One operation, written down. Returns the result, the error's data, or None when nobody knows."""
        op = self._history.invoked(self.name, do, entity=self.entity_id, **more)
        try:
            result = await self._ask(method, params)
        except Lost:
            self._history.add("unknown", op=op, why="no answer")
        except Refused as error:
            outcome = "unknown" if error.code in UNKNOWN else "failed"
            self._history.add(outcome, op=op, why=f"{error.code} {error.data.get('reason', '')}")
            return error
        else:
            told = {"version": int(result["version"])} if do == "state" else {}
            self._history.add("acknowledged", op=op, **told)
            return result
        return None

    async def _enter(self) -> None:
        result = await self._do("enter", "world.enter", {"character_id": self.character_id})
        if isinstance(result, dict):
            self._is(result)

    async def _leave(self) -> None:
        result = await self._do("leave", "world.leave", {})
        if isinstance(result, dict):
            self._is(None)

    async def _change(self) -> None:
        own = self.scene.own
        if own is None:
            return
        changed = {
            f"p{self._rng.randrange(6)}": f"{self.name}.{next(self._changes)}" for _ in range(self._rng.randint(1, 2))
        }
        if self._rng.random() < 0.15:
            changed[f"p{self._rng.randrange(6)}"] = None
        version = own.version if self._rng.random() < 0.95 else own.version + self._rng.choice([-1, 1, 5])
        params = {"entity_id": self.entity_id, "version": max(1, version), "properties": changed}
        await self._do("state", "state.sync.delta", params, version=version, values=changed)

    def wake(self) -> None:
        """Everyone rested, and nothing came: that was no gap."""
        self._viewed_at = None

    # --- what it knows -----------------------------------------------------------------------------------------

    def sees(self) -> dict[str, list[Any]] | None:
        """entity -> [x, y, z, version, values] in metres; of itself without a place. None: it is not in the world."""
        if not self.inside:
            return None
        seen: dict[str, list[Any]] = {}
        for entity in self.scene.entities.values():
            place = [None, None, None] if entity.cm is None else [v / 100 for v in entity.cm]
            seen[entity.entity_id] = [*place, entity.version, in_order(entity.properties)]
        if self.scene.own is not None:
            own = self.scene.own
            seen[self.entity_id] = [None, None, None, own.version, in_order(own.properties)]
        return seen
