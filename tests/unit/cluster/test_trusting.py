from __future__ import annotations

import os
from pathlib import Path

import pytest

from cluster import running
from cluster.errors import StartRefused
from cluster.running import RunningRealm
from cluster.trusting import VARIABLE, trust, trusted

URL = "https://127.0.0.1:8443"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A realm with a certificate of its own runs on this machine. Returns its authority."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv(VARIABLE, "")  # so that it is put back
    monkeypatch.delenv(VARIABLE)
    authority = tmp_path / "ca.pem"
    authority.touch()
    realm = RunningRealm.of_this_process(URL, tmp_path, "rayrealm-test")
    running.register(realm, {"authority": str(authority)}, running.folder())
    return authority


def test_a_realm_on_this_machine(here: Path) -> None:
    trust(f"{URL}/")
    assert os.environ[VARIABLE] == str(here)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8443", "https://elsewhere:8443"])
def test_others_need_no_more_than_what_is_well_known(here: Path, url: str) -> None:
    trust(url)
    assert VARIABLE not in os.environ


def test_what_the_operator_says_counts(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/etc/other.pem")
    trust("https://elsewhere:8443")
    assert os.environ[VARIABLE] == "/etc/other.pem"
    trust(URL)  # nothing else is good for it
    assert os.environ[VARIABLE] == str(here)
    other = tmp_path / "other.pem"
    other.touch()
    trust(URL, other)
    assert os.environ[VARIABLE] == str(other)
    with pytest.raises(StartRefused, match="cannot be read"):
        trust(URL, tmp_path / "none")


def test_for_a_while(here: Path) -> None:
    with trusted(here):
        assert os.environ[VARIABLE] == str(here)
        with trusted(None):
            assert os.environ[VARIABLE] == str(here)
    assert VARIABLE not in os.environ
