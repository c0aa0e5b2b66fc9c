"""`scripts/simulate`: play, judge, and print one JSON object. Exit code 0: nothing was wrong, or the planted fault was found."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.simulation.plants import PLANTS
from tests.simulation.simulate import Wish, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=5.0, help="of play; every three of them end in a calm")
    parser.add_argument("--players", type=int, default=60)
    parser.add_argument("--history", type=Path, help="keep the history there")
    parser.add_argument("--smooth", action="store_true", help="nothing goes wrong")
    parser.add_argument("--plant", choices=sorted(PLANTS), default="", help="a fault that the checker must find")
    said = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":  # sets of strings are to have one order in every run of a seed
        again = [sys.executable, "-m", "tests.simulation", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"PYTHONHASHSEED": "0"})  # noqa: S606 - this program again
    wish = Wish(said.seed, said.minutes, said.players, rough=not said.smooth, plant=said.plant)
    with tempfile.TemporaryDirectory() as folder:
        result = simulate(wish, said.history or Path(folder) / "history.jsonl")
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0 if (result["caught_by"] if wish.plant else result["good"]) else 1


if __name__ == "__main__":
    sys.exit(main())
