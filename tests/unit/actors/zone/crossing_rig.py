"""Two zones that touch, three players at their border, and what must be true when one of them has crossed it."""

from __future__ import annotations

from tests.unit.actors.zone.owner_rig import Player, Rig

WEST, EAST = "zon_west", "zon_east"
WHOLE = (WEST, 0.0, 0.0, 100.0, 100.0)
TWO = (WHOLE, (EAST, 100.0, 0.0, 200.0, 100.0))


async def at_the_border(rig: Rig) -> tuple[Player, Player, Player]:
    """ann about to cross, bob beyond the border, cat behind her; all see each other."""
    ann, bob, cat = (rig.player(name) for name in ("ann", "bob", "cat"))
    await ann.enter(WEST, 97.0)
    await bob.enter(EAST, 110.0)
    await cat.enter(WEST, 80.0)
    await rig.until(lambda: ann.sees == {"bob", "cat"} and bob.sees == {"ann", "cat"} and cat.sees == {"ann", "bob"})
    return ann, bob, cat


async def all_is_well(rig: Rig, ann: Player, *others: Player, dead: str = "") -> None:
    """ann is in the east alone, as everybody knows, walks on and is seen; nobody saw her leave whose zone has not died."""
    await rig.until(lambda: rig.holders("ann") == [EAST] and ann.zone_id == EAST)
    assert await rig.store.zones_of([ann.session_id]) == {ann.session_id: EAST}
    assert await rig.kept("ann") == [EAST]
    names = {player.name for player in (ann, *others)}
    await rig.until(lambda: all(player.sees == names - {player.name} for player in (ann, *others)))
    await ann.walk_to(ann.x + 2.0)
    await rig.until(lambda: all(abs((other.x_of("ann") or 0.0) - ann.x) < 0.011 for other in others))
    assert [player.strange for player in (ann, *others)] == [[]] * (1 + len(others))
    assert [player.left for player in others if player.zone_id != dead] == [[]] * (len(others) - bool(dead))


async def arriving(rig: Rig) -> bool:
    """The store has handed her over."""
    return await rig.kept("ann") == [">" + EAST]


async def claimed(rig: Rig) -> bool:
    """The store has her in the east."""
    return await rig.kept("ann") == [EAST]


async def admitted(rig: Rig) -> bool:
    """The east knows that she is its own."""
    return rig.owners[EAST].zone.admitted == 1
