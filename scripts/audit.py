"""Are there known vulnerabilities in what requirements-dev.lock names? Asks OSV (osv.dev) by pip-audit. Run by scripts/audit.

Exit codes: 0 none are known, 1 some are, 2 the audit itself is broken, 3 the service could not be asked; 0 instead of 3 with
--where-it-can, for machines without a network.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements-dev.lock"  # the other lock is a part of it
DEADLINE_S = 50.0
ANSWER_S = 10  # for one question
CLEAN, VULNERABLE, BROKEN, UNREACHABLE = 0, 1, 2, 3
LAST_LINES = 5
# What pip-audit ends with when a service does not answer: its own errors, and those of requests that it passes on.
NETWORK = re.compile(
    r"^requests\.exceptions\.|^\S*(?:ServiceError|ConnectionError|Timeout|ProxyError|SSLError)\b|network may be blocking",
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`code` as this program's, and what to say."""

    code: int
    lines: tuple[str, ...]


def judge(report: str, errors: str) -> Verdict:
    """`report`: pip-audit's JSON, "" if it wrote none; `errors`: what it said besides. What it found counts before what failed."""
    if not report.strip():
        last = tuple(errors.strip().splitlines()[-LAST_LINES:])
        if NETWORK.search(errors):
            return Verdict(UNREACHABLE, ("dependencies were not audited: the service cannot be reached", *last[-1:]))
        return Verdict(BROKEN, ("pip-audit gave no report:", *last))
    packages = json.loads(report)["dependencies"]
    found = [
        f"{package['name']} {package['version']}: {problem['id']}, fixed in {', '.join(problem['fix_versions']) or 'no version'}"
        for package in packages
        for problem in package.get("vulns", ())
    ]
    unknown = [
        f"{package['name']} was not audited: {package['skip_reason']}"
        for package in packages
        if "skip_reason" in package
    ]
    if found:
        return Verdict(VULNERABLE, ("known vulnerabilities:", *found, *unknown))
    if len(unknown) == len(packages):
        return Verdict(BROKEN, ("nothing was audited:", *unknown[:LAST_LINES]))
    return Verdict(CLEAN, (f"no known vulnerabilities in {len(packages) - len(unknown)} packages", *unknown))


def audit(deadline_s: float = DEADLINE_S) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        what = ["--requirement", str(LOCK), "--no-deps", "--disable-pip", "--vulnerability-service", "osv"]
        how = ["--timeout", str(ANSWER_S), "--progress-spinner", "off", "--desc", "off"]
        argv = [sys.executable, "-m", "pip_audit", *what, *how, "--format", "json", "--output", str(report)]
        try:
            done = subprocess.run(argv, capture_output=True, text=True, timeout=deadline_s, check=False)
        except subprocess.TimeoutExpired:
            return Verdict(UNREACHABLE, (f"dependencies were not audited: no answer within {deadline_s:g} s",))
        return judge(report.read_text(encoding="utf-8") if report.exists() else "", done.stderr)


def main(arguments: list[str]) -> int:
    if set(arguments) - {"--where-it-can"}:
        print("usage: scripts/audit [--where-it-can]", file=sys.stderr)
        return BROKEN
    verdict = audit()
    for line in verdict.lines:
        print(line, file=sys.stderr if verdict.code else sys.stdout)
    return CLEAN if verdict.code == UNREACHABLE and arguments else verdict.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
