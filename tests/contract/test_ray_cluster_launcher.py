"""deploy/ray-cluster*.yaml pass what `ray up` checks before it asks a cloud for anything, and deploy/nodes.sh sets the flags."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@pytest.mark.parametrize("name", ["ray-cluster.yaml", "ray-cluster-aws.yaml", "ray-cluster-gcp.yaml"])
def test_ray_accepts_it(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(yaml.safe_load((DEPLOY / name).read_text()))
    validate_config(config)
    workers = {kind: node for kind, node in config["available_node_types"].items() if node.get("min_workers")}
    assert sum(node["min_workers"] for node in workers.values()) <= config["max_workers"]


def test_sourced_as_on_a_node(tmp_path: Path) -> None:
    """Every flag, then what realm.env says; the limit of open files; a folder that is this user's alone."""
    spec = importlib.util.spec_from_file_location("deploy_flags", ROOT / "scripts" / "deploy_flags.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir()
    (project / "deploy").mkdir(parents=True)
    for name in ("nodes.sh", "ray.env"):
        text = (DEPLOY / name).read_text()
        # This machine's own limit may be lower than a server's.
        (project / "deploy" / name).write_text(text.replace(f"ulimit -n {made.OPEN_FILES}", "ulimit -n 64"))
    (home / "realm.env").write_text((DEPLOY / "rayrealm.env.example").read_text().replace("#RAYREALM", "RAYREALM"))
    done = subprocess.run(
        ["sh", "-ec", ". deploy/nodes.sh && ulimit -n && env"],
        cwd=project,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=20.0,
        check=True,
    )
    limit, *lines = done.stdout.splitlines()
    found = dict(line.split("=", 1) for line in lines)
    wanted = made.flags(f"{project}/.venv/bin", f"{home}/edge.json", f"{home}/edge")
    assert {name: found.get(name) for name in wanted} == wanted
    assert json.loads(found["RAYREALM_EDGE__CONSOLE_FROM"]) == ["10.0.0.0/24"]
    assert found["RAYREALM_REDIS__URL"].startswith("redis://:PASSWORD@")
    assert (limit, found["RAYREALM_GATEWAYS"]) == ("64", "4")
    assert (home / "edge").stat().st_mode & 0o777 == 0o700
