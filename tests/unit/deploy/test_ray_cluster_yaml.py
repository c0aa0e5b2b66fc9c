"""deploy/ray-cluster.yaml is valid for Ray's launcher and starts Ray with the flags that the realm needs."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.launch import Parts
from cluster.rayenv import node_flags, serve_flags
from cluster.settings import Settings

DEPLOY = Path(__file__).parents[3] / "deploy"
OPEN_FILES = 65_536
RAY = Path(
    (find_spec("ray") or pytest.fail("ray is not installed")).origin or ""
).parent  # found, not imported: that opens sockets


@pytest.fixture(scope="module")
def config() -> Any:
    return yaml.safe_load((DEPLOY / "ray-cluster.yaml").read_text())


def test_it_fits_rays_own_schema(config: Any) -> None:
    schema = json.loads((RAY / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(config, schema)


@pytest.mark.parametrize("role", ["head", "worker"])
def test_each_node_starts_with_every_flag(config: Any, role: str) -> None:
    start = config[f"{role}_start_ray_commands"][-1]
    given = dict(word.split("=", 1) for word in start.split() if word.startswith("RAY_"))
    scripts = Path("/home/rayrealm/rayrealm/.venv/bin")
    wanted = serve_flags(Settings(), OPEN_FILES, Parts().replica_callback) | node_flags(scripts, {})
    del wanted["RAY_SERVE_HAPROXY_MAXCONN"]  # the operator's choice, within the limit that the next test checks
    assert {name: given.get(name) for name in wanted} == wanted


@pytest.mark.parametrize("role", ["head", "worker"])
def test_haproxy_fits_the_limit_of_open_files(config: Any, role: str) -> None:
    start = config[f"{role}_start_ray_commands"][-1]
    most = int(start.split("RAY_SERVE_HAPROXY_MAXCONN=")[1].split()[0])
    assert f"ulimit -n {OPEN_FILES}" in start
    assert 2.5 * most + 36 <= OPEN_FILES
