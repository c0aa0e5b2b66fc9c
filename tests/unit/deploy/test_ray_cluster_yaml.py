"""deploy/ray-cluster*.yaml fit Ray's own schema, and start Ray with the flags that the realm needs."""

from __future__ import annotations

import importlib.util
import json
import re
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.haproxy import ORDERS
from cluster.launch import Parts
from cluster.preflight import FILES_OF_HAPROXY, FILES_PER_CONNECTION
from cluster.rayenv import node_flags, serve_flags
from cluster.settings import Settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
HOMES = {
    "ray-cluster.yaml": "/home/rayrealm",
    "ray-cluster-aws.yaml": "/home/ubuntu",
    "ray-cluster-gcp.yaml": "/home/ubuntu",
}
UNIX_PATH_MAX = 107
NODE_ID = "a" * 56  # HAProxy's manager puts its files into a folder named after the node
PENDING = ".4194304.tmp"  # what HAProxy adds while it binds
RAY = Path(
    (find_spec("ray") or pytest.fail("ray is not installed")).origin or ""
).parent  # found, not imported: that opens sockets


@pytest.fixture(scope="module")
def made() -> ModuleType:
    """scripts/deploy_flags.py, which writes the files."""
    spec = importlib.util.spec_from_file_location("deploy_flags", ROOT / "scripts" / "deploy_flags.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(params=HOMES)
def named(request: pytest.FixtureRequest) -> tuple[str, Any]:
    return request.param, yaml.safe_load((DEPLOY / request.param).read_text())


def test_it_fits_rays_own_schema(named: tuple[str, Any]) -> None:
    schema = json.loads((RAY / "autoscaler" / "ray-schema.json").read_text())
    jsonschema.validate(named[1], schema)


def test_every_node_has_the_flags_the_orders_and_the_settings(named: tuple[str, Any]) -> None:
    name, config = named
    home = HOMES[name]
    assert config["file_mounts"] == {
        f"{home}/rayrealm": ".",
        f"{home}/edge.json": "edge.json",
        f"{home}/realm.env": "realm.env",
    }
    assert {"edge.json", "realm.env"} <= set(config["rsync_exclude"])  # once, with its mode, and not in the project
    for role in ("head", "worker"):
        stop, start = config[f"{role}_start_ray_commands"]
        assert stop == f"{home}/rayrealm/.venv/bin/ray stop || true"
        assert start.startswith(f"cd {home}/rayrealm && . deploy/nodes.sh && .venv/bin/ray start ")


def test_no_node_that_has_zones_is_taken_for_idle(named: tuple[str, Any]) -> None:
    """Actors of the realm ask for no CPUs, so to Ray's autoscaler every node is idle."""
    workers = {
        kind: node
        for kind, node in named[1]["available_node_types"].items()
        if kind != named[1]["head_node_type"] or named[0] == "ray-cluster.yaml"
    }
    assert workers
    assert all(node["min_workers"] == node["max_workers"] for node in workers.values())
    assert sum(node["max_workers"] for node in workers.values()) <= named[1]["max_workers"]


@pytest.mark.parametrize("name", ["ray-cluster-aws.yaml", "ray-cluster-gcp.yaml"])
def test_clouds_have_machines_for_gateways_and_for_zones(name: str) -> None:
    kinds = yaml.safe_load((DEPLOY / name).read_text())["available_node_types"]
    assert {kind: node["labels"] for kind, node in kinds.items()} == {
        kind: {"rayrealm/role": kind} for kind in ("head", "gateways", "zones")
    }


def test_the_files_are_what_the_flags_say(made: ModuleType) -> None:
    """`scripts/generate-deploy` makes them so."""
    for name, make in made.MADE.items():
        assert (DEPLOY / name).read_text() == make(), name


def test_nothing_that_a_node_needs_is_missing(made: ModuleType) -> None:
    defaults = Settings.model_construct(
        **{n: f.get_default(call_default_factory=True) for n, f in Settings.model_fields.items()}
    )
    wanted = serve_flags(defaults, made.OPEN_FILES, Parts().replica_callback)
    wanted |= node_flags(Path("/scripts"), {ORDERS: "/orders"})
    del wanted["RAY_SERVE_HAPROXY_MAXCONN"]  # the operator's choice, within the limit that the next test checks
    flags = made.flags("/scripts", "/orders", "/edge")
    assert {name: flags.get(name) for name in wanted} == wanted


def test_haproxy_fits_the_limit_of_open_files(made: ModuleType) -> None:
    most = int(made.flags("/s", "/o", "/e")["RAY_SERVE_HAPROXY_MAXCONN"])
    assert f"ulimit -n {made.OPEN_FILES}\n" in (DEPLOY / "nodes.sh").read_text()
    assert FILES_PER_CONNECTION * most + FILES_OF_HAPROXY <= made.OPEN_FILES


def test_every_path_that_serve_has_in_tmp_is_set(made: ModuleType) -> None:
    text = (RAY / "serve" / "_private" / "constants.py").read_text()
    found = set(re.findall(r'"RAY_SERVE_HAPROXY_(\w+)",\s*"/tmp/', text))
    assert found == set(made.FILES)


@pytest.mark.parametrize("folder", ["/home/rayrealm/edge", "/run/rayrealm/edge", "/var/lib/rayrealm/edge"])
def test_unix_sockets_fit(made: ModuleType, folder: str) -> None:
    for name in ("SOCKET_PATH", "METRICS_SOCKET_PATH"):
        path = Path(folder) / NODE_ID / Path(made.FILES[name]).name
        assert len(str(path) + PENDING) <= UNIX_PATH_MAX
