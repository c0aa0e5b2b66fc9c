"""Does the time of a failed login tell whether the account exists (row 4.1)? Measured as a guesser would, over one connection.

CWE-208 (observable timing discrepancy); the statistic is that of Mann and Whitney (1947).
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import statistics
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

from pydantic import SecretStr

from cluster.bench.entrants import each, persist
from cluster.bench.realm_under_test import limits, realm_under_test
from rayrealm_client.accounts import Accounts, pool
from rayrealm_client.errors import HttpProblem

REQUEST_S = 10.0
ACCOUNT_S = 60.0
WARM_UP = 10


def run_guesses(samples: int, url: str | None = None) -> dict[str, Any]:
    """One wrong password for each of `samples` accounts, and for as many names that nobody has, in random order.

    `advantage`: how likely an existing one takes longer than another one; 0.5 tells nothing, 0 and 1 tell all. `noise`: how far
    from 0.5 chance alone brings it (one standard deviation). Times are milliseconds. Raises Ours, RealmError of the client.
    """
    with contextlib.ExitStack() as stack:
        if url is None:
            url = stack.enter_context(realm_under_test(limits(samples))).url
        there, nobody = asyncio.run(_measure(url, samples))
    return {
        "samples": samples,
        "existing_ms": _summary(there),
        "unknown_ms": _summary(nobody),
        "advantage": round(advantage(there, nobody), 3),
        "noise": round(noise(samples), 3),
    }


def advantage(longer: Sequence[float], shorter: Sequence[float]) -> float:
    """P(one of `longer` > one of `shorter`), where equal ones count half: the U statistic by the number of pairs."""
    ordered = sorted(shorter)
    wins = sum((bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 for value in longer)
    return wins / (len(longer) * len(ordered))


def noise(samples: int) -> float:
    """The standard deviation of `advantage` if both were the same, for so many of each."""
    return float(((2 * samples + 1) / (12 * samples * samples)) ** 0.5)


async def _measure(url: str, samples: int) -> tuple[list[float], list[float]]:
    rng = random.Random(samples)  # noqa: S311 - order and backoff, no secret
    users, password = f"guess-{secrets.token_hex(4)}", SecretStr(secrets.token_urlsafe(16))
    async with pool(url, REQUEST_S) as http:

        async def register(number: int) -> None:
            accounts = Accounts(url, REQUEST_S, http)
            async with asyncio.timeout(ACCOUNT_S):
                await persist(lambda: accounts.register(f"{users}-{number}", password.get_secret_value()), rng)

        await each(range(samples), register)
    names = [(f"{users}-{number}", True) for number in range(samples)]
    names += [(f"{users}-{number}", False) for number in range(samples, 2 * samples)]
    rng.shuffle(names)
    async with Accounts(url, REQUEST_S) as guesser:
        for number in range(WARM_UP):
            await _guess(guesser, f"{users}-w{number}")
        times: dict[bool, list[float]] = {True: [], False: []}
        for name, exists in names:
            times[exists].append(await _guess(guesser, name))
    return times[True], times[False]


async def _guess(guesser: Accounts, name: str) -> float:
    began = time.perf_counter()
    try:
        await guesser.login(name, "a wrong password")
    except HttpProblem as problem:
        if problem.reason != "bad_credentials":
            raise
    return (time.perf_counter() - began) * 1_000


def _summary(times: Sequence[float]) -> dict[str, float]:
    return {"median": round(statistics.median(times), 3), "mean": round(statistics.fmean(times), 3)}
