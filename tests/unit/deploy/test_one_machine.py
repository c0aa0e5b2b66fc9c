"""deploy/Containerfile, deploy/systemd and deploy/rayrealm.env.example: they name what there is, and lock what can be locked."""

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import pytest

from cluster.preflight import needed_files
from cluster.settings import Settings, load

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "RestrictNamespaces": "yes",
    "UMask": "0077",
    "CapabilityBoundingSet": "",
}


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Section -> key -> its values, in order."""
    sections: dict[str, dict[str, list[str]]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            sections.setdefault(section, {}).setdefault(key, []).append(value)
    return sections


def test_there_are_three() -> None:
    assert [path.name for path in UNITS] == ["rayrealm-node.service", "rayrealm-realm.service", "rayrealm.service"]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_gives_the_realm_what_it_needs_and_no_more(path: Path) -> None:
    service = unit(path)["Service"]
    assert {name: service[name][0] for name in HARDENED} == HARDENED
    assert service["User"] == ["rayrealm"]
    assert int(service["LimitNOFILE"][0]) >= needed_files(Settings())
    (start,) = service["ExecStart"]
    program = start.split()[0].removeprefix("/opt/rayrealm/")
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert program.removeprefix(".venv/bin/") in scripts or (ROOT / program).stat().st_mode & 0o100
    assert "Restart" in service
    assert float(service["TimeoutStopSec"][0]) >= 60


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_documentation_is_there(path: Path) -> None:
    (document,) = unit(path)["Unit"]["Documentation"]
    assert (ROOT / document.removeprefix("file:///opt/rayrealm/")).is_file()


def test_the_example_has_settings_that_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DEPLOY / "rayrealm.env.example").read_text()
    said = dict(re.findall(r"^#?(RAYREALM_\w+)=(.*)$", text, re.MULTILINE))
    assert "RAYREALM_EDGE__CONSOLE_FROM" in said
    for name, value in said.items():
        monkeypatch.setenv(name, value.strip("'"))
    loaded = load()
    assert loaded.nats.token.get_secret_value() == "TOKEN"
    assert [str(network) for network in loaded.edge.trusted_proxies] == ["10.0.1.0/24"]
    parser = configparser.ConfigParser(strict=True)  # no name twice
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string("[env]\n" + re.sub(r"^# .*$", "", text, flags=re.MULTILINE).replace("#RAY", "RAY"))


def test_the_container_is_pinned_and_rootless() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    assert "--require-hashes -r requirements.lock" in text
    last = text[text.rindex("\nFROM ") :]
    assert "\nUSER 10001:10001\n" in last
    assert "\nHEALTHCHECK " in last
    assert "/v1/healthz" in last
    assert "\nSTOPSIGNAL SIGINT\n" in last  # as Ctrl-C: players are told
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    assert {"realm.env", "edge.json", ".rayrealm", "realm.toml"} <= set(ignored)
