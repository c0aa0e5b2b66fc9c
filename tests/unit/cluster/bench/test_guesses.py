from __future__ import annotations

import random
import statistics

import pytest

from cluster.bench import cli, guesses
from cluster.bench.guesses import advantage, noise


@pytest.mark.parametrize(
    ("longer", "shorter", "expected"),
    [
        ([2.0, 3.0], [1.0], 1.0),
        ([1.0], [2.0, 3.0], 0.0),
        ([1.0, 1.0], [1.0], 0.5),
        ([1.0, 4.0], [2.0, 3.0], 0.5),
        ([1.0, 3.0, 5.0], [2.0, 3.0], 3.5 / 6),
    ],
)
def test_advantage(longer: list[float], shorter: list[float], expected: float) -> None:
    assert advantage(longer, shorter) == pytest.approx(expected)


def test_chance_is_as_large_as_it_says() -> None:
    rng = random.Random(7)
    found = [advantage([rng.gauss(5, 1) for _ in range(50)], [rng.gauss(5, 1) for _ in range(50)]) for _ in range(400)]
    assert statistics.fmean(found) == pytest.approx(0.5, abs=0.01)
    assert statistics.stdev(found) == pytest.approx(noise(50), rel=0.15)


def test_a_small_difference_is_seen_with_enough_samples() -> None:
    rng = random.Random(7)
    longer, shorter = ([rng.gauss(mean, 1) for _ in range(1_000)] for mean in (5.3, 5.0))
    assert advantage(longer, shorter) - 0.5 > 4 * noise(1_000)


@pytest.mark.parametrize(
    ("found", "samples", "code"), [(0.5, 1_000, 0), (0.54, 1_000, 0), (0.57, 1_000, 1), (0.4, 1_000, 1), (0.6, 50, 0)]
)
def test_it_falls_short_beyond_chance(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], found: float, samples: int, code: int
) -> None:
    def run(samples: int, url: str | None) -> dict[str, object]:
        return {"samples": samples, "advantage": found, "noise": guesses.noise(samples)}

    monkeypatch.setattr(cli, "run_guesses", run)
    assert cli.bench_guesses(samples, as_json=True) == code
    assert ("fell short" in capsys.readouterr().err) == bool(code)
