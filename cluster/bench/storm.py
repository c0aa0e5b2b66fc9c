"""A reconnect storm: a gateway with many idle sockets is killed, and all of them come back at once (row 7.5).

Each client is a member of one channel in which somebody talks all the time, so that what is lost can be counted.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import uvloop

from cluster.bench.fleet import GATEWAYS, Fleet, until
from cluster.bench.hearing import Heard, added, join, missing, talk
from cluster.bench.realm_under_test import RunningRealm, limits, realm_under_test
from cluster.bench.returning import Returning
from cluster.errors import Ours
from rayrealm_client.models import Ready

CHANNEL = "storm"
CALM_S = 3.0
BACK_DEADLINE_S = 60.0
HEAR_S = 20.0
SEED = 5


@dataclass(slots=True)
class Back(Heard):
    """`back_at`: when the client was ready again after the kill."""

    back_at: float | None = None


def run_storm(clients: int) -> dict[str, Any]:
    """In a realm of its own with two gateways. Raises Ours, RealmError of the client.

    `back_N_s`: from the kill until N % of the clients are ready on another gateway, null if that many never were; `lost_messages`:
    acknowledged messages that a client did not hear, over all clients; `repeated`: those that came twice.
    """
    with (
        realm_under_test(limits(clients + 1), gateways=GATEWAYS) as realm,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_storm(realm, clients))


async def _storm(realm: RunningRealm, count: int) -> dict[str, Any]:
    async with Fleet(realm, SEED) as fleet:
        clients = await fleet.enlist(count)
        heard = {id(client): Back() for client in clients}
        for client in clients:
            _listen(client, heard[id(client)])
        doomed = await fleet.gather(clients, partial(join, channel=CHANNEL))
        (talker,) = await fleet.enlist(1)
        await fleet.elsewhere(talker, doomed)  # its words must not be late because of itself
        await join(talker, CHANNEL)
        said: list[str] = []
        talking = asyncio.create_task(talk(talker, CHANNEL, said))
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
            await until(lambda: missing(heard.values(), said) == 0, HEAR_S, "all have heard all")
        return _report(clients, list(heard.values()), said, killed_at)


def _listen(client: Returning, heard: Back) -> None:
    def ready(told: Ready, gateway: str) -> None:
        if told.resumed or len(client.sessions) > 1:
            heard.back_at = time.monotonic()

    client.on_ready, client.on_notice = ready, heard.notice


def _report(
    clients: Sequence[Returning], heard: Sequence[Back], said: Sequence[str], killed_at: float
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
        "lost_messages": missing(heard, said),
        "repeated": sum(one.repeated for one in heard),
        "not_recovered": sum(client.holes for client in clients),
        "gaps": sum(client.reliable.missing for client in clients),
        "new_logins": sum(len(client.sessions) - 1 for client in clients),
        "refused": added(client.refused for client in clients),
        "gave_up": sum(client.ended is not None for client in clients),
    }
