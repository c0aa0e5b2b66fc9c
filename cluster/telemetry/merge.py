"""Many processes' metrics as one page, in Prometheus's text format (version 0.0.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+(?: -?\d+)?)")
_UNTYPED = "untyped"


@dataclass(slots=True)
class _Family:
    help: str = ""
    kind: str = _UNTYPED
    samples: list[str] = field(default_factory=list)


def merge(pages: Iterable[tuple[str, str]], extra: str = "") -> str:
    """One page from (process, page) pairs: each family once, each sample with a label `process`.

    Two processes that call themselves the same become `name` and `name~2`: no series may occur twice. Where
    processes disagree about a family's type, the first one's holds and the others' samples are left out. `extra` is
    a page whose samples get no label. Raises ValueError for a page that is not in the format.
    """
    families: dict[str, _Family] = {}
    seen: dict[str, int] = {}
    for process, page in sorted(pages):
        seen[process] = count = seen.get(process, 0) + 1
        _take(families, page, process if count == 1 else f"{process}~{count}")
    _take(families, extra, None)
    return "".join(_page(name, families[name]) for name in sorted(families) if families[name].samples)


def _take(families: dict[str, _Family], page: str, process: str | None) -> None:
    label = "" if process is None else f'process="{_escaped(process)}"'
    name, wanted = "", True
    for line in page.split("\n"):
        if not line:
            continue
        if line.startswith("#"):
            word, _, rest = line[1:].strip().partition(" ")
            if word not in ("HELP", "TYPE"):
                continue
            name, _, text = rest.partition(" ")
            family = families.setdefault(name, _Family())
            if word == "HELP":
                family.help, wanted = family.help or text, True
            elif family.kind == _UNTYPED and not family.samples:
                family.kind, wanted = text, True
            else:
                wanted = family.kind == text
            continue
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            raise ValueError(f"no sample: {line[:200]!r}")
        if not name or not sample["name"].startswith(name):
            name, wanted = sample["name"], True
        if wanted:
            labels = ",".join(part for part in (label, sample["labels"] or "") if part)
            family = families.setdefault(name, _Family())
            family.samples.append(f"{sample['name']}{{{labels}}} {sample['value']}" if labels else line)


def _page(name: str, family: _Family) -> str:
    lines = [f"# TYPE {name} {family.kind}", *family.samples]
    if family.help:
        lines.insert(0, f"# HELP {name} {family.help}")
    return "\n".join(lines) + "\n"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
