"""Two views as one, for a reader that is behind. Plain functions."""

from __future__ import annotations

from rayrealm_client.view import Move, Place, State, View, merged, newer_sequence


def merge(older: View, newer: View) -> View:
    """One view that leaves the same entities as `older` and then `newer`.

    Only places passed on the way are lost, so a slow reader never misses a state or a leave. Its size is
    bounded by the number of entities, not of views. A sum of moves may be further than one row can say.
    """
    correction = newer.correction or older.correction
    if newer.reset is not None:
        reset = newer.reset
        return View(newer.tick, newer.ack, newer.places, newer.moves, newer.states, newer.leaves, reset, correction)
    gone = set(newer.leaves)
    states: dict[int, State] = {}
    for state in (*(state for state in older.states if state.number not in gone), *newer.states):
        states[state.number] = _then(states.get(state.number), state)
    places: dict[int, Place] = {}
    moves: dict[int, Move] = {}
    for view in (older, newer):
        if view is newer:
            for number in gone:
                places.pop(number, None)
                moves.pop(number, None)
        for place in view.places:
            places[place.number] = place
            moves.pop(place.number, None)
        for move in view.moves:
            at = places.get(move.number)
            if at is not None:
                places[move.number] = _moved(at, move)
            else:
                moves[move.number] = _sum(moves.get(move.number), move)
    return View(
        newer.tick,
        newer.ack,
        tuple(places.values()),
        tuple(moves.values()),
        tuple(states.values()),
        tuple(dict.fromkeys((*older.leaves, *newer.leaves))),
        older.reset,
        correction,
    )


def _then(before: State | None, state: State) -> State:
    if before is None or not state.change:
        return state
    fold = dict.__or__ if before.change else merged  # a change keeps its nulls: they take something away later
    properties = fold(before.properties, state.properties)
    return State(
        state.number,
        before.entity_id,
        before.entity_type,
        before.name,
        state.version,
        properties,
        state.link_dead,
        before.change,
    )


def _moved(at: Place, move: Move) -> Place:
    x, y, z = at.x + move.dx, at.y + move.dy, at.z + move.dz
    return Place(at.number, newer_sequence(at.sequence, move.sequence), x, y, z, move.yaw)


def _sum(before: Move | None, move: Move) -> Move:
    if before is None:
        return move
    dx, dy, dz = before.dx + move.dx, before.dy + move.dy, before.dz + move.dz
    return Move(move.number, move.sequence, dx, dy, dz, move.yaw)
