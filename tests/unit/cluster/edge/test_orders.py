from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from cluster.edge.orders import BadOrdersError, Orders

ORDERS = Orders(secret="a-secret-of-this-test-only", trusted_proxies=("10.0.0.0/8",), connects=(0.5, 7))


def test_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "edge.json"
    ORDERS.write(path)
    assert Orders.load(path) == ORDERS
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["edge.json"]


def test_others_may_not_read_it(tmp_path: Path) -> None:
    path = tmp_path / "edge.json"
    ORDERS.write(path)
    path.chmod(0o640)
    with pytest.raises(BadOrdersError, match="chmod 600"):
        Orders.load(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "short"},
        {"secret": "with spaces and\nlines of its own"},
        {"host": "127.0.0.1\n    bind :9000"},
        {"host": "a b"},
        {"exempt": ["127.0.0.0/8\n    acl x always_true"]},
        {"trusted_proxies": ["10.0.0.1/8"]},
        {"metrics_from": ["anybody"]},
        {"certificate": "/etc/a\nb"},
        {"connections": "100 }"},
        {"connects": ["5", 50]},
        {"requests": [-1.0, 50]},
        {"unknown": 1},
    ],
)
def test_nothing_breaks_out_of_haproxys_configuration(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadOrdersError):
        Orders.parse(json.dumps(asdict(ORDERS) | wrong))


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '"x"'])
def test_no_orders_at_all(text: str) -> None:
    with pytest.raises(BadOrdersError):
        Orders.parse(text)


def test_tls() -> None:
    assert not ORDERS.tls
    assert replace(ORDERS, certificate="a", key="b").tls
