"""What the benchmark of the limits says, but for the servers."""

from __future__ import annotations

import pytest

from cluster.bench import cli, limits


def test_local_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROUNDS", 2)
    monkeypatch.setattr(limits, "CALLS", 50)
    figures = limits.local()
    assert set(figures) == {"clock", "bucket", "bucket_refused", "frame", "frame_refused"}
    assert all(0 < nanoseconds < 1_000_000 for nanoseconds in figures.values())


def test_the_library_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ROUNDS", 1)
    monkeypatch.setattr(limits, "LIBRARY_CALLS", 50)
    figures = limits.library()
    assert len(figures) == 4
    assert figures["version"][0].isdigit()


@pytest.mark.parametrize(("frame", "code"), [(200.0, 0), (5_000.0, 1)])
def test_a_slow_meter_falls_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], frame: float, code: int
) -> None:
    monkeypatch.setattr(cli, "configure", lambda _: None)  # it would outlive the test
    monkeypatch.setattr(cli, "run_limits", lambda seconds: {"local_ns": {"frame": frame}, "seconds": seconds})
    assert cli.bench_limits(1.0, as_json=True) == code
    said = capsys.readouterr()
    assert '"seconds": 1.0' in said.out
    assert ("fell short" in said.err) is bool(code)
