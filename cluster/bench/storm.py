"""A reconnect storm: a gateway with many idle sockets is killed, and all of them come back at once (row 7.5).

Each client is a member of one channel in which somebody talks all the time, so that what is lost can be counted.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import uvloop

from cluster.bench.fleet import CONNECT_S, REQUEST_S, Fleet, until
from cluster.bench.realm_under_test import Member, RunningRealm, limits, realm_under_test
from cluster.bench.returning import Returning
from cluster.errors import Ours
from rayrealm_client.codec import Notification
from rayrealm_client.errors import RealmError
from rayrealm_client.models import Ready

CHANNEL = "storm"
SAY_EVERY_S = 0.5
CALM_S = 3.0
BACK_DEADLINE_S = 60.0
HEAR_S = 20.0
DRAIN_S = 1.0
GATEWAYS = 2
SEED = 5
MOVES_OVER = 20
"""Attempts of the one who talks to get a socket of the gateway that stays."""


@dataclass(slots=True)
class Heard:
    """What one client has lived through. `back_at`: when it was ready again after the kill."""

    texts: list[str] = field(default_factory=list)
    back_at: float | None = None


def run_storm(clients: int) -> dict[str, Any]:
    """In a realm of its own with two gateways. Raises Ours, RealmError of the client.

    `back_N_s`: from the kill until N % of the clients are ready on another gateway, null if that many never were; `lost_messages`:
    acknowledged messages that a client did not hear, over all clients; `repeated`: those that came twice.
    """
    with (
        realm_under_test(limits(2 * clients), gateways=GATEWAYS) as realm,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_storm(realm, clients))


async def _storm(realm: RunningRealm, count: int) -> dict[str, Any]:
    async with Fleet(realm, SEED) as fleet:
        stays, doomed = await fleet.gateways()
        await fleet.drain(stays.name, DRAIN_S)  # so that everyone goes to the other one
        clients = await fleet.enlist(count)
        heard = {id(client): Heard() for client in clients}
        for client in clients:
            _listen(client, heard[id(client)])
        await fleet.connect(clients, _join)
        os.kill(stays.pid, signal.SIGKILL)  # the one that takes its place takes sockets again
        await fleet.replaced(stays.name, GATEWAYS)
        astray = sum(client.gateway != doomed.name for client in clients)
        if astray:
            raise Ours(f"{astray} clients are not on {doomed.name}")
        (talker,) = await fleet.enlist(1)
        await _elsewhere(fleet, talker, doomed)
        said: list[str] = []
        talking = asyncio.create_task(_talk(talker, said))
        try:
            await asyncio.sleep(CALM_S)
            killed_at = time.monotonic()
            os.kill(doomed.pid, signal.SIGKILL)
            with suppress(Ours):  # those that are not back are in the figures
                await until(lambda: all(h.back_at for h in heard.values()), BACK_DEADLINE_S, "all are back")
            await asyncio.sleep(CALM_S)
        finally:
            talking.cancel()
        await asyncio.wait({talking})
        with suppress(Ours):
            await until(lambda: _missing(heard.values(), said) == 0, HEAR_S, "all have heard all")
        return _report(clients, list(heard.values()), said, killed_at)


def _listen(client: Returning, heard: Heard) -> None:
    def ready(told: Ready, gateway: str) -> None:
        if told.resumed or len(client.sessions) > 1:
            heard.back_at = time.monotonic()

    def notice(item: Notification) -> None:
        if isinstance(item.params, dict) and item.method == "chat.message":
            heard.texts.append(str(item.params["text"]))

    client.on_ready, client.on_notice = ready, notice


async def _join(client: Returning) -> None:
    while True:
        try:
            await client.request("chat.channel.join", {"channel": CHANNEL}, REQUEST_S)
            return
        except RealmError:
            await asyncio.sleep(SAY_EVERY_S)


async def _elsewhere(fleet: Fleet, talker: Returning, doomed: Member) -> None:
    """A socket of the gateway that will not be killed: its words must not be late because of itself."""
    fleet.start(talker)
    for _ in range(MOVES_OVER):
        await until(lambda: talker.connected, CONNECT_S, "the talker is connected", talker)
        if talker.gateway != doomed.name:
            return await _join(talker)
        talker.move_over()
        await until(lambda: not talker.connected, CONNECT_S, "the talker has gone")
    raise Ours(f"no socket on another gateway than {doomed.name}")


async def _talk(talker: Returning, said: list[str]) -> None:
    """Says something every now and then; what is acknowledged is in `said`."""
    for number in itertools.count():
        text = f"word {number}"
        while True:
            try:
                told = {"channel": CHANNEL, "text": text, "client_id": f"{talker.sessions[-1]}-{number}"}
                await talker.request("chat.message", told, REQUEST_S)
                said.append(text)
                break
            except RealmError:
                await asyncio.sleep(SAY_EVERY_S)
        await asyncio.sleep(SAY_EVERY_S)


def _missing(heard: Any, said: Sequence[str]) -> int:
    return sum(len(set(said).difference(one.texts)) for one in heard)


def _report(
    clients: Sequence[Returning], heard: Sequence[Heard], said: Sequence[str], killed_at: float
) -> dict[str, Any]:
    back = sorted(one.back_at - killed_at for one in heard if one.back_at is not None)

    def after(share: float) -> float | None:
        needed = -int(-len(clients) * share // 1)
        return round(back[needed - 1], 2) if len(back) >= needed else None

    return {
        "clients": len(clients),
        "back": len(back),
        "back_50_s": after(0.50),
        "back_99_s": after(0.99),
        "back_100_s": after(1.00),
        "messages": len(said),
        "lost_messages": _missing(heard, said),
        "repeated": sum(len(one.texts) - len(set(one.texts)) for one in heard),
        "not_recovered": sum(client.holes for client in clients),
        "gaps": sum(client.reliable.missing for client in clients),
        "new_logins": sum(len(client.sessions) - 1 for client in clients),
        "refused": _sum(client.refused for client in clients),
        "gave_up": sum(client.ended is not None for client in clients),
    }


def _sum(counts: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for one in counts:
        for status, count in one.items():
            total[str(status)] = total.get(str(status), 0) + count
    return total
