"""What may be a property (row 3.4)."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.zone.properties import MAX_BYTES, MAX_DEPTH, check_change, check_value, check_whole, size_of
from cluster.errors import InvalidInput

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def depth_of(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max((depth_of(each) for each in inner), default=0) if isinstance(value, dict | list) else 0


@given(JSON)
def test_json_is_taken_unless_it_is_deep(value: Any) -> None:
    if depth_of(value) <= MAX_DEPTH:
        check_value(value, "x")
    else:
        with pytest.raises(InvalidInput):
            check_value(value, "x")


def test_how_deep() -> None:
    check_value(nested(MAX_DEPTH), "x")
    with pytest.raises(InvalidInput, match="deeper"):
        check_value(nested(MAX_DEPTH + 1), "x")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2**54, object(), b"x", {1: 2}, {"a": {1, 2}}])
def test_what_is_no_json(value: Any) -> None:
    with pytest.raises(InvalidInput):
        check_value([value], "x")


def test_cyclic_ones_end_soon() -> None:
    loop: dict[str, Any] = {}
    loop["self"] = loop
    wide: Any = 1
    for _ in range(MAX_DEPTH):
        wide = [wide] * 1_000  # small in memory, 10 to the 24th when written
    for value in (loop, wide):
        with pytest.raises(InvalidInput):
            check_value(value, "x")


def test_the_field_is_named() -> None:
    with pytest.raises(InvalidInput) as refused:
        check_change({"good": 1, "bad": math.nan})
    assert [field for field, _ in refused.value.errors] == ["properties.bad"]


def test_size_is_of_the_whole() -> None:
    check_whole({"a": "x" * 4_000}, {"b": "x"})
    with pytest.raises(InvalidInput):
        check_whole({"a": "x" * 4_000}, {"b": "x" * 100})
    check_whole({"a": "x" * 4_000}, {"a": None, "b": "x" * 100})
    exact = "x" * (MAX_BYTES - len('{"a":""}'))
    check_whole({}, {"a": exact})
    with pytest.raises(InvalidInput):
        check_whole({}, {"a": exact + "x"})


def test_text_that_is_none() -> None:
    with pytest.raises(InvalidInput):
        size_of("\ud800", "x")
