"""`scripts/cluster`: three nodes on this machine that behave as a cluster, and nothing left of them in the end."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from rayrealm_client.client import RealmClient
from tests.three_nodes import ThreeNodes, three_nodes

pytestmark = [pytest.mark.realm, pytest.mark.slow]

SETTLED_S = 60.0
HEROES = {"head": "Ada", "node1": "Bea", "node2": "Cid"}
WORLD_ACTORS = ("zone", "sessions", "presence", "supervisor")


@pytest.fixture(scope="module")
def realm() -> Iterator[ThreeNodes]:
    with three_nodes(bots=4) as made:
        standing = made.status()
        yield made
    assert not Path(standing["folder"]).exists()
    assert not [process.pid for process in psutil.process_iter() if runs_in(process, standing["folder"])]


def runs_in(process: psutil.Process, folder: str) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and folder in " ".join(process.cmdline())
    except psutil.Error:
        return False


def get(url: str, path: str) -> int:
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=10.0)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


def processes(realm: ThreeNodes) -> list[dict[str, Any]]:
    done = realm.command("status", "--json")
    assert done.returncode == 0, done.stderr
    listed: list[dict[str, Any]] = json.loads(done.stdout)["processes"]
    return [process for process in listed if process["alive"] is not False]  # None: on another node


def hosts(realm: ThreeNodes) -> dict[str, str]:
    """Zone -> where its owner runs."""
    done = realm.command("zones", "list", "--json")
    assert done.returncode == 0, done.stderr
    return {zone["zone"]: zone["host"] for zone in json.loads(done.stdout)["zones"] if zone["role"] == "owner"}


def until(true: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SETTLED_S
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.5)


def test_it_says_where_it_is(realm: ThreeNodes) -> None:
    lines = realm.said.splitlines()
    assert lines[0] == f"READY {realm.url}"
    assert f"  play     {realm.url}/play/" in lines
    assert f"  console  {realm.url}/console/" in lines


def test_zones_are_spread_and_the_head_has_none(realm: ThreeNodes) -> None:
    where = Counter((process["kind"], process["node"]) for process in processes(realm))
    assert (where["zone", "node1"], where["zone", "node2"]) == (2, 2)
    assert not [node for (kind, node) in where if kind in WORLD_ACTORS and node == "head"]
    assert sum(count for (kind, _), count in where.items() if kind == "gateway") == 3


async def test_each_edge_leads_into_the_world(realm: ThreeNodes) -> None:
    edges = realm.edges
    assert "head" in edges
    for name, url in edges.items():
        assert (get(url, "/v1/healthz"), get(url, "/-/healthz"), get(url, "/play/")) == (200, 200, 200)
        async with RealmClient(url) as client:
            await client.register(f"guest-{name}", "correct horse battery")
            hero = await client.create_character(HEROES[name])
            world = await client.enter(hero.character_id)
            await client.move(world.position.x + 0.5, 0.0, world.position.z, 0.0)


def test_up_again_changes_nothing(realm: ThreeNodes) -> None:
    root = Path(__file__).parents[2]
    before = realm.status()
    again = subprocess.run(
        [str(root / "scripts" / "cluster"), "up"],
        env={**os.environ, "XDG_STATE_HOME": str(realm.state), "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith(f"READY {before['url']}\n")
    assert realm.status()["launcher"] == before["launcher"]


def test_a_node_comes_and_goes(realm: ThreeNodes) -> None:
    name = realm.add_node()
    assert name == "node3"

    until(lambda: name in hosts(realm).values(), "the policy gives the new node a zone")
    realm.remove_node(name)
    assert name not in realm.nodes
    until(lambda: set(hosts(realm).values()) == {"node1", "node2"}, "zones are elsewhere")
    assert get(realm.url, "/v1/healthz") == 200
