"""What an attacker has: the realm's address, addresses of its own, and accounts that it made like anybody else."""

from __future__ import annotations

import asyncio
import itertools
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from cluster.bench.entrants import enlist
from cluster.bench.names import CAPACITY
from rayrealm_client.accounts import Accounts, pool
from tests.wire import Raw

ACCOUNT_S = 30.0
REQUEST_S = 10.0
LOST = 0  # in place of a status: the connection ended without an answer


@dataclass
class Outcome:
    """What an attack met with. `refused`: how often by status, close code or error; `through`: what must not be, and was."""

    name: str
    attempts: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    through: list[str] = field(default_factory=list)

    def met(self, what: object) -> None:
        self.attempts += 1
        self.refused[str(what)] += 1

    def must(self, true: bool, otherwise: str) -> None:
        if not true:
            self.through.append(otherwise)

    def told(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "attempts": self.attempts,
            "refused": dict(sorted(self.refused.items())),
            "through": self.through,
        }


class Target:
    """`network`: the third number of the attacker's addresses 127.0.N.x, another one for each attack."""

    def __init__(self, url: str, network: int) -> None:
        parts = urlsplit(url)
        assert parts.hostname == "127.0.0.1", "attacks go to this machine alone"
        self.url = url
        self.port = parts.port or 80
        self.host = f"{parts.hostname}:{self.port}"
        self.ws = f"ws://{self.host}/ws"
        self._network = network
        self._last = itertools.count(1)

    def address(self) -> str:
        """One that was not used before."""
        return f"127.0.{self._network}.{next(self._last)}"

    async def account(self) -> tuple[str, str]:
        """An access token and a character of a new account, made from the honest network: who attacks has prepared for it."""
        async with pool(self.url, REQUEST_S) as http:
            accounts = Accounts(self.url, REQUEST_S, http)
            name, password = f"mallory-{secrets.token_hex(6)}", SecretStr(secrets.token_urlsafe(16))
            number = secrets.randbelow(CAPACITY)  # chooses the character's name
            entrant = await enlist(accounts, name, password, number, random.Random(name), ACCOUNT_S)
            return await accounts.access_token(), entrant.character_id

    async def open(self, token: str, source: str, subprotocol: str = "rayrealm.v1+json", **more: Any) -> Raw:
        """An upgrade; see `answer`. Raises ConnectionError, EOFError or TimeoutError."""
        return await Raw.open(self.ws, token, subprotocol, source=source, **more)

    @asynccontextmanager
    async def socket(self, **more: Any) -> AsyncIterator[Raw]:
        """A socket that is ready, of a new account, from a new address."""
        token, _ = await self.account()
        raw = await self.open(token, self.address(), **more)
        assert raw.answer.status == 101, raw.answer
        try:
            yield raw
        finally:
            raw.abort()

    async def http(self, head: bytes, source: str, patience_s: float = REQUEST_S) -> int:
        """The status that these bytes are answered with; LOST if the connection ended without one."""
        try:
            raw = await Raw.dial(self.ws, source=source)
            raw.send(head)
            said = await raw.rest(patience_s)
        except OSError:
            return LOST
        return int(said.split(b" ", 2)[1]) if said.startswith(b"HTTP/1.") else LOST


async def paced(per_s: float, seconds: float) -> AsyncIterator[int]:
    """Counts up, so many times a second, for so long: an attack is bounded in count and time."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    for number in range(int(per_s * seconds)):
        due = begin + number / per_s
        if (left := due - loop.time()) > 0:
            await asyncio.sleep(left)
        if loop.time() - begin > seconds:
            return
        yield number
