"""The transition table (row 1.2), every pair of it."""

from __future__ import annotations

import itertools

import pytest

from actors.session.states import SessionState, check, sources
from cluster.errors import InvalidState

LEGAL = {
    ("connected", "authenticated"),
    ("authenticated", "in_world"),
    ("in_world", "authenticated"),
    ("connected", "disconnecting"),
    ("authenticated", "disconnecting"),
    ("in_world", "disconnecting"),
    ("disconnecting", "disconnected"),
}
PAIRS = list(itertools.product(SessionState, repeat=2))


@pytest.mark.parametrize(("now", "to"), PAIRS, ids=lambda state: state.value)
def test_every_pair_of_states(now: SessionState, to: SessionState) -> None:
    if (now.value, to.value) in LEGAL:
        check(now, to)
    else:
        with pytest.raises(InvalidState) as refused:
            check(now, to)
        assert refused.value.state == now.value
        assert refused.value.reason == f"cannot_become_{to.value}"


@pytest.mark.parametrize("to", SessionState)
def test_sources_are_the_same_table_from_the_other_side(to: SessionState) -> None:
    assert set(sources(to)) == {now for now, there in LEGAL if there == to.value}


def test_the_names_are_those_of_the_protocol() -> None:
    assert [state.value for state in SessionState] == [
        "connected",
        "authenticated",
        "in_world",
        "disconnecting",
        "disconnected",
    ]
