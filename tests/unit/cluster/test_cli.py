from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest

from cluster import running
from cluster.bench import cli as bench_cli
from cluster.cli import status, up
from cluster.cli.main import main
from cluster.launch import Launch
from cluster.running import RunningRealm
from cluster.settings import Settings

URL = "http://127.0.0.1:8000"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("RAYREALM_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def realm(tmp_path: Path) -> RunningRealm:
    """One that this process launched, as far as the commands can tell."""
    data = tmp_path / "data"
    data.mkdir()
    realm = RunningRealm.of_this_process(URL, data, "rayrealm-realm")
    zones = [zone.model_dump() for zone in Settings.model_fields["world"].default.zones]
    running.register(realm, {"redis_url": "redis://h:1/0", "zones": zones}, running.folder())
    return realm


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["rayrealm", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    code = caught.value.code
    assert isinstance(code, int)
    return code


class TestExitCodes:
    def test_help(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(monkeypatch, "--help") == 0
        shown = capsys.readouterr().out
        assert all(
            name in shown for name in ("up", "down", "status", "ban", "bots", "bench", "chaos", "config", "zones")
        )

    @pytest.mark.parametrize("arguments", [["nothing"], ["up", "--ports", "1"], ["bench", "crowd", "--clients", "0"]])
    def test_wrong_usage(self, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
        assert run(monkeypatch, *arguments) == 2

    @pytest.mark.parametrize("command", [["down"], ["status"], ["zones", "list"], ["bots"], ["ban", "a"]])
    def test_nothing_runs(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: list[str]
    ) -> None:
        assert run(monkeypatch, *command) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err == "rayrealm: no realm of yours runs on this machine: start one with `rayrealm up`\n"

    def test_wrong_settings(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("RAYREALM_GATEWAY__CAPACITY", "many")
        monkeypatch.setenv("RAYREALM_PRT", "1")
        for command in (["config", "check"], ["up"]):
            assert run(monkeypatch, *command) == 2
            out, err = capsys.readouterr()
            assert out == ""
            lines = err.splitlines()
            assert lines[0] == "RAYREALM_PRT: no such setting"
            assert lines[1].startswith("RAYREALM_GATEWAY__CAPACITY: Input should be a valid integer")
            assert len(lines) == 2


class TestConfig:
    def test_check(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("RAYREALM_REDIS__URL", "redis://:hunter2@h:1/0")
        monkeypatch.setenv("RAYREALM_PORT", "8123")
        assert run(monkeypatch, "config", "check") == 0
        lines = capsys.readouterr().out.splitlines()
        assert "port = 8123" in lines
        assert "gateway.capacity = 4000" in lines
        assert 'redis.url = "********"' in lines
        assert 'nats.url = ""' in lines
        assert "hunter2" not in "".join(lines)

    def test_ray_env(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(monkeypatch, "config", "ray-env") == 0
        assert "export RAY_SERVE_ENABLE_HA_PROXY=1" in capsys.readouterr().out.splitlines()


class TestUp:
    def started(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Settings:
        """The settings that the realm would start with."""
        seen: list[Settings] = []

        def instead(settings: Settings) -> int:
            seen.append(settings)
            raise SystemExit(0)

        monkeypatch.setattr(up, "run", instead)
        assert run(monkeypatch, "up", *arguments) == 0
        return seen[0]

    def test_options(self, monkeypatch: pytest.MonkeyPatch) -> None:
        arguments = (
            "--gateways 3 --bots 7 --port 8001 --data d --redis redis://h:1/0 --nats nats://h:2 --ray-address h:3"
        )
        settings = self.started(monkeypatch, *arguments.split())
        assert (settings.gateways, settings.bots, settings.port, settings.data) == (3, 7, 8001, Path("d"))
        assert settings.redis.url.get_secret_value() == "redis://h:1/0"
        assert settings.nats.url.get_secret_value() == "nats://h:2"
        assert settings.ray.address == "h:3"

    @pytest.mark.parametrize("option", ["--redis=redis://:hunter2@h:1/0", "--nats=nats://a:1,nats://u:hunter2@b:2"])
    def test_a_password_is_no_argument(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
    ) -> None:
        assert run(monkeypatch, "up", option) == 2
        said = capsys.readouterr().err
        name = option.partition("=")[0]
        assert f"{name}: " in said
        assert f"RAYREALM_{name.removeprefix('--').upper()}__URL" in said
        assert "hunter2" not in said

    def test_what_is_not_given_comes_from_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_GATEWAYS", "4")
        monkeypatch.setenv("RAYREALM_NATS__TOKEN", "t")
        settings = self.started(monkeypatch, "--nats", "nats://h:2")
        assert (settings.gateways, settings.bots) == (4, 0)
        assert settings.nats.token.get_secret_value() == "t"

    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1", "http://127.0.0.1:8000"),
            ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 - text
            ("::", "http://127.0.0.1:8000"),
            ("::1", "http://[::1]:8000"),
            ("play.example", "http://play.example:8000"),
        ],
    )
    def test_address(self, host: str, url: str) -> None:
        defaults = {name: field.default for name, field in Settings.model_fields.items()}
        assert Launch(Settings.model_construct(**{**defaults, "host": host}), print).url == url


class TestStatus:
    @pytest.fixture(autouse=True)
    def _registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        zone = {"kind": "zone", "name": "zone/zon_meadow", "pid": os.getpid(), "node": socket.gethostname()}
        gone = {"kind": "zone", "name": "zone/zon_ridge", "pid": 2**22 + 1, "node": socket.gethostname()}
        entries = {e["name"]: json.dumps({**e, "started_at": time.time()}) for e in (zone, gone)}

        async def registered(realm: RunningRealm) -> dict[str, object]:
            return dict(entries)

        monkeypatch.setattr(status, "_registered", registered)

    @pytest.mark.usefixtures("realm")
    def test_json(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(monkeypatch, "status", "--json") == 0
        document = json.loads(capsys.readouterr().out)
        assert (document["url"], document["pid"]) == (URL, os.getpid())
        alive = {process["name"]: process["alive"] for process in document["processes"] if process["kind"] == "zone"}
        assert alive == {"zone/zon_meadow": True, "zone/zon_ridge": False}

    @pytest.mark.usefixtures("realm")
    def test_text(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(monkeypatch, "status", "--url", URL) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(URL)
        assert [line.endswith("(ended)") for line in lines if line.startswith("zone ")] == [False, True]

    @pytest.mark.usefixtures("realm")
    def test_another_address(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        monkeypatch.setenv("RAYREALM_URL", "http://127.0.0.1:9")
        assert run(monkeypatch, "status") == 2
        assert "at http://127.0.0.1:9" in capsys.readouterr().err


class TestBots:
    """`cluster.bench.cli` does the work; here is what it is asked for."""

    def asked(self, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[object, ...]:
        asked: list[tuple[object, ...]] = []

        def instead(*what: object) -> int:
            asked.append(what)
            return 1

        monkeypatch.setattr(bench_cli, "bots", instead)
        assert run(monkeypatch, "bots", *arguments) == 1
        return asked[0]

    def test_here(self, monkeypatch: pytest.MonkeyPatch, realm: RunningRealm) -> None:
        kept = Path(realm.data) / "bots-password"
        assert self.asked(monkeypatch, "--count", "3") == (URL, 3, None, kept, 1)
        assert self.asked(monkeypatch, "--seconds", "2", "--url", URL + "/") == (URL, 30, 2.0, kept, 1)

    def test_elsewhere(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("RAYREALM_URL", "https://play.example/")
        assert self.asked(monkeypatch) == ("https://play.example", 30, None, tmp_path / "bots-password", 1)
