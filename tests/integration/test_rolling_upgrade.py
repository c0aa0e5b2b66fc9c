"""New code for a whole realm whose players walk on (row 7.6): nobody logs in again, and what the old code stored is brought up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from cluster.bench.bots import run_bots, watch_recovery
from cluster.bench.crew import Crew
from cluster.operations.upgrade import ORDER
from cluster.version import VERSION
from rayrealm_client.client import RealmClient
from tests.real_realm import RealRealm, real_realm

pytestmark = [pytest.mark.realm, pytest.mark.slow]

ROOT = Path(__file__).parent.parent.parent
PARTS = ("actors", "cluster", "serve_apps", "clients/python", "clients/web", "proto")
IMPORTED = (".", "clients/python", "proto")
BOTS = 20
START_DEADLINE_S, UPGRADE_DEADLINE_S = 60.0, 420.0
NEXT = "99.0.0"
# What the next release does to entities that older ones stored.
MARKED = """
def _marked(document):
    return {**document, "entity": {**document["entity"], "properties": {**document["entity"]["properties"], "marked": True}}}


ENTITY = Format("entity", version=3, readable_by=2, upgrades={1: as_it_was, 2: _marked})
"""


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release of the code that can be replaced."""
    folder = tmp_path_factory.mktemp("release")
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    return folder


@pytest.fixture(scope="module")
def realm(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRealm]:
    path = ":".join(str(code / part) for part in IMPORTED)
    variables = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    # Python looks for modules in the working directory first, and Ray's workers in that of who started Ray.
    with contextlib.chdir(code), real_realm(tmp_path_factory.mktemp("realm"), variables=variables) as made:
        yield made


def replace(code: Path) -> None:
    """The next release, as an operator installs it over this one."""
    version = code / "cluster/version.py"
    version.write_text(version.read_text().replace(VERSION, NEXT))
    records = code / "actors/zone/records.py"
    text = records.read_text()
    (old,) = [line for line in text.splitlines() if line.startswith("ENTITY = ")]
    records.write_text(text.replace(old, MARKED))


async def asked(realm: RealRealm, *arguments: str, deadline_s: float = START_DEADLINE_S) -> dict[str, object]:
    done = await asyncio.to_thread(realm.command, *arguments, "--json", deadline_s=deadline_s)
    assert done.returncode == 0, done.stderr + done.stdout
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


async def versions(realm: RealRealm) -> set[str]:
    listed = await asked(realm, "do", "processes.list")
    processes = listed["processes"]
    assert isinstance(processes, list)
    return {process["version"] for process in processes}


async def test_new_code_under_walking_players(realm: RealRealm, code: Path) -> None:
    crew, password = Crew(), SecretStr(secrets.token_urlsafe(16))
    running = asyncio.create_task(run_bots(realm.url, BOTS, None, 71, password=password, crew=crew))
    try:
        async with asyncio.timeout(START_DEADLINE_S):
            while len(crew.bots) < BOTS or not crew.all_walking(1.0):  # noqa: ASYNC110 - a crew tells nobody
                await asyncio.sleep(0.1)
        assert await versions(realm) == {VERSION}
        gateways = set(realm.pids("gateway"))

        replace(code)
        since = crew.clock()
        done = await asked(realm, "upgrade", deadline_s=UPGRADE_DEADLINE_S)
        assert done["versions"] == {
            NEXT: sum(process["alive"] is True for process in realm.processes() if process["kind"] in ORDER)
        }
        assert await versions(realm) == {NEXT}
        assert not gateways & set(realm.pids("gateway"))

        within_s = crew.clock() - since + START_DEADLINE_S
        recovery = await watch_recovery(crew, since, within_s=1.0, steady_s=3.0, deadline_s=within_s)
        assert recovery.recovered, crew.summary()
        assert crew.total("logins") == BOTS, "nobody logged in again"
        async with RealmClient(realm.url) as client:
            await client.register(f"new-{secrets.token_hex(6)}", secrets.token_hex(12))
            character = await client.create_character(f"N{secrets.token_hex(6)}")
            await client.enter(character.character_id)
            async with asyncio.timeout(START_DEADLINE_S):
                while not any(one.properties.get("marked") for one in client.entities.values()):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
    finally:
        running.cancel()
        await asyncio.wait({running})
