"""What the supervisor keeps in the store: the map, the plan that is being carried out and how far it is, and which nodes drain."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal

import orjson

from actors.world.plans import Plan
from cluster.worldmap import WorldMap

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


@dataclass(frozen=True, slots=True)
class WorldRecord:
    """All of it is written in one step. `draining`: Ray's ids of nodes that the operator empties."""

    map: WorldMap
    progress: Progress | None = None
    draining: frozenset[str] = field(default=frozenset())
    last: Finished | None = None

    def dump(self) -> tuple[bytes, bytes]:
        """(map, plan) of `WorldStore.save`."""
        progress = self.progress
        said = {
            "plan": progress.plan.as_dict() if progress else None,
            "done": progress.done if progress else 0,
            "undoing": progress.undoing if progress else "",
            "draining": sorted(self.draining),
            "last": asdict(self.last) if self.last else None,
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
            last = Finished(**said["last"]) if said.get("last") else None
            return cls(WorldMap.load(world_map), progress, frozenset(said.get("draining", ())), last)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no record of the world: {error}") from None
