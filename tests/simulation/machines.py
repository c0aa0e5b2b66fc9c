"""Named actors in simulated processes, as Ray keeps them: found by name, restarted when they die, called across a network."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import pickle
import random
from collections.abc import Callable
from typing import Any

import structlog

from cluster.adapters.retrying import RetryingCalls
from cluster.errors import RealmError, Unavailable
from cluster.ports.actors import ANYWHERE, ActorKind, Node, Place
from tests.simulation.virtual_time import OUTSIDE, Process, VirtualLoop, me

RESTART_S = (1.0, 2.0)
CALL_S = (0.0005, 0.003)

log = structlog.get_logger(__name__)


def _copied(value: Any) -> Any:
    """As if it had gone to another process."""
    return pickle.loads(pickle.dumps(value))  # noqa: S301 - our own


class Actor:
    """A name, and what runs under it now: nothing while it is being restarted."""

    def __init__(self, name: str, node: str, make: Callable[[Process], Any]) -> None:
        self.name = name
        self.node = node  # "": nobody cares
        self.make = make
        self.process: Process | None = None
        self.runner: Any = None
        self.over = False


class Machines:
    """`on_death(process, why)` hears of every process that ends."""

    def __init__(self, rng: random.Random, on_death: Callable[[Process, str], None]) -> None:
        self.actors: dict[str, Actor] = {}
        self.zombies: list[Actor] = []
        """Processes that run on though a newer one has their name."""
        self.nodes: list[str] = []
        self._rng = rng
        self._on_death = on_death
        self._numbers = itertools.count(1)
        self._answers: dict[Process, set[asyncio.Future[Any]]] = {}

    def process(self, name: str) -> Process:
        return Process(name, next(self._numbers))

    def choose(self, place: Place) -> str:
        """The node for a new actor: as it wishes, if that is possible."""
        if place.node in self.nodes:
            return place.node
        able = [node for node in self.nodes if node not in place.avoid] or self.nodes
        return self._rng.choice(able) if able else ""

    # --- actors ------------------------------------------------------------------------------------------------

    def start(self, name: str, node: str, make: Callable[[Process], Any]) -> None:
        """Unless it is there. `make(process)` runs inside the process, and its result is what is called."""
        if name not in self.actors:
            self.actors[name] = Actor(name, node, make)
            self._launch(self.actors[name])

    def _launch(self, actor: Actor) -> None:
        if actor.over:
            return
        if actor.node and actor.node not in self.nodes:
            actor.node = self.choose(ANYWHERE)
        process = actor.process = self.process(actor.name)
        actor.runner = process.context.copy().run(actor.make, process)

    def alive(self, name: str) -> Actor | None:
        actor = self.actors.get(name)
        return actor if actor is not None and actor.process is not None and actor.process.alive else None

    def kill(self, name: str, why: str = "killed") -> None:
        """kill -9; it is restarted."""
        actor = self.alive(name)
        if actor is not None and actor.process is not None:
            self.end(actor.process, why)

    def end(self, process: Process, why: str) -> None:
        """The process is gone. If it holds its name, another one will."""
        if not process.alive:
            return
        process.kill()
        for answer in self._answers.pop(process, set()):
            if not answer.done():
                answer.set_exception(Unavailable(process.name))
        self._on_death(process, why)
        self.zombies = [zombie for zombie in self.zombies if zombie.process is not process]
        actor = self.actors.get(process.name)
        if actor is not None and actor.process is process:
            self._later(actor)

    def _later(self, actor: Actor) -> None:
        actor.process = actor.runner = None
        asyncio.get_running_loop().call_later(self._rng.uniform(*RESTART_S), self._launch, actor, context=OUTSIDE)

    def remove(self, name: str) -> None:
        """For good."""
        actor = self.actors.pop(name, None)
        if actor is not None:
            actor.over = True
            if actor.process is not None:
                self.end(actor.process, "removed")

    def disown(self, name: str) -> Process | None:
        """Its node is cut off: it is stopped, and restarted elsewhere; who was stopped goes on later, and does not know."""
        actor, loop = self.alive(name), asyncio.get_running_loop()
        if actor is None or actor.process is None or not isinstance(loop, VirtualLoop):
            return None
        process = actor.process
        zombie = Actor(actor.name, actor.node, actor.make)
        zombie.process, zombie.runner = process, actor.runner
        self.zombies.append(zombie)
        loop.stop_process(process)
        self._later(actor)
        return process

    def running(self) -> list[Actor]:
        """All that are alive and not stopped, those among them that do not know that they were replaced."""
        actors = [*self.actors.values(), *self.zombies]
        return [a for a in actors if a.process is not None and a.process.alive and not a.process.stopped]

    # --- calls -------------------------------------------------------------------------------------------------

    async def call(self, name: str, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        caller, loop = me(), asyncio.get_running_loop()
        if caller is not None and not caller.alive:
            raise asyncio.CancelledError(f"{caller!r} is dead")
        answer: asyncio.Future[Any] = loop.create_future()
        sent = _copied(args)
        loop.call_later(self._rng.uniform(*CALL_S), self._arrive, name, method, sent, answer, context=OUTSIDE)
        try:
            async with asyncio.timeout(max(0.0, timeout_s)):
                return await answer
        except TimeoutError:
            raise Unavailable(name) from None

    def _arrive(self, name: str, method: str, args: tuple[Any, ...], answer: asyncio.Future[Any]) -> None:
        actor = self.alive(name)
        if actor is None or actor.process is None:
            if not answer.done():
                answer.set_exception(Unavailable(name))
            return
        process = actor.process
        waiting = self._answers.setdefault(process, set())
        waiting.add(answer)
        answer.add_done_callback(waiting.discard)
        process.spawn(self._serve(actor.runner, name, method, args, answer))

    async def _serve(
        self, runner: Any, name: str, method: str, args: tuple[Any, ...], answer: asyncio.Future[Any]
    ) -> None:
        try:
            result = getattr(runner, method)(*args)
            said = _copied(await result if inspect.isawaitable(result) else result)
        except RealmError as error:
            self._reply(answer, None, _copied(error))
        except Exception:
            log.exception("actor_method_failed", actor=name, method=method)
            self._reply(answer, None, Unavailable(name))
        else:
            self._reply(answer, said, None)

    def _reply(self, answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._rng.uniform(*CALL_S), _settle, answer, result, error, context=OUTSIDE)


def _settle(answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


class SimActors:
    """`cluster.ports.actors.Actors` for one process. `made(kind, name)` makes what runs in the new process."""

    def __init__(self, machines: Machines, process: Process, made: Callable[[str, str, str], Any]) -> None:
        self._machines = machines
        self._process = process
        self._made = made

    async def make(self, kind: ActorKind, name: str, place: Place = ANYWHERE) -> None:
        await self._way()
        machines = self._machines
        if name not in machines.actors:
            node = machines.choose(place)
            machines.start(name, node, lambda _process: self._made(kind, name, node))

    async def kill(self, name: str) -> None:
        await self._way()
        self._machines.remove(name)

    async def nodes(self) -> list[Node]:
        await self._way()
        return [Node(name, f"host-{name}") for name in self._machines.nodes]

    async def _way(self) -> None:
        await asyncio.sleep(0.005)
        if not self._process.alive:
            raise asyncio.CancelledError(f"{self._process!r} is dead")


class SimCalls(RetryingCalls):
    """`cluster.ports.calls.Calls` over them."""

    def __init__(self, machines: Machines, seed: int) -> None:
        super().__init__(seed)
        self._machines = machines

    async def _once(self, actor: str, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        return await self._machines.call(actor, method, args, timeout_s)
