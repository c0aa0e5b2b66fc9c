"""When the supervisor changes the world by itself (row 7.3): what it sees goes in, one decision comes out, or why there is none.

In this order: a node that drains is emptied; zones are spread when a node joins; a zone whose ticks take too long is split; quiet
neighbours are merged. Against flapping: a state must last for `sustain_s`, nothing is split or merged within `cooldown_s` of the
last time, only what would stay far from being split again is merged, and a zone that was split lately must be quiet for longer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from actors.world.planning import union
from actors.world.plans import Kind
from actors.world.seen import ZoneSeen, fit
from cluster.ports.actors import Node
from cluster.world_settings import PolicySettings
from cluster.worldmap import MapZone, WorldMap

LOWEST_MERGED = 0.5  # of the time and the number at which a zone is split: two together must be below it
REMEMBERED_S = 3_600.0  # a split counts for so long against the next merge
MOST_DOUBLINGS = 4
UNEVEN = 2  # zones more than another node has


@dataclass(frozen=True, slots=True)
class Decision:
    """`args` as of the command: the zone, the two zones, or the zone and the node's id."""

    kind: Kind
    args: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do, if anything, and what speaks against the rest."""

    decision: Decision | None
    reasons: tuple[str, ...]


Zones = Mapping[str, ZoneSeen]
Lasting = Mapping[tuple[str, ...], float]  # who is in a state, and for how long


class Policy:
    """`now` is seconds of any one clock throughout. `changed_at`: when a plan last ended, of which this policy saw nothing."""

    def __init__(self, settings: PolicySettings, capacity: int, changed_at: float = float("-inf")) -> None:
        self._settings = settings
        self._capacity = capacity
        self._changed_at = changed_at  # by a split or a merge
        self._ended_at = changed_at  # the last plan
        self._since: dict[tuple[str, ...], float] = {}  # a state that has to last -> when it began
        self._splits: dict[str, list[float]] = {}  # by declared zone
        self._wait_until = float("-inf")
        self._nodes: frozenset[str] | None = None  # that take zones
        self._filling: set[str] = set()  # nodes that joined, or are drained no more, and are not full enough yet

    def changed(self, now: float, kind: Kind, declared: str) -> None:
        """A plan has ended, whoever wanted it. `declared`: the operator's zone that it was about."""
        self._since.clear()
        self._ended_at = now
        if kind in ("split", "merge"):
            self._changed_at = now
        if kind == "split":
            self._splits.setdefault(declared, []).append(now)

    def failed(self, now: float) -> None:
        """A decision was refused, or its plan was rolled back."""
        self._since.clear()
        self._wait_until = now + self._settings.sustain_s

    def decide(self, now: float, world: WorldMap, zones: Zones, nodes: Sequence[Node], busy: str = "") -> Verdict:
        """`zones`: those whose owners answer. `busy`: the plan that is being carried out."""
        self._note_nodes(nodes)
        hot = self._lasting(now, "hot", {(zone.id,) for zone in world if self._is_hot(zones.get(zone.id))})
        quiet = self._lasting(now, "quiet", {(a.id, b.id) for a, b in self._quiet_pairs(world, zones)})
        if busy:
            return Verdict(None, (f"plan {busy} is being carried out",))
        if now < self._wait_until:
            return Verdict(None, ("the last plan failed",))
        reasons: list[str] = []
        for verdict in self._in_order(now, world, zones, nodes, hot, quiet):
            if verdict.decision is not None:
                return verdict
            reasons += verdict.reasons
        return Verdict(None, tuple(reasons))

    def _in_order(
        self, now: float, world: WorldMap, zones: Zones, nodes: Sequence[Node], hot: Lasting, quiet: Lasting
    ) -> Iterator[Verdict]:
        yield self._empty_a_node(zones, nodes)
        if not self._settings.enabled:
            yield Verdict(None, ("world.policy.enabled is off",))
            return
        yield self._spread(now, world, zones, nodes)
        if (left := self._changed_at + self._settings.cooldown_s - now) > 0:
            yield Verdict(None, (f"the world was changed lately: {left:.0f} s to go",))
            return
        yield self._split(world, zones, hot)
        yield self._merge(now, world, zones, quiet)

    # --- states that have to last ------------------------------------------------------------------------------

    def _lasting(self, now: float, state: str, holders: set[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
        """For how long each has been in the state."""
        for key in [key for key in self._since if key[0] == state and key[1:] not in holders]:
            del self._since[key]
        return {holder: now - self._since.setdefault((state, *holder), now) for holder in holders}

    def _is_hot(self, zone: ZoneSeen | None) -> bool:
        return zone is not None and zone.tick_ms_p95 > self._settings.split_tick_ms

    def _quiet_pairs(self, world: WorldMap, zones: Zones) -> list[tuple[MapZone, MapZone]]:
        """Neighbours from one declared zone, in the map's order, that could be one again."""
        here = [zone for zone in world if not zone.into and zone.id in zones]
        return [
            (a, b)
            for n, a in enumerate(here)
            for b in here[n + 1 :]
            if a.declared == b.declared
            and union(a.bounds, b.bounds) is not None
            and self._is_quiet_together(zones[a.id], zones[b.id])
        ]

    def _is_quiet_together(self, a: ZoneSeen, b: ZoneSeen) -> bool:
        s = self._settings
        each = max(a.tick_ms_p95, b.tick_ms_p95) <= s.merge_tick_ms
        together, work = a.population + b.population, a.tick_ms_p95 + b.tick_ms_p95
        cool = work <= LOWEST_MERGED * s.split_tick_ms
        return each and cool and together <= min(s.merge_population, self._capacity)

    # --- what may be done --------------------------------------------------------------------------------------

    def _empty_a_node(self, zones: Zones, nodes: Sequence[Node]) -> Verdict:
        on = self._settings.enabled
        draining = {node.id: node for node in nodes if node.draining and (on or node.by_command)}
        there = sorted(zone.zone for zone in zones.values() if zone.node in draining)
        if not there:
            return Verdict(None, ())
        target = self._emptiest(zones, nodes)
        leaves = draining[zones[there[0]].node]
        if target is None:
            return Verdict(None, (f"{leaves.short} drains, and no other node takes its zones",))
        return Verdict(
            Decision("move", (there[0], target.id), f"{leaves.short} drains, {len(there)} zones are left there"), ()
        )

    def _split(self, world: WorldMap, zones: Zones, hot: Lasting) -> Verdict:
        s = self._settings
        reasons = []
        for (zone_id,), lasted in sorted(hot.items(), key=lambda item: -zones[item[0][0]].tick_ms_p95):
            zone, ground = zones[zone_id], world.find(zone_id)
            takes = f"ticks of {zone_id} take {zone.tick_ms_p95:.1f} ms (p95)"
            if lasted < s.sustain_s:
                reasons.append(f"{takes}, but for {lasted:.0f} s only")
            elif zone.population < s.split_population:
                reasons.append(f"{takes}, but it has {zone.population} entities only")
            elif ground is None or ground.into or not self._is_wide_enough(ground):
                reasons.append(f"{takes}, but it is too small to be split")
            else:
                why = f"{takes} for {lasted:.0f} s, more than {s.split_tick_ms:g}; it has {zone.population} entities"
                self._since.pop(("hot", zone_id), None)  # if it is refused, it has to last again
                return Verdict(Decision("split", (zone_id,), why), ())
        return Verdict(None, tuple(reasons))

    def _is_wide_enough(self, zone: MapZone) -> bool:
        b = zone.bounds
        return max(b.max_x - b.min_x, b.max_z - b.min_z) >= 2 * self._settings.split_min_side

    def _note_nodes(self, nodes: Sequence[Node]) -> None:
        able = frozenset(node.id for node in nodes if not node.draining)
        if self._nodes is not None:
            self._filling |= able - self._nodes
        self._nodes = able
        self._filling &= {node.id for node in fit(nodes)}

    def _spread(self, now: float, world: WorldMap, zones: Zones, nodes: Sequence[Node]) -> Verdict:
        """From the fullest node to one that joined or is empty. Nodes that were made uneven by command stay so.

        Each such move makes the difference smaller, so it need not wait. But who empties a node by command is about to do
        something with it: that node is left alone for the cool-down.
        """
        if missing := [zone.id for zone in world if zone.id not in zones]:
            return Verdict(None, (f"{', '.join(missing)} does not answer",))
        able = {node.id: node for node in nodes if not node.draining}
        load = {node_id: [z for z in zones.values() if z.node == node_id] for node_id in able}
        settled = now >= self._ended_at + self._settings.cooldown_s
        targets = [n for n in fit(nodes) if n.id in self._filling or (settled and not load[n.id])]
        if not targets or len(able) < 2:
            return Verdict(None, ())
        target = min(targets, key=lambda node: (len(load[node.id]), node.id))
        fullest = max(able.values(), key=lambda node: (len(load[node.id]), node.id))
        more = len(load[fullest.id]) - len(load[target.id])
        if more < UNEVEN:
            self._filling.discard(target.id)
            return Verdict(None, (f"{target.short} has {len(load[target.id])} zones, no node has many more",))
        zone = _that_evens_out(load[fullest.id], load[target.id])
        why = f"{fullest.short} has {len(load[fullest.id])} zones, {target.short} {len(load[target.id])}"
        self._filling.add(target.id)
        return Verdict(Decision("move", (zone.zone, target.id), why), ())

    def _merge(self, now: float, world: WorldMap, zones: Zones, quiet: Lasting) -> Verdict:
        reasons = []
        for (a, b), lasted in sorted(quiet.items(), key=lambda item: (-item[1], item[0])):
            zone = world.find(a)
            wanted = self._quiet_needed(now, zone.declared if zone else a)
            together = zones[a].population + zones[b].population
            if lasted < wanted:
                reasons.append(f"{a} and {b} are quiet, but for {lasted:.0f} s only, not {wanted:.0f}")
                continue
            why = (
                f"{a} and {b} are quiet for {lasted:.0f} s: {together} entities, ticks of "
                f"{zones[a].tick_ms_p95:.1f} and {zones[b].tick_ms_p95:.1f} ms (p95)"
            )
            self._since.pop(("quiet", a, b), None)
            return Verdict(Decision("merge", (a, b), why), ())
        return Verdict(None, tuple(reasons))

    def _quiet_needed(self, now: float, declared: str) -> float:
        """Twice as long for each time that the zone was split lately."""
        lately = [at for at in self._splits.get(declared, ()) if now - at < REMEMBERED_S]
        if lately:
            self._splits[declared] = lately
        else:
            self._splits.pop(declared, None)
        return self._settings.sustain_s * 2.0 ** min(len(lately), MOST_DOUBLINGS)

    def _emptiest(self, zones: Zones, nodes: Sequence[Node]) -> Node | None:
        counted = [zone.node for zone in zones.values()]
        return min(fit(nodes), key=lambda node: (counted.count(node.id), node.id), default=None)


def _that_evens_out(fullest: Sequence[ZoneSeen], target: Sequence[ZoneSeen]) -> ZoneSeen:
    """The busiest zone that does not make the other node the busier one; else the quietest."""
    half = (sum(zone.tick_ms_p95 for zone in fullest) - sum(zone.tick_ms_p95 for zone in target)) / 2
    by_work = sorted(fullest, key=lambda zone: (-zone.tick_ms_p95, zone.zone))
    return next((zone for zone in by_work if zone.tick_ms_p95 <= half), by_work[-1])
