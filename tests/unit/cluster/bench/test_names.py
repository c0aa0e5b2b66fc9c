from __future__ import annotations

import re

from cluster.bench.names import CAPACITY, character_name


def test_names_are_allowed_and_no_two_are_alike() -> None:
    names = [character_name(number) for number in range(CAPACITY)]
    assert all(re.fullmatch(r"[A-Za-z][A-Za-z '-]{1,23}", name) for name in names)
    assert len({name.casefold() for name in names}) == CAPACITY
    assert CAPACITY > 10_000


def test_neighbours_share_neither_part() -> None:
    for number in range(200):
        (first, last), (other_first, other_last) = (character_name(n).split()[:2] for n in (number, number + 1))
        assert first != other_first
        assert last != other_last
