"""Metrics read from plain numbers at the moment of a scrape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from cluster.telemetry.counts import PlainHistogram

T = TypeVar("T")


@dataclass(frozen=True)
class Source(Generic[T]):
    """A metric's name and meaning, and how to read it.

    `read` returns one value, None while there is none, or with `label` values by that label's. `fixed` are labels that never
    change.
    """

    name: str
    help: str
    read: Callable[[], T | Mapping[str, T] | None]
    label: str = ""
    fixed: tuple[tuple[str, str], ...] = ()

    def label_names(self) -> list[str]:
        return [name for name, _ in self.fixed] + ([self.label] if self.label else [])

    def readings(self) -> list[tuple[list[str], T]]:
        """The values of all labels, and what was read for them."""
        fixed = [value for _, value in self.fixed]
        reading = self.read()
        if isinstance(reading, Mapping):
            return [([*fixed, value], reading[value]) for value in sorted(reading)]
        return [] if reading is None else [(fixed, reading)]


class CounterSource(Source[float]):
    def family(self) -> Metric:
        family = CounterMetricFamily(self.name, self.help, labels=self.label_names())
        for labels, value in self.readings():
            family.add_metric(labels, value)
        return family


class GaugeSource(Source[float]):
    def family(self) -> Metric:
        family = GaugeMetricFamily(self.name, self.help, labels=self.label_names())
        for labels, value in self.readings():
            family.add_metric(labels, value)
        return family


class HistogramSource(Source[PlainHistogram]):
    def family(self) -> Metric:
        family = HistogramMetricFamily(self.name, self.help, labels=self.label_names())
        for labels, histogram in self.readings():
            family.add_metric(labels, histogram.cumulated(), histogram.total)
        return family


AnySource = CounterSource | GaugeSource | HistogramSource


class CountsCollector(Collector):
    """Goes into a `CollectorRegistry`. Reading costs the one who scrapes, never the one who counts."""

    def __init__(self, sources: Iterable[AnySource]) -> None:
        self.sources = tuple(sources)

    def collect(self) -> Iterable[Metric]:
        return [source.family() for source in self.sources]
