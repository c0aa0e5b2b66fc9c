"""Secrets from files and variables (cluster/setting_sources.py), and that no refusal quotes them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cluster.errors import SettingsError
from cluster.settings import load

ISSUER = {"issuer": "https://id.example", "audience": "realm", "algorithms": ["HS256"], "secret": "s" * 32}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in os.environ:
        if name.startswith("RAYREALM_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "secrets"
    made.mkdir()
    monkeypatch.setenv("RAYREALM_SECRETS", str(made))
    return made


def problems() -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load()
    return dict(caught.value.problems)


class TestFiles:
    def test_nested_ones_with_an_end_of_line(self, folder: Path) -> None:
        (folder / "redis__url").write_text("redis://:hunter2@h:1/0\n")
        (folder / "NATS__TOKEN").write_text("hunter3")
        (folder / "identity__issuers").write_text(json.dumps([ISSUER]))
        found = load()
        assert found.redis.url.get_secret_value() == "redis://:hunter2@h:1/0"
        assert found.nats.token.get_secret_value() == "hunter3"
        assert found.identity.issuers[0].secret.get_secret_value() == "s" * 32
        assert "hunter" not in repr(found)
        assert "ssss" not in repr(found)

    def test_a_variable_wins_and_the_configuration_loses(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Path("realm.toml").write_text('[nats]\ntoken = "of the file"\ntimeout_s = 3.0\n')
        (folder / "nats__token").write_text("of the folder")
        assert load().nats.token.get_secret_value() == "of the folder"
        monkeypatch.setenv("RAYREALM_NATS__TOKEN", "of the variable")
        found = load().nats
        assert (found.token.get_secret_value(), found.timeout_s) == ("of the variable", 3.0)

    def test_as_kubernetes_mounts_them(self, folder: Path) -> None:
        data = folder / "..2026_11_23"
        data.mkdir()
        (data / "nats__token").write_text("hunter2")
        (folder / "..data").symlink_to(data.name)
        (folder / "nats__token").symlink_to("..data/nats__token")
        assert load().nats.token.get_secret_value() == "hunter2"

    def test_misspelt_ones_are_named_and_not_quoted(self, folder: Path) -> None:
        (folder / "rediss__url").write_text("hunter2")
        (folder / "redis__ulr").write_text("hunter2")
        found = problems()
        assert found == {"RAYREALM_SECRETS/rediss__url": "no such setting", "redis.ulr": "no such setting"}

    def test_a_wrong_one(self, folder: Path) -> None:
        (folder / "redis__url").write_text("hunter2")
        assert problems() == {"redis.url": "must be like redis://HOST:PORT or rediss://HOST:PORT"}

    def test_no_folder(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("RAYREALM_SECRETS", str(tmp_path / "missing"))
        assert problems() == {"RAYREALM_SECRETS": f"no such folder: {tmp_path / 'missing'}"}

    def test_what_cannot_be_read(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (folder / "nats__token").write_text("hunter2")
        access = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "nats__token" and access(path, mode))
        assert problems() == {"RAYREALM_SECRETS/nats__token": "cannot be read"}

    def test_an_empty_folder(self, folder: Path) -> None:
        assert load().redis.url.get_secret_value() == ""


SECRET = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=12, max_size=20)


class TestNothingIsQuoted:
    """A refusal says which setting is wrong, never what was in it."""

    @pytest.mark.parametrize(
        "template",
        [
            "{0}",
            "http://:{0}@h:1",
            "redis://:{0}@h:no",
            "redis://:{0}@",
            "redis://u:{0}/{0}@h:1:2",
            "\n{0}",
            '{{"a": "{0}"}}',
        ],
    )
    @pytest.mark.parametrize("variable", ["REDIS__URL", "NATS__URL", "IDENTITY__ISSUERS", "REDIS", "NATS"])
    @settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(secret=SECRET)
    def test_variables(self, monkeypatch: pytest.MonkeyPatch, variable: str, template: str, secret: str) -> None:
        secret = f"qz{secret}"
        with monkeypatch.context() as patch:
            patch.setenv(f"RAYREALM_{variable}", template.format(secret))
            with pytest.raises(SettingsError) as caught:
                load()
        assert secret not in str(caught.value) + repr(caught.value)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize(
        "wrong", [{"secret": "hunter2-hunter2"}, {"algorithms": ["RS256"]}, {"jwks_url": "https://x"}]
    )
    def test_an_issuers_secret(self, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, object]) -> None:
        issuer = {**ISSUER, "secret": "hunter2-" * 5, **wrong}
        monkeypatch.setenv("RAYREALM_IDENTITY__ISSUERS", json.dumps([issuer]))
        found = problems()
        assert len(found) == 1
        assert "hunter2" not in str(found)

    @pytest.mark.parametrize("line", ['token = "hunter2', 'token = "hunter2"\ntoken = "hunter2"', "token = hunter2"])
    def test_a_broken_file(self, line: str) -> None:
        Path("realm.toml").write_text(f"[nats]\n{line}\n")
        assert "hunter2" not in str(problems())
