"""Which bugs can be planted into a realm under test (`plants/sitecustomize.py`), and how."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

FOLDER = Path(__file__).parent / "plants"
VARIABLE = "CHAOS_PLANT"

# name -> the faults that bring it to light, and the violations that it is found by (`verdict.NAMES`)
PLANTS: Mapping[str, tuple[tuple[str, ...], frozenset[str]]] = MappingProxyType(
    {
        "ack_before_commit": (("zone",), frozenset({"lost_acks"})),
        "skip_epoch_check": (("freeze",), frozenset({"double_owners"})),
        "forget_outbox": (("sessions",), frozenset({"lost_acks", "gaps", "duplicates"})),
    }
)


def environment(plant: str) -> dict[str, str]:
    """For the processes of the realm."""
    before = os.environ.get("PYTHONPATH")
    return {VARIABLE: plant, "PYTHONPATH": f"{FOLDER}{os.pathsep}{before}" if before else str(FOLDER)}
