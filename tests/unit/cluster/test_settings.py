from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster.errors import SettingsError
from cluster.settings import load


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the developer's variables nor a realm.toml in the working directory."""
    for name in os.environ:
        if name.startswith("RAYREALM_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def problems(**overrides: object) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load(**overrides)
    return dict(caught.value.problems)


class TestPrecedence:
    def test_defaults(self) -> None:
        settings = load()
        assert (settings.port, settings.gateways, settings.world.spawn_zone) == (8000, 2, "zon_meadow")
        assert len(settings.world.zones) == 4

    def test_file_beats_default(self, tmp_path: Path) -> None:
        (tmp_path / "realm.toml").write_text("port = 8100\n[gateway]\ncapacity = 10\n")
        settings = load()
        assert (settings.port, settings.gateway.capacity, settings.gateway.max_batch) == (8100, 10, 50)

    def test_variable_beats_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "realm.toml").write_text("[gateway]\ncapacity = 10\nmax_batch = 5\n")
        monkeypatch.setenv("RAYREALM_GATEWAY__CAPACITY", "20")
        settings = load()
        assert (settings.gateway.capacity, settings.gateway.max_batch) == (20, 5)

    def test_argument_beats_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_PORT", "8200")
        monkeypatch.setenv("RAYREALM_REDIS__TIMEOUT_S", "3.5")
        settings = load(port=8300, redis={"url": "redis://h:1/0"})
        assert (settings.port, settings.redis.timeout_s) == (8300, 3.5)
        assert settings.redis.url.get_secret_value() == "redis://h:1/0"

    def test_named_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "realm.toml").write_text("port = 8100\n")
        (tmp_path / "other.toml").write_text("port = 8101\n")
        monkeypatch.setenv("RAYREALM_CONFIG", str(tmp_path / "other.toml"))
        assert load().port == 8101

    def test_command_variables_are_no_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_URL", "http://127.0.0.1:8000")
        assert load() == load()

    def test_zones_from_a_file(self, tmp_path: Path) -> None:
        zone = '[[world.zones]]\nid = "zon_one"\nname = "One"\n[world.zones.bounds]\n'
        (tmp_path / "realm.toml").write_text(
            '[world]\nspawn_zone = "zon_one"\n' + zone + "min_x = 0\nmin_z = 0\nmax_x = 10\nmax_z = 20\n"
        )
        (only,) = load().world.zones
        assert (only.id, only.bounds.max_z) == ("zon_one", 20.0)


class TestMisspelt:
    def test_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_PRT", "8000")
        assert problems() == {"RAYREALM_PRT": "no such setting"}

    def test_nested_variable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_GATEWAY__CAPCITY", "8000")
        assert problems() == {"RAYREALM_GATEWAY__CAPCITY": "no such setting"}

    def test_in_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "realm.toml").write_text("prt = 1\n[gateway]\ncapcity = 1\n")
        assert problems() == {"prt": "no such setting", "gateway.capcity": "no such setting"}

    def test_all_are_told_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_PRT", "8000")
        monkeypatch.setenv("RAYREALM_PORT", "none")
        assert set(problems(gateways=0)) == {"RAYREALM_PRT", "RAYREALM_PORT", "gateways"}


