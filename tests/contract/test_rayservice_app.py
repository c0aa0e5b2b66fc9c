"""What KubeRay hands to Serve is something that Serve takes, and builds the realm's applications without a launcher."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve import Application
from ray.serve.schema import ServeDeploySchema

from cluster.datafolder import DataFolder
from cluster.edge.local import SECRET
from cluster.errors import StartRefused
from cluster.parts import load
from cluster.security.keys import KeyRing
from serve_apps import rayservice_app

RAYSERVICE = Path(__file__).parents[2] / "deploy" / "kuberay" / "rayservice.yaml"
SERVED: Any = yaml.safe_load(yaml.safe_load(RAYSERVICE.read_text())["spec"]["serveConfigV2"])
BUILT = [each["import_path"] for each in SERVED["applications"]]


@pytest.fixture(autouse=True)
def servers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("RAYREALM_DATA", str(tmp_path))
    monkeypatch.setenv("RAYREALM_REDIS__URL", "redis://:secret@valkey:6379/0")
    monkeypatch.setenv("RAYREALM_NATS__URL", "nats://nats:4222")
    rayservice_app.realm.cache_clear()
    yield
    rayservice_app.realm.cache_clear()


@pytest.fixture
def data(tmp_path: Path) -> None:
    """As the Secret rayrealm-data brings it."""
    folder = DataFolder(tmp_path, -1)
    KeyRing.load_or_create(folder.keys, time.time())
    for name in (rayservice_app.RECOVERY, SECRET):
        folder.secret(name)


def test_serve_takes_it() -> None:
    config = ServeDeploySchema.model_validate(SERVED)
    assert {each.name for each in config.applications} == {"world", "web", "console", "gateway"}


@pytest.mark.parametrize("path", BUILT)
@pytest.mark.usefixtures("data")
def test_each_is_built(path: str) -> None:
    build: Any = load(path)
    assert isinstance(build({}), Application)


@pytest.mark.usefixtures("data")
def test_all_nodes_have_the_same_secrets() -> None:
    first = rayservice_app.realm()
    rayservice_app.realm.cache_clear()
    again = rayservice_app.realm()
    assert (first.recovery_secret, first.edge_secret) == (again.recovery_secret, again.edge_secret)


def test_nothing_is_made_where_it_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each node would have its own."""
    monkeypatch.delenv("RAYREALM_NATS__URL")
    with pytest.raises(StartRefused, match=r"keys\.json, recovery-secret, edge-secret, RAYREALM_NATS__URL"):
        rayservice_app.realm()
    assert list(tmp_path.iterdir()) == []
