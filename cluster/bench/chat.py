"""Many members of one channel, in which several of them talk all the time: how late a message is, and what it costs (row 2.3)."""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import uvloop

from cluster.bench import processes
from cluster.bench.decoding import SharedDecoder
from cluster.bench.fleet import Fleet
from cluster.bench.hearing import join
from cluster.bench.realm_under_test import RunningRealm, limits, realm_under_test
from cluster.bench.returning import Returning
from cluster.bench.social_checks import CHAT_FAULTS, ChatBook, Findings, figures_ms, took_ms
from rayrealm_client.codec import Notification
from rayrealm_client.errors import InternalError, RealmError, RpcError, Unavailable

CHANNEL = "crowd"
SEED = 12
EACH_PER_S = 1.0  # of one sender: half of what the realm allows by default
CALM_S = 3.0
WARM_UP_S = 2.0
REQUEST_S = 10.0
HEAR_S = 20.0
POLL_S = 0.25


def run_chat(members: int, per_s: float, seconds: float, *, gateways: int | None = None) -> dict[str, Any]:
    """The report (see `ChatLoad.report`), of a realm of its own. Raises Ours, RealmError of the client."""
    with (
        realm_under_test(limits(members), gateways=gateways) as realm,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(_chat(realm, members, per_s, seconds))


async def _chat(realm: RunningRealm, members: int, per_s: float, seconds: float) -> dict[str, Any]:
    async with Fleet(realm, SEED, SharedDecoder()) as fleet:
        clients = await fleet.enlist(members)
        load = ChatLoad(clients, per_s)
        await fleet.connect(clients, partial(join, channel=CHANNEL))
        load.all_joined()
        return await load.run(seconds, await asyncio.to_thread(realm.pids))


class ChatLoad:
    """Use it once. `clients` must be connected, and members of the channel, when `all_joined` is called."""

    def __init__(self, clients: Sequence[Returning], per_s: float) -> None:
        self.book = ChatBook(Findings())
        self._clients = clients
        self._per_s = per_s
        self._senders = min(len(clients), math.ceil(per_s / EACH_PER_S))
        self._unanswered = self._refused = 0
        self._answers_s: list[float] = []
        self._late_s: list[float] = []
        self._deliveries = 0
        for client in clients:
            client.on_notice = partial(self._heard, client)

    def all_joined(self) -> None:
        now = time.monotonic()
        for client in self._clients:
            self.book.joined(client.sessions[0], CHANNEL, now)

    async def run(
        self, seconds: float, pids: Mapping[int, str], calm_s: float = CALM_S, warm_up_s: float = WARM_UP_S
    ) -> dict[str, Any]:
        """The report. `pids`: kind by pid of the server's processes on this machine."""
        gc.collect()
        gc.freeze()
        gc.disable()  # its pauses would be latencies
        try:
            calm = await self._cpu(calm_s, pids)
            talking = asyncio.create_task(self._talk(warm_up_s + seconds))
            await asyncio.sleep(warm_up_s)
            own, deliveries, begin = time.process_time(), self._deliveries, time.monotonic()
            used = await self._cpu(seconds, pids)
            end = time.monotonic()
            own, deliveries = time.process_time() - own, self._deliveries - deliveries
            await talking
            await self._until_heard()
        finally:
            gc.enable()
        self.book.judge()
        cpu = {"calm": {kind: value / calm_s for kind, value in calm.items()}, "busy": used}
        return self.report(begin, end, deliveries, cpu, own)

    def report(
        self,
        begin: float,
        end: float,
        deliveries: int,
        cpu: Mapping[str, Mapping[str, float]],
        own_s: float,
    ) -> dict[str, Any]:
        """Times are from the send to each member's receipt, of what was sent in the window; `answer_...`: to the sender's answer.

        `deliveries` and `expected` are over the whole run. `server_cpu_s_per_1k`: core-seconds of all processes for 1,000
        deliveries in the window; `above_calm_...`: without what they take anyhow, `calm_cores`. Null where they are elsewhere.
        """
        seconds = end - begin
        busy, calm = sum(cpu["busy"].values()), sum(cpu["calm"].values())
        known = bool(cpu["busy"]) and deliveries > 0
        per_1k = 1_000.0 / max(1, deliveries)
        return {
            "members": len(self._clients),
            "senders": self._senders,
            "seconds": round(seconds, 2),
            "messages": self.book.acknowledged,
            "expected": self.book.acknowledged * len(self._clients),
            "deliveries": self.book.deliveries,
            "deliveries_per_s": round(deliveries / seconds, 1),
            **took_ms(self.book.arrivals.values(), begin, end),
            **{f"answer_{name}": value for name, value in figures_ms(self._answers_s).items()},
            "server_cpu_s_per_1k": round(busy * per_1k, 4) if known else None,
            "above_calm_cpu_s_per_1k": round((busy - calm * seconds) * per_1k, 4) if known else None,
            "server_cores": round(busy / seconds, 3) if known else None,
            "calm_cores": round(calm, 3) if known else None,
            "cpu_s_per_1k_by_process": {
                kind: round(value * per_1k, 4) for kind, value in sorted(cpu["busy"].items()) if known
            },
            **{name: self.book.findings.counts[name] for name in CHAT_FAULTS},
            "examples": self.book.findings.examples,
            "unanswered": self._unanswered,
            "refused": self._refused,
            "not_recovered": sum(client.holes for client in self._clients),
            "new_sessions": sum(len(client.sessions) - 1 for client in self._clients),
            "disconnects": sum(client.connects - 1 for client in self._clients),
            "load_core": round(own_s / seconds, 3),
            "send_late_p99_ms": round(float(np.percentile(self._late_s or [0.0], 99)) * 1_000.0, 1),
        }

    # --- talking and hearing -----------------------------------------------------------------------------------

    async def _talk(self, seconds: float) -> None:
        """At an even pace, each sender in turn. Nobody waits for the answer before the next one."""
        begin = time.monotonic()
        async with asyncio.TaskGroup() as saying:
            for number in range(round(seconds * self._per_s)):
                due = begin + number / self._per_s
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                self._late_s.append(time.monotonic() - due)
                saying.create_task(self._say(self._clients[number % self._senders], f"word {number}"))

    async def _say(self, client: Returning, text: str) -> None:
        params = {"channel": CHANNEL, "text": text, "client_id": text}
        asked = time.monotonic()
        self.book.said(client.sessions[0], CHANNEL, text, asked)
        try:
            answer = await client.request("chat.message", params, REQUEST_S)
        except RpcError as error:
            if isinstance(error, Unavailable | InternalError):  # it may have acted
                self._unanswered += 1
            else:
                self._refused += 1
                self.book.refused(text)
        except RealmError:
            self._unanswered += 1
        else:
            self._answers_s.append(time.monotonic() - asked)
            self.book.kept(text, answer["message_id"])

    def _heard(self, client: Returning, item: Notification) -> None:
        if item.method == "chat.message" and isinstance(item.params, dict):
            told = item.params
            self._deliveries += 1
            self.book.heard(client.sessions[0], told["channel"], told["text"], told["message_id"], time.monotonic())

    async def _until_heard(self) -> None:
        """What is missing then is in the report."""
        until = time.monotonic() + HEAR_S
        while self.book.missing():
            if time.monotonic() > until:
                break
            await asyncio.sleep(POLL_S)

    async def _cpu(self, seconds: float, pids: Mapping[int, str]) -> dict[str, float]:
        """Seconds of CPU by kind of process, while so much time goes by."""
        before = processes.cpu_s(pids)
        await asyncio.sleep(seconds)
        after = processes.cpu_s(pids)
        return processes.by_kind({pid: after[pid] - before.get(pid, 0.0) for pid in after}, pids)
