"""Records that a newer release wrote, read by this one: while a realm is upgraded both run (cluster/*_records.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from cluster import job_records, operator_records
from cluster.ports.jobs import JobRecord, JobStep
from cluster.ports.operators import ApiToken, Invitation, OperatorRecord, OperatorSession

JOB = JobRecord(
    "job_0000000000000001", "zones.split", {"zone": "zon_a"}, "operator:ada", 2, "api", "203.0.113.7", 1.5,
    steps=(JobStep(2.5, "begun"),), runs=1,
)  # fmt: skip
ADA = OperatorRecord(
    "ada",
    "admin",
    "g1",
    1.5,
    "launcher",
    recovery=("a",),
    invitation=Invitation("c", "operator:eve", 2.5),
    tokens=(ApiToken("otk_1", "d", "deploys", "viewer", 1.25, 2.5),),
)


def newer(data: bytes) -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(data)
    return said | {"labels": ["x"], "Zebra": None, "a_first": {"b": 1}}


def test_jobs() -> None:
    said = newer(job_records.encode(JOB))
    said["steps"] = [[*step, "a link"] for step in said["steps"]]
    assert job_records.decode(orjson.dumps(said), cancelling=False) == JOB
    assert job_records.decode(orjson.dumps(said | {"cancelling": False}), cancelling=True) == replace(
        JOB, cancelling=True
    )


def test_sessions() -> None:
    session = OperatorSession("ada", "g1", "csrf", "203.0.113.7", 2.125)
    assert operator_records.decode_session(orjson.dumps(newer(operator_records.encode_session(session)))) == session


def test_operators_keep_what_is_not_known_here() -> None:
    """Else what is compared would differ, and nobody whom the newer release has changed could log in at the older one."""
    said = newer(operator_records.encode(ADA))
    said["invitation"]["way"] = "mail"
    said["tokens"][0]["scopes"] = ["look"]
    data = orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
    read = operator_records.decode(data)
    assert (read.name, read.recovery, read.tokens[0].label) == ("ada", ("a",), "deploys")
    assert operator_records.encode(read) == data
    changed = orjson.loads(operator_records.encode(replace(read, totp_step=7)))
    assert changed == said | {"totp_step": 7}
    known = operator_records.decode(operator_records.encode(ADA))
    assert known == ADA
    assert b"more" not in operator_records.encode(ADA)
