"""What is in the tree but not ours: it says what it is, under which licence, and how it was made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "clients" / "web"
# The console brings its own: it is served from its folder alone.
FOLDERS = {WEB / "vendor": {"jose"}, WEB / "console" / "vendor": {"uplot"}}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_each_file_names_its_version_and_has_its_licence(folder: Path) -> None:
    assert {file.stem for file in folder.iterdir()} == FOLDERS[folder]
    for file in folder.iterdir():
        if file.suffix == ".LICENSE":
            assert "Permission is hereby granted" in file.read_text()
            continue
        first = file.read_text().splitlines()[0]
        assert re.search(r"scripts/vendor-[a-z]+", first), first
        assert file.with_suffix(".LICENSE").exists()


@pytest.mark.parametrize(
    ("folder", "name", "title"), [("vendor", "jose", "jose"), ("console/vendor", "uplot", "uPlot")]
)
def test_the_version_is_the_one_that_the_script_makes(folder: str, name: str, title: str) -> None:
    script = (ROOT / "scripts" / f"vendor-{name}").read_text()
    pinned = re.search(rf"^{name.upper()}=(\S+)$", script, re.MULTILINE)
    assert pinned is not None
    assert (WEB / folder / f"{name}.js").read_text().startswith(f"// {title} {pinned[1]}, ")
