"""A real Prometheus finds every process of a running realm, and every rule and panel has something to show (row 5.4)."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster.export import prometheus
from cluster.export.alerts_outside import ALERTS
from cluster.export.dashboards_outside import DASHBOARDS
from cluster.export.rules import SHARED, service_levels
from cluster.security_settings import AbuseSettings
from cluster.settings import AccountSettings
from cluster.telemetry.catalogue import catalogue
from tests.integration.identity_rig import Rig, eventually, web
from tests.integration.prometheus_rig import Asked, Prometheus, metrics_in, readable, series_of
from tests.local_realm import local_realm
from tests.players import Player

EVERY_S = 1
DEADLINE_S = 20.0
# Histograms of the document (row 5.4), and what of them must have been measured when players have played.
DOCUMENT = (
    "websocket_active_connections",
    "websocket_connections_total",
    "websocket_connection_duration_seconds_count",
    'websocket_connection_errors_total{reason="lost"}',
    'websocket_messages_received_total{method="system.ping"}',
    "sum by (kind) (websocket_messages_sent_total)",
    'websocket_message_size_bytes_count{method="world.position.update"}',
    'websocket_message_size_bytes_sum{method="system.ping"}',
    'websocket_message_latency_seconds_count{method="system.ping"}',
    'websocket_protocol_errors_total{reason="parse_error"}',
    "websocket_compression_ratio_count",
    "websocket_processing_time_seconds_count",
    "game_active_users",
    'sum(game_zone_population{zone_id!=""})',
)
MOST_VALUES = 80  # of a label in the realm: methods are the most
IDS = re.compile(r"^(usr|ses|chr|tok|rrt|ent|pty|msg)_|^\d+\.\d+\.\d+\.\d+$|@|[0-9a-f]{12,}")
TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)


@pytest.fixture
async def rig(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> AsyncIterator[Rig]:
    """With a watch, with two zones and with a game, so that there is every kind of metric."""
    accounts = AccountSettings(argon2_memory_kib=8, argon2_time_cost=1)
    abuse = AbuseSettings(enabled=True, report_s=0.5)
    async with (
        local_realm(
            valkey_url,
            nats_url,
            nats_token,
            namespace,
            accounts=accounts,
            abuse=abuse,
            chat={"max_text": 4_000},
            world={"game": "tests.games.ledger:Ledger"},
        ) as realm,
        web(realm) as (client, url),
    ):
        yield Rig(realm, client, url)
        realm.gateway.hub.stop()


async def play(rig: Rig) -> Player:
    """Two players who do all that has a name in the document; one is lost without a goodbye, one stays."""
    players = []
    for name in ("ada", "bob"):
        tokens = await rig.login(name)
        made = await rig.http.post(
            "/v1/characters",
            json={"name": name.title()},
            headers={"Authorization": f"Bearer {tokens['access_token']}"},
        )
        player = await rig.join(tokens["access_token"], "proto")
        await player.enter(made.json()["character_id"])
        players.append(player)
    stays, goes = players
    for player in players:
        await player.ask("system.ping")
        await player.move(player.world["position"]["x"] + 0.1, player.world["position"]["z"])
        await player.until(lambda player=player: player.ack > 0)  # type: ignore[misc]
    await stays.ask("chat.channel.join", channel="general")
    for _ in range(3):
        said = await stays.ask("chat.message", channel="general", text="a line that is worth compressing " * 60)
        assert isinstance(said, dict), said
    heard = await stays.ask("chat.history", channel="general", limit=50)
    assert len(heard["messages"]) == 3
    await stays.ws.send(b"\xff\xff\xff")  # what is no message at all
    goes.ws.transport.abort()
    return stays


async def pages(http: httpx.AsyncClient, processes: list[str]) -> dict[str, str]:
    """Each process's own page."""
    found = {}
    for process in processes:
        answer = await http.get("/metrics", params={"process": process})
        assert answer.status_code == 200, process
        found[process] = answer.text
    return found


async def test_a_real_prometheus_and_a_running_realm(rig: Rig, tmp_path: Path) -> None:
    realm = rig.realm
    expected = {"web", realm.gateway.hub.gateway_id, *realm.actors}
    for name, text in prometheus.files(rig.url, EVERY_S, "test").items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with Prometheus(tmp_path / prometheus.CONFIGURATION, tmp_path) as server:
        async with (
            playing(await play(rig)),
            httpx.AsyncClient(base_url=server.url, timeout=10, trust_env=False) as client,
        ):
            asked = Asked(client)

            async def all_up() -> bool:
                return await asked.targets() == dict.fromkeys(expected, "up")

            await eventually(all_up, DEADLINE_S)
            await every_rule_has_values(asked)
            await the_document_s_metrics_are_there(asked)
            have = await what_the_realm_has(rig, sorted(expected))
            await every_expression_is_about_what_there_is(asked, have)
            assert [rule["name"] for rule in await asked.rules() if rule.get("state") == "firing"] == []
            await labels_are_bounded(rig, sorted(expected))
            await one_that_dies_is_seen_to_be_down(rig, asked, expected)


