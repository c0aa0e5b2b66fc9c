"""How a command works with the realm (row 7.8): it is a shell over the same operations as the console and its HTTP API.

Without a token it is this user's own realm on this machine, past HTTP, as an admin. With RAYREALM_TOKEN and an address it is the
HTTP API of any realm (cluster/cli/remote.py), as whoever the token was made for.
"""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, Protocol, TypeVar

import typer
from pydantic import SecretStr

from cluster import running
from cluster.adapters.nats_bus import NatsBus
from cluster.adapters.redis.accounts import RedisAccounts
from cluster.adapters.redis.audit import RedisAuditLog
from cluster.adapters.redis.bans import RedisBans
from cluster.adapters.redis.characters import RedisCharacters
from cluster.adapters.redis.connection import connect
from cluster.adapters.redis.kept import kept
from cluster.adapters.redis.operators import RedisOperators
from cluster.adapters.redis.processes import running_here
from cluster.adapters.redis.protection import RedisProtection
from cluster.adapters.redis.sessions import RedisSessionStore
from cluster.adapters.redis.topics import RedisTopicLog
from cluster.adapters.serve_scale import scale_from_outside
from cluster.beats import Beats
from cluster.cli.away_bus import THE_BUS, AwayBus
from cluster.cli.hearing import Hearing, hear
from cluster.cli.remote import TOKEN, Remote
from cluster.errors import InvalidInput, InvalidState, NotFound, Ours, RealmError, StartRefused, Theirs, Unavailable
from cluster.operations import conduct
from cluster.operations.all import registry
from cluster.operations.desk import Desk
from cluster.operations.model import Action, Operator, Preview, Registry, Role
from cluster.operator_settings import ConsoleSettings
from cluster.ports.bus import Bus
from cluster.publishing import Publisher
from cluster.running import RunningRealm
from cluster.settings import NatsSettings, RedisSettings
from cluster.subjects import Subjects
from cluster.telemetry.logs import configure
from cluster.world_control import ASK_S, ask, asking

BUS_AWAY = "rayrealm: NATS does not answer: what is written down holds, but no process is told of it now, and none can be asked"

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the plan, and change nothing.")]

Say = Callable[[str, float], None]  # a step, and how much is done
Text = Callable[[dict[str, Any]], Iterable[str]]  # a result as lines for people
T = TypeVar("T")


class Shell(Protocol):
    """A realm's operations, here or over HTTP. Params and results are JSON; what is refused is raised as the operations do."""

    async def look(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]: ...

    async def preview(self, name: str, params: Mapping[str, Any]) -> Preview: ...

    async def act(self, name: str, params: Mapping[str, Any], say: Say, wait_s: float | None) -> dict[str, Any]:
        """Returns its result when it is done. Raises TimeoutError after `wait_s`: then what has begun goes on.

        If the task is cancelled, so is the action, as far as it still can be.
        """


def run_look(
    name: str,
    params: Mapping[str, Any],
    url: str | None,
    as_json: bool,
    text: Text,
    wrong: tuple[type[RealmError], ...] = (InvalidInput, NotFound),
) -> None:
    """A command that looks: prints what the look answers, as JSON or as `text` makes it.

    `wrong`: what counts as wrong usage (exit code 2); all else that is refused is exit code 1.
    """
    result = talk(url, lambda shell: shell.look(name, params), wrong)
    _print(result, as_json, text)


def run_action(
    name: str,
    params: Mapping[str, Any],
    url: str | None,
    *,
    as_json: bool = False,
    dry_run: bool = False,
    wait_s: float | None = None,
    text: Text = lambda result: (),
    steps: bool = True,
    wrong: tuple[type[RealmError], ...] = (InvalidInput, NotFound),
) -> dict[str, Any] | None:
    """A command that acts: prints each step (`steps`) and the result, or with `dry_run` the plan alone (then it returns None).

    `wait_s`: not done by then is exit code 1; what the realm has begun goes on.
    """

    def say(step: str, _done: float) -> None:
        if steps and not as_json:
            print(f"  {step}", flush=True)

    async def do(shell: Shell) -> dict[str, Any] | Preview:
        if dry_run:
            return await shell.preview(name, params)
        try:
            return await shell.act(name, params, say, wait_s)
        except TimeoutError:
            raise Ours(f"not done after {wait_s:.0f} s; what has begun goes on") from None

    done = talk(url, do, wrong)
    if isinstance(done, Preview):
        _print({"steps": list(done.steps), "warnings": list(done.warnings)}, as_json, _described)
        return None
    _print(done, as_json, text)
    return done


def talk(
    url: str | None,
    what: Callable[[Shell], Awaitable[T]],
    wrong: tuple[type[RealmError], ...] = (InvalidInput, NotFound),
) -> T:
    """What `what` returns. Raises StartRefused for what is `wrong`, Ours for the rest that is refused; each in one line."""

    async def through() -> T:
        async with opened(url) as shell:
            return await what(shell)

    try:
        return asyncio.run(through())
    except wrong as error:
        raise StartRefused(str(error)) from error
    except Theirs as error:
        raise Ours(_in_a_line(error)) from error


def _in_a_line(error: Theirs) -> str:
    current = getattr(error, "current", {})
    state = f" ({error.state})" if isinstance(error, InvalidState) else ""
    return f"{error}{state}{': ' * bool(current)}{', '.join(f'{key} {value}' for key, value in current.items())}"


def _described(plan: dict[str, Any]) -> Iterable[str]:
    yield from (f"{number}. {step}" for number, step in enumerate(plan["steps"], 1))
    yield from (f"note: {warning}" for warning in plan["warnings"])


def _print(result: dict[str, Any], as_json: bool, text: Text) -> None:
    for line in [json.dumps(result)] if as_json else text(result):
        print(line, flush=True)


