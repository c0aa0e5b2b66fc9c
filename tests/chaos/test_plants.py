"""Planted bugs are found, each by its name; and without them the same drills find nothing."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import actors.session.sessions_actor
import actors.zone.zone_actor
import cluster.adapters.runtime
from cluster.chaos import planting
from cluster.chaos.verdict import counts
from tests.chaos.local_drill import Act, drill
from tests.integration.backstage import SESSIONS, ZONE, Backstage
from tests.local_realm import LocalRealm, local_realm


class StoppedError(Exception):
    """In place of the end of a process that was fenced."""


@pytest.fixture
def plants() -> ModuleType:
    """`sitecustomize.py` as a module, which plants nothing as long as its variable is not set."""
    spec = importlib.util.spec_from_file_location("plants", planting.FOLDER / "sitecustomize.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def planted(request: pytest.FixtureRequest, plants: ModuleType, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the bug that is planted, as in every process of a realm under test: before anything runs. "" is none."""
    name: str = getattr(request, "param", "")
    if name:
        plant(name, plants, monkeypatch)
    return name


@pytest.fixture
async def realm(
    planted: str, valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> AsyncIterator[LocalRealm]:
    async with local_realm(valkey_url, nats_url, nats_token, namespace, world={"checkpoint_s": 0.3}) as running:
        yield running


def plant(name: str, plants: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, and only for this test."""
    for module_name, change in plants.PLANTS[name].items():
        module = importlib.import_module(module_name)
        for owner in owners(module):
            for attribute, value in list(vars(owner).items()):
                if callable(value):
                    monkeypatch.setattr(owner, attribute, value)  # so that it is put back
        change(module)


def owners(module: ModuleType) -> list[type]:
    """The module's own classes, and those that Ray has made of them."""
    values = list(vars(module).values())
    made = [value.__ray_metadata__.modified_class for value in values if hasattr(value, "__ray_metadata__")]
    return [owner for owner in (*values, *made) if isinstance(owner, type) and owner.__module__ == module.__name__]


async def kill_the_zone(stage: Backstage) -> None:
    await stage.restart(ZONE)


async def kill_the_sessions(stage: Backstage) -> None:
    await stage.restart(SESSIONS)


async def two_zones(stage: Backstage) -> None:
    """The old one is not told."""
    await stage.start(ZONE)


@pytest.fixture
def fenced_ones_end(monkeypatch: pytest.MonkeyPatch, realm: LocalRealm) -> None:
    """A fenced process ends; here its loops do."""

    def stop(what: str) -> None:
        for runner in realm._runners:
            if runner not in realm.actors.values():
                for loop in runner._loops:
                    loop.cancel()
        raise asyncio.CancelledError(what)

    for module in (cluster.adapters.runtime, actors.zone.zone_actor, actors.session.sessions_actor):
        monkeypatch.setattr(module, "stop_fenced", stop)


DRILLS: dict[str, Act] = {
    "ack_before_commit": kill_the_zone,
    "skip_epoch_check": two_zones,
    "forget_outbox": kill_the_sessions,
}


def test_there_is_a_drill_for_each(plants: ModuleType) -> None:
    assert DRILLS.keys() == planting.PLANTS.keys() == plants.PLANTS.keys()
    assert planting.VARIABLE == plants.VARIABLE


@pytest.mark.parametrize("planted", DRILLS, indirect=True)
@pytest.mark.usefixtures("fenced_ones_end")
async def test_it_is_caught(planted: str, realm: LocalRealm, tmp_path: Path) -> None:
    verdict = await drill(realm, tmp_path, DRILLS[planted])
    found = {kind for kind, count in counts(verdict.violations).items() if count}
    assert found & planting.PLANTS[planted][1], verdict.violations


@pytest.mark.parametrize("name", DRILLS)
@pytest.mark.usefixtures("fenced_ones_end")
async def test_without_it_nothing_is_found(name: str, realm: LocalRealm, tmp_path: Path) -> None:
    verdict = await drill(realm, tmp_path, DRILLS[name])
    assert verdict.violations == ()
    done: dict[str, Any] = verdict.operations
    assert all(done[what]["acknowledged"] for what in ("state", "chat", "attribute", "join", "enter")), done
