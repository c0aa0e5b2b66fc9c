"""deploy/kuberay: names fit each other, every pod drains before it ends, nothing is open that need not be."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.parts import Parts
from cluster.settings import Settings

KUBERAY = Path(__file__).parents[3] / "deploy" / "kuberay"
RESOURCES = yaml.safe_load((KUBERAY / "kustomization.yaml").read_text())["resources"]
LEAVING_S = 8.0  # `rayrealm leave` listens for 3 s first, and gives late gateways 5 s


def documents() -> list[Any]:
    return [each for name in RESOURCES for each in yaml.safe_load_all((KUBERAY / name).read_text()) if each]


def one(kind: str, name: str) -> Any:
    (found,) = [each for each in documents() if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pods() -> dict[str, Any]:
    """Of Ray: by group."""
    config = one("RayService", "rayrealm")["spec"]["rayClusterConfig"]
    groups = {group["groupName"]: group["template"] for group in config["workerGroupSpecs"]}
    return {"head": config["headGroupSpec"]["template"], **groups}


def templates() -> list[Any]:
    sets = [each["spec"]["template"] for each in documents() if each["kind"] == "StatefulSet"]
    return [*sets, *pods().values()]


def containers(pod: Any) -> list[Any]:
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def test_everything_is_in_the_namespace() -> None:
    assert {each["metadata"].get("namespace", "rayrealm") for each in documents()} == {"rayrealm"}
    assert len(RESOURCES) == len(set(RESOURCES))
    files = {path.name for path in KUBERAY.glob("*.yaml")} - {"kustomization.yaml", "secrets.example.yaml"}
    assert set(RESOURCES) == files


def test_serve_starts_what_the_launcher_would() -> None:
    served = yaml.safe_load(one("RayService", "rayrealm")["spec"]["serveConfigV2"])
    assert (served["proxy_location"], served["http_options"]) == ("EveryNode", {"host": "0.0.0.0", "port": 8000})  # noqa: S104
    prefixes = {each["name"]: each["route_prefix"] for each in served["applications"]}
    wanted = {name: prefix for name, (_, prefix) in Parts.of(Settings()).applications.items()}
    assert prefixes == {"world": None, **wanted}
    assert {each["import_path"] for each in served["applications"]} == {
        f"serve_apps.rayservice_app:{name}" for name in prefixes
    }
    assert all(each["external_scaler_enabled"] for each in served["applications"] if each["name"] != "world")


@pytest.mark.parametrize("group", ["head", "gateways", "zones"])
def test_every_pod_of_ray_drains_within_its_grace(group: str) -> None:
    spec = pods()[group]["spec"]
    (main,) = spec["containers"]
    command = main["lifecycle"]["preStop"]["exec"]["command"]
    assert command[1] == "leave"
    zones_s = float(command[command.index("--zones-s") + 1])
    drain_s = float(one("ConfigMap", "rayrealm-settings")["data"]["RAYREALM_GATEWAY__DRAIN_S"])
    assert drain_s == Settings.model_fields["gateway"].default.drain_s
    assert max(zones_s, drain_s + LEAVING_S) + 10 <= spec["terminationGracePeriodSeconds"]


def test_every_container_has_few_rights_and_bounds() -> None:
    for pod in templates():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        assert pod["spec"]["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in containers(pod):
            rights = container["securityContext"]
            assert rights["allowPrivilegeEscalation"] is False
            assert rights["readOnlyRootFilesystem"] is True
            assert rights["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]["requests"]) == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


def test_what_selects_finds_something() -> None:
    labels = [pod["metadata"]["labels"] for pod in templates()]
    for each in documents():
        if each["kind"] in ("Service", "PodDisruptionBudget"):
            wanted = each["spec"]["selector"]
            wanted = wanted.get("matchLabels", wanted)
            mine = {name: value for name, value in wanted.items() if not name.startswith("ray.io/")}  # KubeRay's own
            assert any(mine.items() <= has.items() for has in labels), each["metadata"]["name"]


def test_what_is_named_is_there() -> None:
    maps = {each["metadata"]["name"] for each in documents() if each["kind"] == "ConfigMap"}
    secrets = {"rayrealm-servers": set(one_secret()["stringData"]), "rayrealm-data": {"keys.json"}}
    for pod in templates():
        for container in containers(pod):
            for source in container.get("envFrom", []):
                assert source.get("configMapRef", {"name": "rayrealm-ray"})["name"] in maps
                assert source.get("secretRef", {"name": "rayrealm-data"})["name"] in secrets
            for variable in container.get("env", []):
                if said := variable.get("valueFrom", {}).get("secretKeyRef"):
                    assert said["key"] in secrets[said["name"]]


def one_secret() -> Any:
    return yaml.safe_load((KUBERAY / "secrets.example.yaml").read_text())


def test_settings_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {**one("ConfigMap", "rayrealm-settings")["data"], **one_secret()["stringData"]}
    commented = re.findall(r"^  # (RAYREALM_\w+): '(.*)'$", (KUBERAY / "settings.yaml").read_text(), re.MULTILINE)
    assert commented
    for name, value in {**values, **dict(commented)}.items():
        if name.startswith("RAYREALM_"):
            monkeypatch.setenv(name, value)
    loaded = importlib.import_module("cluster.settings").load()
    assert loaded.redis.url.get_secret_value().endswith("@rayrealm-valkey:6379/0")
    assert loaded.nats.url.get_secret_value() == "nats://rayrealm-nats:4222"


def test_nobody_else_reaches_the_servers() -> None:
    policies = [each for each in documents() if each["kind"] == "NetworkPolicy"]
    closed = [each for each in policies if each["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}]
    assert len(closed) == 1
    open_to_all = [
        port["port"]
        for each in policies
        for rule in each["spec"].get("ingress", [])
        if "from" not in rule
        for port in rule["ports"]
    ]
    assert open_to_all == [8000]


def test_no_secret_is_in_arguments() -> None:
    for pod in templates():
        for container in containers(pod):
            words = " ".join([*container.get("command", []), *container.get("args", [])])
            assert "--requirepass" not in words
            assert not re.search(r"\$\((PASSWORD|TOKEN)\)", words)