@contextlib.asynccontextmanager
async def playing(player: Player) -> AsyncIterator[None]:
    """Rates are of what happens between two scrapes."""

    async def go_on() -> None:
        while True:
            await player.ask("system.ping")
            await asyncio.sleep(EVERY_S / 4)

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await player.leave()


async def every_rule_has_values(asked: Asked) -> None:
    rules = (*SHARED, *service_levels())
    wanted = [rule.record + "{" + ",".join(f'{name}="{to}"' for name, to in rule.labels) + "} >= 0" for rule in rules]

    await all_there(asked, wanted)
    bad = [(rule["name"], rule["lastError"]) for rule in await asked.rules() if rule["health"] != "ok"]
    assert bad == []


async def the_document_s_metrics_are_there(asked: Asked) -> None:
    await all_there(asked, [f"{name} > 0" for name in DOCUMENT])


async def all_there(asked: Asked, queries: Sequence[str]) -> None:
    """Raises AssertionError: some never give anything."""
    missing = list(queries)

    async def found() -> bool:
        missing[:] = [query for query in missing if not await asked.query(query)]
        return not missing

    with contextlib.suppress(TimeoutError):
        await eventually(found, DEADLINE_S)
    assert missing == []


async def what_the_realm_has(rig: Rig, processes: list[str]) -> set[str]:
    """The names of all series that can be; what is told is what docs/reference/metrics.md says."""
    families: dict[str, str] = {}
    for page in (await pages(rig.http, processes)).values():
        families |= dict(TYPE.findall(page))
    described = {one.name: one.kind for one in catalogue() if one.of != ("console",)}  # none runs here
    assert {name: kind for name, kind in families.items() if not name.endswith("_created")} == described
    return series_of(families)


async def every_expression_is_about_what_there_is(asked: Asked, have: set[str]) -> None:
    rules = (*SHARED, *service_levels())
    known = have | {rule.record for rule in rules} | {"up", "ALERTS"}
    expressions = [rule.expr for rule in rules] + [alert.expr for alert in ALERTS]
    expressions += [query.expr for board in DASHBOARDS for panel in board.panels for query in panel.queries]
    for expr in expressions:
        assert metrics_in(expr) or expr.startswith("vector("), expr
        assert metrics_in(expr) <= known, expr
        await asked.query(readable(expr))
    for board in DASHBOARDS:
        if board.variable:
            metric = board.values.removeprefix("label_values(").split(",")[0]
            assert await asked.query(f'{metric}{{{board.variable}!=""}}'), board.values


async def labels_are_bounded(rig: Rig, processes: list[str]) -> None:
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for page in (await pages(rig.http, processes)).values():
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                for label, value in sample.labels.items():
                    values[family.name, label].add(value)
    hub = rig.realm.gateway.hub
    forbidden = {part for client in hub.clients.values() for part in (client.session_id, client.user_id)}
    assert len(forbidden) == 2
    assert len(values) > 50
    for (name, label), found in values.items():
        assert len(found) <= MOST_VALUES, (name, label, len(found))
        assert not found & forbidden, (name, label)
        assert not [value for value in found if IDS.search(value)], (name, label)


async def one_that_dies_is_seen_to_be_down(rig: Rig, asked: Asked, expected: set[str]) -> None:
    await rig.realm.kill("presence/0")

    async def down() -> bool:
        return (await asked.targets()).get("presence/0") == "down"

    await eventually(down, DEADLINE_S)
    rig.realm.make(None, "presence/0", rig.realm.realm, "presence/0")  # as Ray does

    async def well_again() -> bool:
        return await asked.targets() == dict.fromkeys(expected, "up")

    await eventually(well_again, DEADLINE_S)


async def test_a_process_that_is_not_there(rig: Rig) -> None:
    answer = await rig.http.get("/metrics", params={"process": "zone/nowhere"})
    assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")


async def test_targets_and_the_merged_page_know_the_same_processes(rig: Rig) -> None:
    async def known() -> set[str]:
        answer = await rig.http.get("/metrics/targets")
        groups = answer.json()
        assert all(group["targets"] == [urlsplit(rig.url).netloc] for group in groups)
        return {group["labels"]["process"] for group in groups}

    expected = {"web", rig.realm.gateway.hub.gateway_id, *rig.realm.actors}

    async def complete() -> bool:
        return await known() == expected

    await eventually(complete, DEADLINE_S)
    page = (await rig.http.get("/metrics")).text
    assert set(re.findall(r'^rayrealm_build_info\{process="([^"]+)"', page, re.MULTILINE)) == expected