class TestReasons:
    def test_an_argument_is_named_as_such(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_PORT", "8000")
        assert "less than or equal to 65535" in problems(port=65_536)["port"]

    @pytest.mark.parametrize(
        ("toml", "name", "reason"),
        [
            ("port = 0", "port", "greater than or equal to 1"),
            ('realm = "Not A Name"', "realm", "pattern"),
            ('host = ""', "host", "at least 1 character"),
            ("[world]\ntick_hz = 0", "world.tick_hz", "greater than or equal to 1"),
            ("[world]\nzones = []", "world", "at least one zone is needed"),
            ('[world]\nspawn_zone = "zon_nowhere"', "world", "spawn_zone 'zon_nowhere' is not one of the zones"),
            ("[gateway]\nmax_frame_bytes = 10000000", "gateway.max_frame_bytes", "less than or equal"),
            ("[session]\ngrace_s = -1", "session.grace_s", "greater than 0"),
            ('[redis]\nurl = "http://h:1"', "redis.url", "must be like redis://HOST:PORT"),
            ('[redis]\nurl = "redis://h:x"', "redis.url", "must be like redis://HOST:PORT"),
            ('[nats]\nurl = "nats://a:1,nats://b"', "nats.url", "must be like nats://HOST:PORT"),
        ],
    )
    def test_values(self, tmp_path: Path, toml: str, name: str, reason: str) -> None:
        (tmp_path / "realm.toml").write_text(toml)
        assert reason in problems()[name]

    @pytest.mark.parametrize(
        ("bounds", "reason"),
        [
            ("min_x = 5\nmin_z = 0\nmax_x = 5\nmax_z = 1", "min_x < max_x"),
            ("min_x = nan\nmin_z = 0\nmax_x = 5\nmax_z = 1", "finite"),
            ("min_x = 0", "Field required"),
        ],
    )
    def test_zone_bounds(self, tmp_path: Path, bounds: str, reason: str) -> None:
        (tmp_path / "realm.toml").write_text(
            f'[[world.zones]]\nid = "zon_a"\nname = "A"\n[world.zones.bounds]\n{bounds}\n'
        )
        assert any(name.startswith("world.zones.0.bounds") and reason in why for name, why in problems().items())

    def test_grounds_that_overlap(self, tmp_path: Path) -> None:
        file = tmp_path / "realm.toml"
        zone = (
            '[[world.zones]]\nid = "zon_{0}"\nname = "A"\nbounds = {{min_x = {1}, min_z = 0, max_x = {2}, max_z = 9}}\n'
        )
        spawn = '[world]\nspawn_zone = "zon_a"\n'
        file.write_text(spawn + zone.format("a", 0, 100) + zone.format("b", 99.5, 200))
        assert problems() == {"world": "the grounds of zon_a and zon_b overlap"}
        file.write_text(spawn + zone.format("a", 0, 100) + zone.format("b", 100, 200) + zone.format("c", 900, 999))
        assert [zone.id for zone in load().world.zones] == ["zon_a", "zon_b", "zon_c"]

    def test_two_zones_of_one_name(self, tmp_path: Path) -> None:
        zone = '[[world.zones]]\nid = "zon_a"\nname = "A"\nbounds = {min_x = 0, min_z = 0, max_x = 1, max_z = 1}\n'
        (tmp_path / "realm.toml").write_text(f'[world]\nspawn_zone = "zon_a"\n{zone}{zone}')
        assert problems() == {"world": "two zones have the same id"}

    def test_no_toml(self, tmp_path: Path) -> None:
        (tmp_path / "realm.toml").write_text("port = [")
        assert problems()["realm.toml"].startswith("not TOML: ")

    def test_no_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_CONFIG", str(tmp_path / "missing.toml"))
        assert problems() == {"RAYREALM_CONFIG": f"no such file: {tmp_path / 'missing.toml'}"}

    def test_a_section_that_is_no_json(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_GATEWAY", "many")
        assert "gateway" in problems()["RAYREALM_*"]

    def test_a_password_is_not_quoted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("RAYREALM_REDIS__URL", "http://:hunter2@h:1")
        assert "hunter2" not in str(problems())
        monkeypatch.setenv("RAYREALM_REDIS__URL", "redis://:hunter2@h:1/0")
        assert "hunter2" not in repr(load())


def test_frozen() -> None:
    settings = load()
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 1
    with pytest.raises(ValueError, match="frozen"):
        settings.gateway.capacity = 1


def test_namespace() -> None:
    assert load(realm="north").namespace == "rayrealm-north"


def test_the_example_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    default = load()
    monkeypatch.setenv("RAYREALM_CONFIG", str(Path(__file__).parents[3] / "realm.toml.example"))
    assert load() == default


def test_tokens_that_would_open_no_socket() -> None:
    assert any("grace_s" in reason for reason in problems(accounts={"access_ttl_s": 30.0}).values())
    load(accounts={"access_ttl_s": 30.1})
    load(accounts={"access_ttl_s": 3.0}, identity={"grace_s": 1.0})
