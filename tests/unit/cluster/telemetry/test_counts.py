from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from cluster.telemetry.counts import HistogramsByLabel, PlainHistogram, Tally, exponential


class TestTally:
    def test_counts_by_value(self) -> None:
        tally = Tally()
        tally.add("a")
        tally.add("a", 2)
        tally.add("b")
        assert tally == {"a": 3, "b": 1}

    def test_known_values_are_there_from_the_start_and_others_are_one(self) -> None:
        tally = Tally(["a", "b"], "unknown")
        for value in ("a", "x", "y", "unknown"):
            tally.add(value)
        assert tally == {"a": 1, "b": 0, "unknown": 3}

    @given(st.lists(st.text()))
    def test_the_number_of_values_is_bounded(self, values: list[str]) -> None:
        tally = Tally()
        for value in [*values, *map(str, range(200))]:
            tally.add(value)
        assert len(tally) <= 65
        assert sum(tally.values()) == len(values) + 200


class TestPlainHistogram:
    def test_an_upper_bound_belongs_to_its_bucket(self) -> None:
        histogram = PlainHistogram((1, 2.5))
        for value in (0.5, 1, 2, 2.5, 3):
            histogram.observe(value)
        assert histogram.cumulated() == [("1.0", 2), ("2.5", 4), ("+Inf", 5)]
        assert histogram.total == 9

    @given(st.lists(st.floats(-1e6, 1e6)), st.lists(st.floats(-1e6, 1e6), unique=True))
    def test_buckets_are_what_they_say(self, values: list[float], bounds: list[float]) -> None:
        histogram = PlainHistogram(sorted(bounds))
        for value in values:
            histogram.observe(value)
        for bound, count in histogram.cumulated():
            assert count == sum(value <= float(bound) for value in values)
        assert math.isclose(histogram.total, sum(values), abs_tol=1e-3)


def test_histograms_by_label_are_bounded() -> None:
    histograms = HistogramsByLabel(["a"], (1,), "unknown")
    for label in ("a", "x", "y"):
        histograms.observe(label, 0.5)
    assert {label: histogram.counts for label, histogram in histograms.items()} == {"a": [1, 0], "unknown": [2, 0]}


def test_exponential_bounds() -> None:
    assert exponential(1, 2, 5) == (1, 2, 4, 8, 16)
    assert len(exponential(0.001, 2, 10)) == 10
