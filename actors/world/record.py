"""What the supervisor keeps in the store: the map, the plan that is being carried out and how far it is, and which nodes drain."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import orjson

from actors.world.plans import Plan
from cluster.schema import known
from cluster.worldmap import WorldMap

REMEMBERED = 50  # plans that have ended
CANCELLED = "an operator has cancelled it"

Outcome = Literal["done", "rolled back"]


@dataclass(frozen=True, slots=True)
class Progress:
    """`done` steps of the plan are done. `undoing`: why it is being rolled back, empty while it is not."""

    plan: Plan
    done: int = 0
    undoing: str = ""

    @property
    def committed(self) -> bool:
        return self.plan.committed(self.done)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a plan ended, at `at` (Unix seconds)."""

    plan: str
    what: str
    outcome: Outcome
    why: str
    at: float
    zones: tuple[str, ...] = ()

    @property
    def cancelled(self) -> bool:
        """It was rolled back because an operator wanted that."""
        return self.outcome == "rolled back" and self.why == CANCELLED

    @classmethod
    def load(cls, said: dict[str, Any]) -> Finished:
        return cls(**{**known(cls, said), "zones": tuple(said.get("zones", ()))})


@dataclass(frozen=True, slots=True)
class WorldRecord:
    """All of it is written in one step. `draining`: Ray's ids of nodes that the operator empties.

    `ended`: the newest plans that have ended, the last one last, so that nobody who asks for a plan again has it done twice.
    """

    map: WorldMap
    progress: Progress | None = None
    draining: frozenset[str] = field(default=frozenset())
    last: Finished | None = None
    ended: tuple[Finished, ...] = ()

    def how_ended(self, plan_id: str) -> Finished | None:
        """How that plan ended; None if it has not, or too long ago."""
        return next((finished for finished in reversed(self.ended) if finished.plan == plan_id), None)

    def finished(self, last: Finished) -> WorldRecord:
        """The record without the plan."""
        return replace(self, progress=None, last=last, ended=(*self.ended, last)[-REMEMBERED:])

    def dump(self) -> tuple[bytes, bytes]:
        """(map, plan) of `WorldStore.save`."""
        progress = self.progress
        said = {
            "plan": progress.plan.as_dict() if progress else None,
            "done": progress.done if progress else 0,
            "undoing": progress.undoing if progress else "",
            "draining": sorted(self.draining),
            "last": asdict(self.last) if self.last else None,
            "ended": [asdict(finished) for finished in self.ended],
        }
        return self.map.dump(), orjson.dumps(said)

    @classmethod
    def load(cls, world_map: bytes, plan: bytes) -> WorldRecord:
        """Raises ValueError if it is none."""
        said = orjson.loads(plan) if plan else {}
        try:
            progress = (
                Progress(Plan.from_dict(said["plan"]), said["done"], said["undoing"]) if said.get("plan") else None
            )
            last = Finished.load(said["last"]) if said.get("last") else None
            ended = tuple(Finished.load(finished) for finished in said.get("ended", ()))
            return cls(WorldMap.load(world_map), progress, frozenset(said.get("draining", ())), last, ended)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no record of the world: {error}") from None
