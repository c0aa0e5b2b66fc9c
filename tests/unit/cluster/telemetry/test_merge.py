from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from cluster.telemetry.merge import merge

PAGE = """\
# HELP moves_total Moves
# TYPE moves_total counter
moves_total{zone="a"} 3.0
# HELP seconds Time
# TYPE seconds histogram
seconds_bucket{le="1.0"} 1.0
seconds_bucket{le="+Inf"} 2.0
seconds_count 2.0
seconds_sum 1.5
"""

Sample = tuple[str, frozenset[tuple[str, str]], float]


def samples(page: str) -> list[Sample]:
    return [
        (sample.name, frozenset(sample.labels.items()), sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]


def test_every_sample_says_which_process() -> None:
    page = merge([("b", PAGE), ("a", PAGE)])
    for process in ("a", "b"):
        assert ("moves_total", frozenset({("process", process), ("zone", "a")}), 3.0) in samples(page)
        assert ("seconds_sum", frozenset({("process", process)}), 1.5) in samples(page)
    assert len(samples(page)) == 10


def test_a_family_is_described_once() -> None:
    page = merge([("a", PAGE), ("b", PAGE)])
    for line in ("# HELP moves_total Moves", "# TYPE moves_total counter", "# TYPE seconds histogram"):
        assert page.count(line) == 1
    assert [family.type for family in text_string_to_metric_families(page)] == ["counter", "histogram"]


def test_processes_of_one_name_stay_apart() -> None:
    page = merge([("zone", PAGE), ("zone", PAGE.replace("3.0", "4.0"))])
    values = {labels: value for name, labels, value in samples(page) if name == "moves_total"}
    assert values == {
        frozenset({("process", "zone"), ("zone", "a")}): 3.0,
        frozenset({("process", "zone~2"), ("zone", "a")}): 4.0,
    }


def test_the_first_type_holds() -> None:
    other = "# TYPE moves_total gauge\nmoves_total 9.0\n# TYPE more gauge\nmore 1.0\n"
    page = merge([("a", PAGE), ("b", other)])
    assert "9.0" not in page
    assert ("more", frozenset({("process", "b")}), 1.0) in samples(page)


def test_the_extra_page_is_nobodys() -> None:
    page = merge([], "# TYPE answered gauge\nanswered 0\n")
    assert samples(page) == [("answered", frozenset(), 0.0)]


def test_a_timestamp_stays() -> None:
    assert merge([("a", "x 1.0 123\n")]) == '# TYPE x untyped\nx{process="a"} 1.0 123\n'


@pytest.mark.parametrize("page", ["nonsense", "x{ 1", 'x{a="b"}', "\x00 1", "x 1\n}{ 2"])
def test_what_is_no_page_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="no sample"):
        merge([("a", page)])


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True, max_size=5),
    st.text(st.characters(exclude_categories=["Cs"])),
)
def test_any_process_name_and_label_survives(processes: list[str], value: str) -> None:
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    page = merge((process, f'x{{v="{escaped}"}} 1.0\n') for process in processes)
    found = {frozenset(labels) for _, labels, _ in samples(page)}
    assert found == {frozenset({("process", process), ("v", value)}) for process in processes}
