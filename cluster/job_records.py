"""Jobs as bytes. What a newer release has written beside is passed over: while a realm is upgraded, both run."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import orjson

from cluster.ports.jobs import LONGEST_STEP, MOST_STEPS, JobRecord, JobStep

KNOWN = frozenset(each.name for each in fields(JobRecord)) - {"steps", "cancelling"}


def encode(job: JobRecord) -> bytes:
    """`cancelling` is kept beside it. Of the steps the newest are kept, and of each its beginning."""
    said = asdict(job)
    del said["cancelling"]
    said["steps"] = [[step.at, step.text[:LONGEST_STEP]] for step in job.steps[-MOST_STEPS:]]
    return orjson.dumps(said)


def decode(data: bytes, cancelling: bool) -> JobRecord:
    said: dict[str, Any] = orjson.loads(data)
    steps = tuple(JobStep(at, text) for at, text, *_ in said["steps"])
    known = {name: value for name, value in said.items() if name in KNOWN}
    return JobRecord(**known, steps=steps, cancelling=cancelling)
