"""Writes the flags of `ray start` for deploy/ (see scripts/generate-deploy), so that they cannot drift from cluster/rayenv.py."""

from __future__ import annotations

import sys
from pathlib import Path

from cluster.haproxy import ORDERS
from cluster.parts import Parts
from cluster.rayenv import node_flags, serve_flags
from cluster.settings import Settings

DEPLOY = Path(__file__).parents[1] / "deploy"
OPEN_FILES = 65_536
MOST_CONNECTIONS = 26_000  # 2.5 files each, and some of HAProxy's own, must fit OPEN_FILES
FILES = {
    "CONFIG_FILE_LOC": "haproxy.cfg",
    "SOCKET_PATH": "admin.sock",
    "METRICS_SOCKET_PATH": "metrics.sock",
    "SERVER_STATE_BASE": "",
    "SERVER_STATE_FILE": "server-state",
}
NOTE = "Made by scripts/generate-deploy from cluster/rayenv.py, which says what happens without each of them."


def flags(scripts: str, orders: str, edge: str) -> dict[str, str]:
    """Of a node: the folder of `rayrealm-haproxy`, the file of the edge's orders, and a folder for HAProxy's own files.

    That folder belongs to Ray's user alone: Serve's default is in /tmp, where whoever is first may make it.
    """
    made = serve_flags(Settings.model_construct(**_defaults()), OPEN_FILES, Parts().replica_callback)
    made["RAY_SERVE_HAPROXY_MAXCONN"] = str(MOST_CONNECTIONS)
    made |= node_flags(Path(scripts), {ORDERS: orders})
    made |= {f"RAY_SERVE_HAPROXY_{name}": f"{edge}/{file}".rstrip("/") for name, file in FILES.items()}
    return made


def _defaults() -> dict[str, object]:
    """Not what this machine's environment says."""
    return {name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()}


def shell() -> str:
    """deploy/ray.env, which the cluster launcher's files and the systemd units source."""
    lines = "".join(f"{name}={value}\n" for name, value in flags("$R/.venv/bin", "$H/edge.json", "$H/edge").items())
    return f"# {NOTE}\n# Sourced by a shell with R, the folder of the project, and H, a folder of Ray's user alone.\n{lines}"


def config_map() -> str:
    """deploy/kuberay/flags.yaml, for the containers of deploy/Containerfile."""
    made = flags("/opt/rayrealm/.venv/bin", "/run/rayrealm/data/edge.json", "/run/rayrealm/edge")
    made["RAY_AUTH_MODE"] = "disabled"  # the network policies keep others out
    data = "".join(f'  {name}: "{value}"\n' for name, value in made.items())
    return f"# {NOTE}\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: rayrealm-ray\n  namespace: rayrealm\ndata:\n{data}"


MADE = {"ray.env": shell, "kuberay/flags.yaml": config_map}


def main(argv: list[str]) -> int:
    for name, make in MADE.items():
        path, text = DEPLOY / name, make()
        if argv == ["--check"]:
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                print(f"deploy/{name} is not what cluster/rayenv.py says: run scripts/generate-deploy", file=sys.stderr)
                return 1
        else:
            path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
