"""Which topics the live feed has (row 7.8), and where each comes from: the same operations as everything else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from cluster.operations import conduct
from cluster.operations.model import Operator, Role
from serve_apps.console.accounts import Who
from serve_apps.console.history import History
from serve_apps.console.logs import LogLines, LogsTopic
from serve_apps.console.routes import ConsoleDeps, job_view
from serve_apps.console.topics import JOBS_SHOWN, Diffed, Samples, Topic, Whole

# Topic -> the look that it shows, the member of that look's result that holds things, and the one that names each.
LOOKS = {
    "overview": ("realm.overview", "", ""),
    "map": ("world.map", "zones", "zone"),
    "heat": ("world.heat", "zones", ""),
    "gateways": ("gateways.list", "gateways", "gateway"),
    "nodes": ("nodes.list", "nodes", "node"),
}
JOBS, SAMPLES, LOGS = "jobs", "samples", "logs"
# Shared by all who follow: it shows what every role may see.
_EYE = Operator("operator:feed", Role.VIEWER, "console")

Build = Callable[[], Topic]


class Topics:
    """`make` is what the feed asks. `lines`: the newest log lines."""

    def __init__(self, deps: ConsoleDeps, history: History, lines: LogLines) -> None:
        self._deps = deps
        self._history = history
        self._lines = lines

    def make(self, name: str, who: Who) -> tuple[str, Build] | None:
        """The key under which it is shared, and how it is made; None: there is no such topic."""
        kind, _, query = name.partition("?")
        if kind in LOOKS and LOOKS[kind][0] in self._deps.registry.operations:
            look, things, key = LOOKS[kind]
            return kind, lambda: Diffed(self._look(look), things, key)
        if kind == SAMPLES:
            return kind, lambda: Samples(self._history)
        if kind == JOBS:  # results are for those who ordered them
            operator = who.operator
            return f"{kind}/{operator.name}/{operator.role.name}", lambda: Diffed(self._jobs(operator), "jobs", "id")
        if kind == LOGS:
            wanted = dict(parse_qsl(query))
            return name, lambda: LogsTopic(self._lines, wanted)
        return None

    def _look(self, name: str) -> Callable[[], Awaitable[Whole]]:
        async def read() -> Whole:
            result = await conduct.look(self._deps.desk, self._deps.registry, _EYE, name, {})
            return result.model_dump(mode="json")

        return read

    def _jobs(self, operator: Operator) -> Callable[[], Awaitable[Whole]]:
        async def read() -> Whole:
            total, found = await self._deps.job_store.newest(0, JOBS_SHOWN)
            views = [job_view(self._deps.jobs, job, operator).model_dump(mode="json") for job in found]
            return {"total": total, "jobs": views}

        return read
