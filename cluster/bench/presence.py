"""What presence takes (row 3.2): a change until its last watcher knows, a bulk get, and the memory of a user in the index."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import uvloop

from cluster.bench.decoding import SharedDecoder
from cluster.bench.fleet import Fleet, until
from cluster.bench.realm_under_test import RunningRealm, limits, realm_under_test
from cluster.bench.returning import Returning
from cluster.bench.social_checks import figures_ms
from cluster.errors import Ours
from rayrealm_client.codec import Notification
from rayrealm_client.errors import RealmError
from rayrealm_client.models import Ready

# What is measured is above this layer, and known to it by name only.
MEASURE = "actors.presence.measuring"
MEMORY_TIES = (0, 10)
MEMORY_S = 300.0
SEED = 14
CHANGES = 40
EVERY_S = 0.5
CALM_S = 3.0
HEAR_S = 10.0
REQUEST_S = 10.0
SUBSCRIBE_S = 30.0
AGAIN_S = 0.5
BULK, GETS = 500, 100
STATUSES = ("busy", "online")
MAX_P99_MS = 250.0
MAX_BYTES_PER_USER = 1_024


def run_presence(watchers: int, users: int, *, gateways: int | None = None) -> dict[str, Any]:
    """In a realm of its own, and in processes of their own. Raises Ours, RealmError of the client.

    `change`: from the send of presence.update to each watcher's receipt; `answer`: to its sender's answer. `untold`: changes that a
    watcher was not told of, nor of a later one. `bulk_get`: BULK users, from the send to the answer. `memory`: see MEASURE, for
    users without ties and for users who watch ten friends each.
    """
    with (
        realm_under_test(limits(watchers + 1), gateways=gateways) as realm,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        result = runner.run(_presence(realm, watchers))
    return result | {"memory": [_memory(users, ties) for ties in MEMORY_TIES]}


async def _presence(realm: RunningRealm, count: int) -> dict[str, Any]:
    async with Fleet(realm, SEED, SharedDecoder()) as fleet:
        clients = await fleet.enlist(count + 1)
        watching = Watching(clients[0], clients[1:])
        await fleet.connect(clients[:1], watching.nothing)
        await fleet.connect(clients[1:], watching.subscribe)
        await asyncio.sleep(CALM_S)
        return {"watchers": count, **await watching.change(CHANGES), "bulk_get": await watching.get(GETS)}


class Watching:
    """`star` is watched by all of `watchers`. Connect it first."""

    def __init__(self, star: Returning, watchers: Sequence[Returning]) -> None:
        self.took_s: list[float] = []
        self._star = star
        self._watchers = watchers
        self._users: dict[int, str] = {}
        self._sent: list[float] = []
        self._heard = [-1] * len(watchers)  # the newest change that each has heard of
        for number, client in enumerate([*watchers, star]):
            client.on_ready = partial(self._ready, number)
        for number, client in enumerate(watchers):
            client.on_notice = partial(self._hear, number)

    def _ready(self, number: int, ready: Ready, _gateway: str) -> None:
        self._users[number] = ready.user_id

    def _hear(self, number: int, item: Notification) -> None:
        if item.method != "presence.changed" or not isinstance(item.params, dict):
            return
        text = str(item.params["text"])
        if text:
            change = int(text)
            self.took_s.append(time.monotonic() - self._sent[change])
            self._heard[number] = max(self._heard[number], change)

    @property
    def star_id(self) -> str:
        return self._users[len(self._watchers)]

    async def nothing(self, client: Returning) -> None:
        """What the star does once it is connected."""

    async def subscribe(self, client: Returning) -> None:
        """Until it watches; a client that loses its socket meanwhile comes back. Raises TimeoutError."""
        async with asyncio.timeout(SUBSCRIBE_S):
            while True:
                try:
                    await client.request("presence.subscribe", {"user_ids": [self.star_id]}, REQUEST_S)
                    return
                except RealmError:
                    await asyncio.sleep(AGAIN_S)

    async def change(self, times: int) -> dict[str, Any]:
        """Waits for each change to be heard by all before the next, at least EVERY_S; HEAR_S for the last one."""
        answers: list[float] = []
        for number in range(times):
            began = time.monotonic()
            self._sent.append(began)
            params: dict[str, Any] = {"status": STATUSES[number % len(STATUSES)], "text": str(number)}
            await self._star.request("presence.update", params, REQUEST_S)
            answers.append(time.monotonic() - began)
            await self._all_heard(number)
            await asyncio.sleep(max(0.0, EVERY_S - (time.monotonic() - began)))
        return {
            "changes": times,
            "told": len(self.took_s),
            "untold": sum(heard < times - 1 for heard in self._heard),
            "change": figures_ms(self.took_s),
            "answer": figures_ms(answers),
        }

    async def _all_heard(self, change: int) -> None:
        try:
            await until(lambda: min(self._heard) >= change, HEAR_S, f"all know change {change}")
        except Ours:
            return  # it is counted

    async def get(self, times: int) -> dict[str, float | None]:
        known = list(self._users.values())
        user_ids = (known + [f"usr_unknown_{number}" for number in range(BULK)])[:BULK]
        took: list[float] = []
        for _ in range(times):
            began = time.monotonic()
            answer = await self._star.request("presence.get", {"user_ids": list(user_ids)}, REQUEST_S)
            took.append(time.monotonic() - began)
            if not isinstance(answer, dict) or len(answer["presences"]) != BULK:
                raise Ours(f"presence.get of {BULK} was answered otherwise")
        return figures_ms(took)


def _memory(users: int, ties: int) -> dict[str, Any]:
    argv = [sys.executable, "-m", MEASURE, str(users), str(ties)]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=MEMORY_S, check=True)  # noqa: S603 - our own
        measured: dict[str, Any] = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        raise Ours(f"{MEASURE}: {error.stderr[-2000:].strip()}") from error
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise Ours(f"{MEASURE}: {error}") from error
    return measured


def shortcomings(result: dict[str, Any]) -> list[str]:
    """Why a run does not count; empty if it does."""
    problems = [f"untold: {result['untold']}"] if result["untold"] else []
    p99, size = result["change"]["p99_ms"], result["memory"][0]["bytes_per_user"]
    if p99 is None or p99 > MAX_P99_MS:
        problems.append(f"99 % of the watchers knew after {p99} ms, more than {MAX_P99_MS:g}")
    if size > MAX_BYTES_PER_USER:
        problems.append(f"{size} bytes for a user, more than {MAX_BYTES_PER_USER}")
    return problems
