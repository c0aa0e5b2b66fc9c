"""A short run of every fuzz target, and whatever has ever broken one. `scripts/fuzz --inputs 1000000` is the long run."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.fuzz.running import CORPUS, Report, fuzz, keep, one
from tests.fuzz.targets import TARGETS, Target, count, making, markup

INPUTS = 12_000
CORPUS_FILES = sorted(CORPUS.glob("*.bin"))

# What a short run must have met: one that only ever fails early tests nothing.
MET = {
    "json": {"taken", "PARSE_ERROR", "INVALID_REQUEST", "INVALID_PARAMS", "METHOD_NOT_FOUND", "INVALID_TEXT"},
    "proto": {"taken", "PARSE_ERROR", "INVALID_REQUEST", "INVALID_PARAMS", "METHOD_NOT_FOUND"},
    "typed": {"taken", "refused"},
    "params": {"taken", "INVALID_PARAMS"},
    "connection": {"Received", "Moved", "Nothing", "INVALID_TEXT", "UNSUPPORTED_DATA", "PROTOCOL_ERROR", "TOO_BIG"},
    "upgrade": {"taken", "bad_request", "not_found", "token_missing", "bad_sequence", "bad_signing_key"},
    "text": {"changed", "kept", "more", "nothing"},
}


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_but_documented_outcomes(name: str) -> None:
    report = fuzz(name, round(INPUTS * TARGETS[name].share), 20_261)
    assert report.findings == {}
    assert set(report.outcomes) >= MET[name]


@pytest.mark.parametrize("path", CORPUS_FILES, ids=lambda path: path.stem)
def test_what_was_found_once(path: Path) -> None:
    report = Report()
    one(path.stem.partition("-")[0], path.read_bytes(), report)
    assert report.findings == {}


def test_a_run_is_the_same_again() -> None:
    for name, target in TARGETS.items():
        first, second = making(5), making(5)
        assert [target.make(first) for _ in range(50)] == [target.make(second) for _ in range(50)], name


def test_the_params_that_are_made_reach_every_method() -> None:
    """For most of what is checked behind the types, the types must be right."""
    maker, taken = making(6), set()
    for number in range(6_000):
        method = maker.methods[number % len(maker.methods)]
        schema = maker.schemas[method]
        params = maker.good(schema, schema.get("$defs", {}))
        if TARGETS["params"].run(_call(method, params)) == "taken":
            taken.add(method)
    assert taken == set(maker.methods)


def _call(method: str, params: object) -> bytes:
    return orjson.dumps({"method": method, "params": params})


def test_a_finding_is_kept_and_found_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> str:
        raise KeyError(len(data))

    monkeypatch.setitem(TARGETS, "json", Target(TARGETS["json"].make, broken, 1.0))
    monkeypatch.setattr("tests.fuzz.running.CORPUS", tmp_path)
    report = fuzz("json", 100, 1)
    assert 0 < len(report.findings) <= 20
    what, data = next(iter(report.findings.items()))
    assert "KeyError" in what
    assert keep("json", data).read_bytes() == data


def test_markup_would_be_seen() -> None:
    assert markup("a < b && c >") == []
    for text in ("<b>x", "x</b>", "<!-- x -->", "<!doctype html>", "<?php x>"):
        assert markup(text) != [], text


def test_counting_values() -> None:
    assert count({"a": [1, 2, {"b": None}]}) == 5
