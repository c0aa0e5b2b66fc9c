"""The last hour of figures, which the console keeps in its memory (row 7.8)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from cluster.operations.desk import Desk
from cluster.operations.model import Look, Operation, Params, Result

OVERALL = ("players", "sockets", "messages_per_s", "bytes_per_s", "tick_ms_p95", "queue_bytes")
OF_ZONES = ("tick_ms_p95", "population")
OF_GATEWAYS = ("sockets", "messages_per_s", "bytes_per_s", "queue_bytes")
OF_NODES = ("cpu", "memory")

Name = Annotated[str, Field(max_length=128)]


class Whose(Params):
    """Of a zone, a gateway or a node; of the whole realm if none is named."""

    zone: Name = ""
    gateway: Name = ""
    node: Name = ""

    @model_validator(mode="after")
    def _one(self) -> Whose:
        if sum(map(bool, (self.zone, self.gateway, self.node))) > 1:
            raise ValueError("one of zone, gateway and node, or none")
        return self

    @property
    def series(self) -> list[str]:
        """As the console calls them (serve_apps/console/sampling.py)."""
        if self.zone:
            return [f"{figure}:{self.zone}" for figure in OF_ZONES]
        if self.gateway:
            return [f"{figure}:{self.gateway}" for figure in OF_GATEWAYS]
        return [f"{figure}:{self.node}" for figure in OF_NODES] if self.node else list(OVERALL)


class Figures(Result):
    """`since`: when the console began to keep them (Unix seconds). `series`: [Unix seconds, value] each; None: nothing was heard.

    Bytes and messages are by the second, ticks in milliseconds, CPU and memory in percent of the node's.
    """

    since: float
    samples_s: float
    series: dict[str, list[tuple[float, float | None]]]


async def _show(desk: Desk, params: Whose) -> Figures:
    """Raises Unavailable while there is no console."""
    told: dict[str, Any] = await desk.ask_console("history", {"names": params.series})
    return Figures.model_validate(told)


OPERATIONS: tuple[Operation, ...] = (
    Look(
        name="history.show",
        summary="Figures of the last hour",
        params=Whose,
        result=Figures,
        run=_show,
        command="history",
    ),
)
