"""What the documents point to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/features.md",
    "docs/games.md",
    "docs/world.md",
    "docs/events.md",
    "docs/performance.md",
    "proto/PROTOCOL.md",
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    document = ROOT / name
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert missing == []


def test_every_test_that_a_feature_names_is_there() -> None:
    named = set(re.findall(r"tests/[\w/]+(?:\.py)?", (ROOT / "docs/features.md").read_text()))
    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_a_move_a_message_and_a_crossing_are_followed_through_at_most_six_files_each() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    moves, rest = text.split("\n## One chat message", 1)
    for part in (moves, *rest.split("\n## One crossing", 1)):
        rows = re.findall(r"^\| \d \| \[([^\]]+)\]", part, re.MULTILINE)
        assert 3 <= len(rows) <= 6
        assert [path for path in rows if not (ROOT / path).is_file()] == []
