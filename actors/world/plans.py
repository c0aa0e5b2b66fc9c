"""What changes the world: a plan is a value, one can print it, test it and refuse it (row 7.3).

`planning.py` makes plans, `executor.py` carries them out.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import orjson

from cluster.worldmap import WorldMap

Kind = Literal["split", "merge", "move", "restart", "add", "remove", "standby"]
StepName = Literal[
    "start",  # the zone's actor in `slot`, on `node` if that is not empty
    "await_owner",  # until it says that it owns its zone
    "await_following",  # until it says that it follows its zone's owner, on `node` if that is not empty
    "commit",  # the plan's map `slot` is the world's now
    "tell",  # every zone near those of the plan has the map
    "settle",  # until the zone has no entity beyond its border
    "retire",  # until the zone has neither entities nor arrivals, and has discarded what it kept
    "promote",  # `slot` is asked to own the zone
    "verify",  # until it does
    "dismiss",  # the zone's actor in `slot` ends, which must not be the owner
    "stop",  # the zone's actor in `slot` ends, owner or not
]

SAID: dict[StepName, str] = {
    "start": "start actor {slot} of {zone}{on}",
    "await_owner": "wait until actor {slot} of {zone} owns it",
    "await_following": "wait until actor {slot} of {zone} follows the owner{on}",
    "commit": "the map of version {version} holds",
    "tell": "tell the zones near",
    "settle": "wait until {zone} has handed over who stands beyond its border",
    "retire": "wait until {zone} is empty, and discard what it kept",
    "promote": "actor {slot} of {zone} takes over",
    "verify": "wait until actor {slot} of {zone} owns it",
    "dismiss": "end actor {slot} of {zone}, which does not own it",
    "stop": "end actor {slot} of {zone}",
}


@dataclass(frozen=True, slots=True)
class Step:
    """Each can be done again: a restarted supervisor does not know whether the last one was done."""

    name: StepName
    zone: str = ""
    slot: int = 0
    node: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """`before`: the version of the map that it starts from; `maps`: those that it commits, one after the other.

    `zones`: whose ground or actors it changes; nobody else should meanwhile. `what` says it in a line, `why` the reason: an
    operator's command, or what the policy saw.
    """

    id: str
    kind: Kind
    what: str
    why: str
    zones: tuple[str, ...]
    before: int
    maps: tuple[WorldMap, ...]
    steps: tuple[Step, ...]

    @property
    def after(self) -> WorldMap:
        return self.maps[-1]

    def committed(self, done: int) -> bool:
        """Whether there is no way back once `done` of its steps are done."""
        return any(step.name == "commit" for step in self.steps[:done])

    def describe(self) -> str:
        """For people: lines of text."""
        return "\n".join(
            [
                f"{self.kind} {self.id}: {self.what}",
                f"  because {self.why}",
                f"  from map {self.before} to map {self.after.version}",
                *(f"  {number}. {self.say(step)}" for number, step in enumerate(self.steps, 1)),
            ]
        )

    def say(self, step: Step) -> str:
        on = f" on {step.node}" if step.node else ""
        version = self.maps[step.slot].version if step.name == "commit" else 0
        return SAID[step.name].format(zone=step.zone, slot=step.slot, on=on, version=version)

    def as_dict(self) -> dict[str, Any]:
        """JSON."""
        maps = [orjson.loads(world_map.dump()) for world_map in self.maps]
        steps = [asdict(step) for step in self.steps]
        plain = {name: getattr(self, name) for name in ("id", "kind", "what", "why", "before")}
        return {**plain, "zones": list(self.zones), "maps": maps, "steps": steps}

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> Plan:
        """Raises ValueError if it is no plan."""
        try:
            maps = tuple(WorldMap.load(orjson.dumps(world_map)) for world_map in said["maps"])
            steps = tuple(Step(**step) for step in said["steps"])
            zones = tuple(said["zones"])
            plan = cls(said["id"], said["kind"], said["what"], said["why"], zones, int(said["before"]), maps, steps)
        except (KeyError, TypeError) as error:
            raise ValueError(f"no plan: {error}") from None
        unknown = {step.name for step in steps} - set(get_args(StepName))
        wrong = any(step.name == "commit" and not 0 <= step.slot < len(maps) for step in steps)
        if unknown or wrong or not maps or plan.kind not in get_args(Kind):
            raise ValueError(f"no plan: {plan.kind}, steps {sorted(unknown)}")
        return plan
