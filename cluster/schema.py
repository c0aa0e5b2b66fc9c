"""Versions of what is stored, so that one release reads what another wrote (docs/explanation/upgrades.md).

While a realm is upgraded, processes of two releases read each other's records. So a document carries the version of its format
and the oldest version that can read it; who is older than that refuses it, who is newer brings it up step by step, and members
that a reader does not know are passed over. A change that older readers cannot bear therefore takes two releases: the first one
reads both, the second one writes the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

STAMP = "v"
UNSTAMPED = 1  # what was written before there were stamps

Document = dict[str, Any]


class TooNew(ValueError):
    """A newer release wrote it, and says that this one cannot read it."""


@dataclass(frozen=True, slots=True)
class Format:
    """`version` is what this code writes, `readable_by` the oldest version whose code can read that.

    `upgrades[n]` makes version n + 1 of a document of version n; there is one for each version before the present.
    """

    name: str
    version: int
    readable_by: int
    upgrades: Mapping[int, Callable[[Document], Document]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        missing = [n for n in range(UNSTAMPED, self.version) if n not in self.upgrades]
        if missing or not UNSTAMPED <= self.readable_by <= self.version:
            raise ValueError(
                f"format {self.name}: no upgrade from {missing}, or readable_by {self.readable_by} is wrong"
            )

    def stamped(self, document: Document) -> Document:
        return {STAMP: [self.version, self.readable_by], **document}

    def read(self, document: Document) -> Document:
        """The document as this version has it, without its stamp. Raises TooNew, and ValueError if the stamp is none."""
        said = document.get(STAMP, [UNSTAMPED, UNSTAMPED])
        try:
            version, readable_by = (int(part) for part in said)
        except (TypeError, ValueError):
            raise ValueError(f"{self.name}: {said!r} is no version") from None
        if readable_by > self.version:
            raise TooNew(f"{self.name} of version {version}, which code before version {readable_by} cannot read")
        current = {name: value for name, value in document.items() if name != STAMP}
        for older in range(version, self.version):
            current = self.upgrades[older](current)
        return current


def as_it_was(document: Document) -> Document:
    """An upgrade that changes nothing: the new version only has members more, with defaults."""
    return document


# All that a realm keeps: its version changes with that of any format. A launcher refuses data that it cannot read.
DATA = Format("the realm's data", version=2, readable_by=1, upgrades={1: as_it_was})


def known(kind: type[Any], said: Mapping[str, Any]) -> Document:
    """The members of `said` that the dataclass has: a newer release may have written more."""
    names = {one.name for one in fields(kind)}
    return {name: value for name, value in said.items() if name in names}
