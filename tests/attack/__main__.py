"""`scripts/attack`: attack, judge, and print one JSON object. Exit code 0: the realm stood."""

from __future__ import annotations

import argparse
import json
import sys

from tests.attack.drill import NAMES, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/attack", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each attack")
    parser.add_argument("--only", default=",".join(NAMES), help="names, separated by commas")
    said = parser.parse_args()
    only = said.only.split(",")
    if unknown := set(only) - set(NAMES):
        parser.error(f"no such attack: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    result = run(said.seconds, only)
    sys.stdout.write(json.dumps(result, indent=1) + "\n")
    return 0 if result["good"] else 1


if __name__ == "__main__":
    sys.exit(main())
