"""Runs the fuzz targets. `scripts/fuzz --inputs 1000000`.

A mutation fuzzer over inputs that know the format, and not one that is led by coverage (atheris): nearly all that takes the input
apart is compiled (orjson, upb, pydantic, nh3), where instrumentation of Python sees nothing, and costs most of the rate.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.targets import TARGETS, making

CORPUS = Path(__file__).parent / "corpus"
SLOW_S = 0.25  # CPU time of one input
MAX_FINDINGS = 20


@dataclass
class Report:
    """Of one target. Seconds are CPU time: `spent_s` of the code that is tested, `all_s` with the making of inputs."""

    inputs: int = 0
    spent_s: float = 0.0
    all_s: float = 0.0
    slowest_s: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    findings: dict[str, bytes] = field(default_factory=dict)


def one(name: str, data: bytes, report: Report) -> None:
    """One input. Whatever is raised is a finding: targets catch what is documented."""
    began = time.process_time()
    try:
        report.outcomes[TARGETS[name].run(data)] += 1
    except Exception:
        report.findings.setdefault(traceback.format_exc(limit=-3), data)
    took = time.process_time() - began
    report.inputs += 1
    report.spent_s += took
    report.slowest_s = max(report.slowest_s, took)
    if took > SLOW_S:
        report.findings.setdefault(f"slow: {took:.3f} s of CPU", data)


def fuzz(name: str, inputs: int, seed: int) -> Report:
    """The same inputs for the same seed."""
    target, maker, report = TARGETS[name], making(seed), Report()
    gc.collect()
    gc.freeze()  # a collection of all that the process holds would count as the time of one input
    began = time.process_time()
    try:
        while report.inputs < inputs and len(report.findings) < MAX_FINDINGS:
            one(name, target.make(maker), report)
    finally:
        gc.unfreeze()
    report.all_s = time.process_time() - began
    return report


def keep(name: str, data: bytes) -> Path:
    """From now on a regression test."""
    CORPUS.mkdir(exist_ok=True)
    path = CORPUS / f"{name}-{hashlib.blake2s(data, digest_size=6).hexdigest()}.bin"
    path.write_bytes(data)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="this one alone; may be repeated")
    chosen = parser.parse_args()
    names, out = chosen.target or list(TARGETS), sys.stdout
    shares = sum(TARGETS[name].share for name in names)
    found = total = 0
    began = time.monotonic()
    out.write(f"{'target':12}{'inputs':>10}{'inputs/s':>10}{'mean us':>9}{'slowest ms':>12}  outcomes\n")
    for name in names:
        report = fuzz(name, round(chosen.inputs * TARGETS[name].share / shares), chosen.seed)
        total += report.inputs
        rate, mean = report.inputs / max(report.all_s, 1e-9), report.spent_s / max(report.inputs, 1) * 1e6
        outcomes = ", ".join(f"{outcome} {times}" for outcome, times in report.outcomes.most_common())
        out.write(f"{name:12}{report.inputs:>10}{rate:>10.0f}{mean:>9.0f}{report.slowest_s * 1e3:>12.1f}  {outcomes}\n")
        out.flush()
        for what, data in report.findings.items():
            found += 1
            out.write(f"\n{keep(name, data)}:\n{what}\n")
    spent = time.monotonic() - began
    out.write(f"{total} inputs in {spent:.0f} s, {total / spent:.0f} inputs/s, seed {chosen.seed}, findings: {found}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
