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


def test_one_move_and_one_message_are_followed_through_at_most_six_files() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    moves, messages = text.split("\n## One chat message", 1)
    for part in (moves, messages):
        rows = re.findall(r"^\| \d \| \[([^\]]+)\]", part, re.MULTILINE)
        assert 3 <= len(rows) <= 6
        assert [path for path in rows if not (ROOT / path).is_file()] == []