# --- the realm of this user, on this machine -------------------------------------------------------------------


def opened(url: str | None) -> AbstractAsyncContextManager[Shell]:
    """Raises StartRefused if there is no such realm, Unavailable if it does not answer."""
    configure("warning")  # structlog as it comes writes to stdout
    token = os.environ.get(TOKEN)
    if token:
        return Remote.opened(url, token)
    return _here(running.find(running.folder(), url))


def who() -> str:
    """Whom the audit log names."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return f"operator:{os.getuid()}"


@asynccontextmanager
async def _here(realm: RunningRealm) -> AsyncIterator[Shell]:
    async with open_desk(realm) as (desk, listen):
        yield Here(desk, registry(), listen)


class Here:
    """Implements Shell past HTTP. `listen(beats)` returns when so many of each process were heard."""

    def __init__(
        self,
        desk: Desk,
        operations: Registry,
        listen: Callable[[int], Awaitable[None]],
        operator: Operator | None = None,
    ) -> None:
        self._desk = desk
        self._operations = operations
        self._listen = listen
        self._operator = operator or Operator(who(), Role.ADMIN, "command")

    async def look(self, name: str, params: Mapping[str, Any]) -> dict[str, Any]:
        await self._listen(conduct.find(self._operations, name, self._operator).beats)
        result = await conduct.look(self._desk, self._operations, self._operator, name, dict(params))
        return result.revealed()

    async def preview(self, name: str, params: Mapping[str, Any]) -> Preview:
        await self._listen(conduct.find(self._operations, name, self._operator).beats)
        return await conduct.preview(self._desk, self._operations, self._operator, name, dict(params))

    async def act(self, name: str, params: Mapping[str, Any], say: Say, wait_s: float | None) -> dict[str, Any]:
        action = conduct.action(self._operations, name, self._operator)
        given = conduct.read(action, dict(params))
        await self._listen(action.beats)
        job = CommandJob(f"job_{secrets.token_hex(8)}", self._operator, say)
        try:
            async with asyncio.timeout(wait_s):
                result = await conduct.carry_out(self._desk, action, given, job)
        except asyncio.CancelledError:
            await self._cancel(action, given, job, say)
            raise
        return result.revealed()

    async def _cancel(self, action: Action[Any, Any], params: Any, job: CommandJob, say: Say) -> None:
        """What Ctrl-C means."""
        if action.cancel is None:
            return say("this cannot be cancelled: what has begun goes on", 0.0)
        try:
            await action.cancel(self._desk, params, job.id)
            say("cancelled", 0.0)
        except RealmError as error:
            say(f"not cancelled: {error}", 0.0)


class CommandJob:
    """Implements cluster.operations.model.Job for as long as the command runs."""

    def __init__(self, job_id: str, operator: Operator, say: Say) -> None:
        self._id = job_id
        self._operator = operator
        self._say = say
        self._began_at = time.time()

    @property
    def began_at(self) -> float:
        return self._began_at

    @property
    def id(self) -> str:
        return self._id

    @property
    def operator(self) -> Operator:
        return self._operator

    async def tell(self, step: str, done: float = 0.0) -> None:
        self._say(step, done)


async def _bus(settings: NatsSettings) -> Bus:
    """Without NATS what is written down still is: a ban must not wait for it."""
    try:
        return await NatsBus.connect(settings, "rayrealm-command")
    except Unavailable:
        print(BUS_AWAY, file=sys.stderr, flush=True)
        return AwayBus()


@asynccontextmanager
async def open_desk(realm: RunningRealm) -> AsyncIterator[tuple[Desk, Callable[[int], Awaitable[None]]]]:
    """A desk at this user's realm, and how to wait for beats. Raises Unavailable."""
    details = realm.details()
    if "nats_url" not in details:
        raise Unavailable(f"{realm.url}, which is just stopping,")
    namespace, subjects = realm.namespace, Subjects(realm.namespace)
    client = connect(RedisSettings(url=SecretStr(details["redis_url"])), "rayrealm-command")
    try:
        nats = NatsSettings(url=SecretStr(details["nats_url"]), token=SecretStr(details["nats_token"]))
        bus = await _bus(nats)
        try:
            beats, sizes = Beats(time.monotonic), details["kept"]
            hearing = Hearing(beats)
            await bus.subscribe(subjects.beats(), hearing.take)
            desk = Desk(
                namespace=namespace,
                subjects=subjects,
                bus=bus,
                beats=beats,
                accounts=RedisAccounts(client, namespace),
                characters=RedisCharacters(client, namespace),
                bans=RedisBans(client, namespace),
                protection=RedisProtection(client, namespace),
                sessions=RedisSessionStore(client, namespace),
                audit=RedisAuditLog(client, namespace, sizes["audit_log"]),
                publisher=Publisher(RedisTopicLog(client, namespace), bus, subjects, sizes["topic_log"]),
                settings=ConsoleSettings.model_validate(details["console"]),
                clock=time.monotonic,
                now=time.time,
                pause=asyncio.sleep,
                scale=scale_from_outside({**details, "data": realm.data}),
                ask_world=asking(bus, subjects.world_control(), time.monotonic, asyncio.sleep),
                kept=kept(client, namespace),
                operators=RedisOperators(client, namespace),
                ask_console=lambda method, params: ask(bus, subjects.console_control(), method, params, ASK_S),
            )

            async def listen(rounds: int) -> None:
                if rounds and not bus.connected:  # all processes would seem to be away
                    raise Unavailable(THE_BUS)
                await hear(bus, subjects, hearing, lambda: running_here(client, namespace), rounds)

            yield desk, listen
        finally:
            await bus.close()
    finally:
        await client.aclose()
