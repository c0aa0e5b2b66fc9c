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
    "SECURITY.md",
    "proto/PROTOCOL.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    document = ROOT / name
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text())
    missing = [link for link in links if not (document.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("name", ["docs/features.md", "docs/security.md"])
def test_every_test_that_is_named_is_there(name: str) -> None:
    named = set(re.findall(r"tests/[\w/]+(?:\.py)?", (ROOT / name).read_text()))
    assert len(named) > 20
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


def test_what_happens_is_followed_through_at_most_six_files_each() -> None:
    parts = (ROOT / "ARCHITECTURE.md").read_text().split("\n## One ")[1:]
    assert [part.split(",")[0].split(" ")[0] for part in parts] == ["move", "chat", "crossing", "operation"]
    for part in parts:
        rows = re.findall(r"^\| \d \| \[([^\]]+)\]", part.split("\n## ")[0], re.MULTILINE)
        assert 3 <= len(rows) <= 6
        assert [path for path in rows if not (ROOT / path).is_file()] == []
