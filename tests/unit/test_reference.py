"""The pages in docs/reference that are made from the code are current."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(name="made", scope="module")
def reference() -> ModuleType:
    sys.path.append(str(SCRIPTS))
    try:
        return importlib.import_module("reference.pages")
    finally:
        sys.path.remove(str(SCRIPTS))


def test_the_reference_is_current(made: ModuleType) -> None:
    assert made.stale() == [], "run scripts/generate-docs"


def test_every_page_that_is_made_is_listed(made: ModuleType) -> None:
    there = {path.name for path in made.FOLDER.glob("*.md") if "scripts/generate-docs" in path.read_text()}
    assert there == set(made.PAGES)


def test_every_setting_says_what_it_is(made: ModuleType) -> None:
    rows = [line for line in (made.FOLDER / "settings.md").read_text().splitlines() if line.startswith("| `")]
    assert len(rows) > 200
    silent = [row for row in rows if ": " not in re.sub(r"table: |`[^`]*`", "", row.split(" | ")[2])]
    assert silent == []
