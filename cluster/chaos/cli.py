"""What `rayrealm chaos` calls: the result on standard output, what happens meanwhile on standard error, and the exit code.

0: nothing was lost; 1: a promise was broken, or something did not recover.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.chaos import planting
from cluster.chaos.schedule import Fault, kinds_for, plan
from cluster.errors import StartRefused
from cluster.telemetry.logs import configure


@dataclass(frozen=True, slots=True)
class Wish:
    """The command's options. `url` None: a realm of its own. `standby`: its zones have standbys."""

    seed: int
    seconds: float
    bots: int
    gateways: int
    kinds: Sequence[str] | None
    plant: str | None
    history: Path | None
    url: str | None
    standby: bool = False

    def faults(self) -> list[Fault]:
        """Raises StartRefused."""
        possible = kinds_for(own=self.url is None, standby=self.standby)
        kinds = self.kinds or possible
        if foreign := sorted(set(kinds) - set(possible)):
            raise StartRefused(f"not possible here: {', '.join(foreign)}; there are: {', '.join(possible)}")
        return plan(self.seed, self.seconds, kinds, self.standby)


def chaos(wish: Wish, *, plan_only: bool = False, as_json: bool = False) -> int:
    """The exit code. Raises StartRefused, Ours, RealmError of the client."""
    faults = wish.faults()
    if plan_only:
        return _tell_plan(wish, faults, as_json)
    if wish.plant is not None and (wish.plant not in planting.PLANTS or wish.url is not None):
        raise StartRefused(f"bugs can be planted into a realm of our own only: {', '.join(planting.PLANTS)}")
    from cluster.chaos.drill import Order, run_at, run_own

    configure("error")  # that connections break is what is wanted
    order = Order(
        wish.seed,
        wish.seconds,
        faults,
        wish.bots,
        wish.gateways,
        wish.history,
        planting.environment(wish.plant) if wish.plant else {},
        wish.standby,
    )
    result = run_own(order, say) if wish.url is None else run_at(order, wish.url, say)
    if wish.plant is not None:
        result["plant"] = wish.plant
        result["caught_by"] = sorted(name for name in planting.PLANTS[wish.plant][1] if result[name])
        say(
            f"planted {wish.plant}: "
            + (f"caught by {', '.join(result['caught_by'])}" if result["caught_by"] else "NOT CAUGHT")
        )
    sys.stdout.write(json.dumps(result) + "\n" if as_json else "\n".join(lines(result)) + "\n")
    sys.stdout.flush()
    for problem in result["over_the_bar"]:
        sys.stderr.write(f"slower than promised: {problem}\n")
    return 0 if result["good"] else 1


_BEGAN = time.monotonic()


def say(line: str) -> None:
    sys.stderr.write(f"{time.monotonic() - _BEGAN:7.1f} s  {line}\n")
    sys.stderr.flush()


def _tell_plan(wish: Wish, faults: Sequence[Fault], as_json: bool) -> int:
    if as_json:
        told = {"seed": wish.seed, "seconds": wish.seconds, "faults": [fault.as_dict() for fault in faults]}
        sys.stdout.write(json.dumps(told) + "\n")
    else:
        for fault in faults:
            lasts = f"{fault.lasts_s:6.2f} s" if fault.lasts_s else ""
            sys.stdout.write(f"{fault.number:3}  at {fault.at:7.2f} s  {fault.kind:<14} {lasts}\n")
    return 0


def lines(result: dict[str, Any]) -> list[str]:
    """For people."""
    told = []
    for name, value in result.items():
        if name in ("faults", "violations"):
            told += [f"{name}", *(f"  {json.dumps(item)}" for item in value)]
        else:
            told.append(f"{name:<20} {json.dumps(value)}")
    return told
