"""Sockets that do nothing: what one costs in memory, over all processes of the realm (issue: at most 100 KiB)."""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
from collections.abc import Mapping
from functools import partial
from typing import Any

from pydantic import SecretStr

from cluster.bench import processes
from cluster.bench.crowd import pids_at
from cluster.bench.entrants import each, persist, sign_in
from cluster.bench.realm_under_test import limits, realm_under_test
from cluster.bench.sockets import Inbox, LoadSocket, open_socket
from rayrealm_client.accounts import Accounts, pool
from rayrealm_client.errors import RealmError

ACCOUNT_S = 60.0
JOIN_S = 60.0
REQUEST_S = 10.0
REST_S = 2.0
READ_S = 0.1


def run_idle(clients: int, seconds: float, url: str | None = None, *, gateways: int | None = None) -> dict[str, Any]:
    """Hold `clients` attached sessions that are in no world for `seconds`. Raises Ours, RealmError of the client.

    `rss_...` and `pss_kib_per_connection`: growth of the sum over all processes, from all accounts made to all sockets held and
    at rest; `..._end`: after `seconds`. `held`: sockets that were open and answered a ping at the end. Null where the realm's
    processes are elsewhere.
    """
    with contextlib.ExitStack() as stack:
        if url is None:
            realm = stack.enter_context(realm_under_test(limits(clients), gateways=gateways))
            return asyncio.run(_hold(realm.url, clients, seconds, realm.pids()))
        return asyncio.run(_hold(url, clients, seconds, pids_at(url)))


async def _hold(url: str, clients: int, seconds: float, pids: Mapping[int, str]) -> dict[str, Any]:
    rng = random.Random(clients)  # noqa: S311 - backoff, no secret
    tokens = await _tokens(url, clients, rng)
    before = processes.memory(pids)
    inbox, sockets = Inbox(), dict[int, LoadSocket]()

    async def read() -> None:
        while True:
            inbox.drain()
            await asyncio.sleep(READ_S)

    async def hold(client: int) -> None:
        sockets[client] = await open_socket(url, tokens[client], lambda: LoadSocket(client, inbox), rng, JOIN_S)

    reading = asyncio.create_task(read())
    try:
        await each(range(clients), hold)
        await asyncio.sleep(REST_S)
        joined = processes.memory(pids)
        await asyncio.sleep(seconds)
        end = processes.memory(pids)
        answering = set[int]()

        async def ping(client: int) -> None:
            with contextlib.suppress(RealmError):  # it is missing from `held` then
                await sockets[client].request("system.ping", {}, REQUEST_S)
                answering.add(client)

        await each(range(clients), ping)
    finally:
        reading.cancel()
        for socket in sockets.values():
            socket.disconnect()
    return _report(clients, seconds, len(answering), before, joined, end)


async def _tokens(url: str, clients: int, rng: random.Random) -> dict[int, str]:
    """client -> access token of an account of its own."""
    tokens = dict[int, str]()
    users, password = f"idle-{secrets.token_hex(4)}", SecretStr(secrets.token_urlsafe(16))
    async with pool(url, REQUEST_S) as http:

        async def one(client: int) -> None:
            accounts = Accounts(url, REQUEST_S, http)
            async with asyncio.timeout(ACCOUNT_S):
                await persist(partial(sign_in, accounts, f"{users}-{client}", password), rng)
                tokens[client] = await accounts.access_token()

        await each(range(clients), one)
    return tokens


def _report(
    clients: int,
    seconds: float,
    held: int,
    before: Mapping[str, processes.Memory],
    joined: Mapping[str, processes.Memory],
    end: Mapping[str, processes.Memory],
) -> dict[str, Any]:
    result: dict[str, Any] = {"clients": clients, "seconds": seconds, "held": held}
    names = ("rss_kib_per_connection", "pss_kib_per_connection", "pss_kib_per_connection_end")
    if not before:
        return result | dict.fromkeys(names) | {"pss_by_process": {}}
    grown, later = joined["all"] - before["all"], end["all"] - before["all"]
    values = (grown.rss_kib, grown.pss_kib, later.pss_kib)
    nothing = processes.Memory(0.0, 0.0)
    by_process = {
        kind: round((memory - before.get(kind, nothing)).pss_kib / clients, 2)
        for kind, memory in sorted(joined.items())
        if kind != "all"
    }
    per_connection = {name: round(value / clients, 1) for name, value in zip(names, values, strict=True)}
    return result | per_connection | {"pss_by_process": by_process}
