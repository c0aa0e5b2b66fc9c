"""No process of the realm ever holds what a sealed message says, nor a private key (row 6.4): all their memory is searched for it.

As a control, the same search finds what was said openly, and the sealed bytes themselves.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rayrealm_client.client import RealmClient
from rayrealm_client.key_file import Keyring
from rayrealm_client.key_records import SUITES
from rayrealm_client.models import Tokens
from rayrealm_client.sealing import OwnKeys
from tests.integration.mock_players import until
from tests.integration.sealed_rig import overheard
from tests.memory_scan import forms, found_in_files, found_in_memory, processes_with
from tests.real_realm import RealRealm
from tests.servers import Nats, Valkey

MARK = "SEALED_TEST_MARK"
START_S = 60.0


class Talk:
    """Two who talk, sealed and openly. `secret`: what must be found nowhere; `public`: what must be found."""

    def __init__(self) -> None:
        self.secret: dict[str, bytes] = {}
        self.public: dict[str, bytes] = {}

    def hide(self, name: str, secret: bytes) -> None:
        self.secret |= {f"{name}.{number}": form for number, form in enumerate(forms(secret))}

    async def run(self, ann: RealmClient, bob: RealmClient, ann_id: str, bob_id: str) -> None:
        rings = [Keyring(OwnKeys.create(user, time.time(), rsa_bits=2_048)) for user in (ann_id, bob_id)]
        for ring in rings:
            for suite, key in (("sign", ring.keys.signing), *ring.keys.private.items()):
                private = key.as_dict(private=True)
                for member in {"d", "p", "q"} & private.keys():
                    text = str(private[member])
                    self.hide(f"{ring.keys.user_id}/{suite}/{member}", base64.urlsafe_b64decode(text + "=="))
        heard: list[str] = []
        bob.sealed.on_message(lambda message: heard.append(message.text))
        bob.chat.on_message(lambda message: heard.append(message.text))
        passed = overheard(bob)
        await bob.sealed.begin(rings[1])
        await ann.sealed.begin(rings[0])
        for suite in SUITES:
            said = f"sealed-{secrets.token_hex(24)}"
            self.hide(suite, said.encode())
            await ann.sealed.tell(bob_id, said, suite=suite)
        openly = f"openly-{secrets.token_hex(24)}"
        self.public["openly"] = openly.encode()
        await ann.chat.tell(bob_id, openly)
        await until(lambda: len(heard) == 3)
        self.public["jwe"] = passed[0]["items"][0]["jwe"].encode()[-200:]

    def check(self, pids: list[int], folders: Iterable[Path]) -> None:
        """Also what has been read out of the inboxes, and what still waits there."""
        assert pids
        in_memory = found_in_memory(pids, self.secret | self.public)
        in_files: dict[str, set[str]] = {}
        for folder in folders:
            in_files |= found_in_files(folder, self.secret | self.public)
        assert {name: where for name, where in in_memory.items() if name in self.secret} == {}
        assert {name: where for name, where in in_files.items() if name in self.secret} == {}
        assert in_memory.keys() >= self.public.keys(), "the search finds what there is"


@asynccontextmanager
async def own_process(valkey: Valkey, nats: Nats, users: list[str]) -> AsyncIterator[tuple[str, dict[str, str], str]]:
    mark = secrets.token_hex(8)
    asked = {
        "valkey": valkey.url,
        "nats": nats.url,
        "nats_token": nats.token,
        "namespace": f"test-{mark}",
        "users": users,
    }
    process = subprocess.Popen(  # noqa: ASYNC220 - it starts nothing that would wait
        [sys.executable, "-m", "tests.integration.sealed_realm"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, MARK: mark},
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        async with asyncio.timeout(START_S):
            while True:
                line = await asyncio.to_thread(process.stdout.readline)
                assert line, "it ended"
                if line.startswith('{"realm"'):
                    break
        told = json.loads(line)["realm"]
        yield told["url"], told["tokens"], mark
    finally:
        process.stdin.close()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10.0)
        process.stdout.close()


def test_the_search_finds_a_secret_inside_base64() -> None:
    secret = secrets.token_bytes(40)
    for before in range(7):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            there = encode(secrets.token_bytes(before) + secret + secrets.token_bytes(5))
            assert any(form in there for form in forms(secret))
    assert not any(form in base64.b64encode(secrets.token_bytes(400)) for form in forms(secret))


async def test_a_realm_in_another_process(tmp_path: Path) -> None:
    users = [f"usr_{secrets.token_hex(6)}" for _ in range(2)]
    with Valkey(tmp_path) as valkey, Nats(tmp_path) as nats:
        async with own_process(valkey, nats, users) as (url, tokens, mark):
            base = url.replace("ws://", "http://").removesuffix("/ws")
            async with RealmClient(base) as ann, RealmClient(base, framing="json") as bob:
                for client, user in ((ann, users[0]), (bob, users[1])):
                    client.tokens = Tokens(user, tokens[user], "", time.monotonic() + 600.0)
                talk = Talk()
                await talk.run(ann, bob, *users)
                servers = [server._process.pid for server in (valkey, nats) if server._process is not None]
                talk.check([*processes_with(MARK, mark), *servers], [tmp_path])


@pytest.mark.realm
@pytest.mark.slow
async def test_a_whole_realm(realm: RealRealm) -> None:
    """Every process that the realm's command has started: Ray's, HAProxy, Valkey, NATS; and all files of its folder."""
    async with RealmClient(realm.url) as ann, RealmClient(realm.url, framing="json") as bob:
        tokens = [await each.register(f"u{secrets.token_hex(6)}", secrets.token_hex(12)) for each in (ann, bob)]
        talk = Talk()
        await talk.run(ann, bob, *(each.user_id for each in tokens))
        pids = processes_with("XDG_STATE_HOME", realm.environment["XDG_STATE_HOME"])
        assert len(pids) > 8
        await asyncio.to_thread(talk.check, pids, [realm.data])
