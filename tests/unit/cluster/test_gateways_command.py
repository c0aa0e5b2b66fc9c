"""`rayrealm gateways`: when a change is done, and what is shown."""

from __future__ import annotations

import json

import pytest

from cluster.cli.gateways import settled, show
from realm_proto.internal_pb2 import GatewayAlive


def living(*draining: bool) -> dict[str, GatewayAlive]:
    return {
        f"gtw_{n}": GatewayAlive(gateway_id=f"gtw_{n}", sockets=10 * n, capacity=400, draining=is_draining)
        for n, is_draining in enumerate(draining)
    }


def test_done_is_when_there_are_as_many_and_none_of_them_leaves() -> None:
    assert settled(living(False, False), 2)
    assert not settled(living(False, False), 3)
    assert not settled(living(False, False, False), 2)
    assert not settled(living(False, True), 2)


def test_shown_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    show(living(False, True), as_json=False)
    assert capsys.readouterr().out == "gtw_0  0 of 400\ngtw_1  10 of 400  draining\n"


def test_shown_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    show(living(False), as_json=True)
    assert json.loads(capsys.readouterr().out) == {
        "gateways": [{"gateway": "gtw_0", "sockets": 0, "capacity": 400, "draining": False}]
    }
