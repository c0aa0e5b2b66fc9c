"""The reference pages that are made from the code. A page: its file below docs/reference/, and what makes its text.

python -m reference.pages [--check]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from reference import commands, http, metrics, operations, settings

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings.render,
    "commands.md": commands.render,
    "operations.md": operations.render,
    "http.md": http.render,
    "metrics.md": metrics.render,
}


def stale() -> list[str]:
    """Pages that are missing, or not as the code would have them."""
    return [
        name
        for name, make in PAGES.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text(encoding="utf-8") != make()
    ]


def main() -> int:
    if "--check" in sys.argv[1:]:
        found = stale()
        for name in found:
            print(f"docs/reference/{name} is not current: run scripts/generate-docs", file=sys.stderr)
        return 1 if found else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")
        print(f"docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
