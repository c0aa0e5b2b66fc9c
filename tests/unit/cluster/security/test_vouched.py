from __future__ import annotations

import pytest

from cluster.security.vouched import address, vouched

SECRET = "the edge's own mark, in this test"
MARK = ("x-rayrealm-edge", SECRET)
CLIENT = ("x-forwarded-for", "203.0.113.7")


def test_the_edge_is_believed() -> None:
    assert vouched([MARK, CLIENT], SECRET)
    assert address([MARK, CLIENT], "127.0.0.1", SECRET) == "203.0.113.7"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [CLIENT],
        [("x-rayrealm-edge", "1"), CLIENT],
        [("x-rayrealm-edge", ""), CLIENT],
        [("x-rayrealm-edge", "sécret"), CLIENT],
        [MARK, MARK, CLIENT],
        [MARK, ("x-rayrealm-edge", "1"), CLIENT],
    ],
)
def test_others_are_not(headers: list[tuple[str, str]]) -> None:
    assert not vouched(headers, SECRET)
    assert address(headers, "127.0.0.1", SECRET) == "127.0.0.1"


def test_without_an_edge_nobody_is() -> None:
    assert address([("x-rayrealm-edge", ""), CLIENT], "198.51.100.1", "") == "198.51.100.1"


@pytest.mark.parametrize("said", [["203.0.113.7, 203.0.113.8"], ["nonsense"], [""], [], ["203.0.113.7", "203.0.113.8"]])
def test_the_edge_says_one_address(said: list[str]) -> None:
    headers = [MARK, *(("x-forwarded-for", each) for each in said)]
    assert address(headers, "127.0.0.1", SECRET) == "127.0.0.1"


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        (" 203.0.113.7 ", "203.0.113.7"),
    ],
)
def test_addresses_have_one_way_to_be_written(written: str, plain: str) -> None:
    assert address([MARK, ("x-forwarded-for", written)], "127.0.0.1", SECRET) == plain
    assert address([], written.strip(), SECRET) == plain


@pytest.mark.parametrize("peer", ["", "testclient"])
def test_a_peer_without_an_address(peer: str) -> None:
    assert address([], peer, SECRET) == peer
