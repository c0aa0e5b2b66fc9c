"""What a zone shows to whom: the views of its viewers, tick by tick (rows 3.4 to 3.6). Plain Python over the zone's columns.

After every tick, who was fed these views knows what a fresh snapshot would say, but for the places that are still owed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from actors.zone.entities import NO_GATEWAY, Entity, EntityTable
from actors.zone.interest import MASK, NOTHING, SHIFT, Change, look
from actors.zone.oversize import parts
from actors.zone.pacing import Pacing, Turn
from actors.zone.states import WIDTH, Audience, States
from actors.zone.views import Beginning, Broadcast, News, outputs
from cluster.world_settings import WorldSettings
from realm_proto import internal_pb2

SAY_AGAIN_S = 0.5  # a reset after a hand-over, until the gateway says that it is shown
CHANGE = 1 << 20  # in a key of a state: only what changed


class Showing:
    """Times are seconds on the zone's clock. `resyncs` counts the gateways that lost an output.

    `lap(part)`: called when a part of a tick is done: interest, encode, outputs.
    """

    def __init__(self, table: EntityTable, world: WorldSettings, zone_id: str, epoch: int) -> None:
        self.resyncs = 0
        self.lap: Callable[[str], None] = lambda part: None
        self._table = table
        self._interest = world.interest
        self._zone_id, self._epoch = zone_id, epoch
        self._states = States(table, world.types)
        self._said = Broadcast(table)
        self._pacing = Pacing(world.interest, 1 / world.tick_hz, table.capacity)
        self._edges = NOTHING
        self._gateways: dict[str, int] = {}
        self._gateway_names: list[str] = []
        self._outputs: dict[str, int] = {}
        self._fresh: set[int] = set()  # viewers whose next view starts from nothing
        self._unconfirmed: dict[int, float] = {}  # viewers that were handed over -> when their reset is due again
        self._elsewhere: set[int] = set()  # entities that may stand elsewhere than was said, though they did not move
        self._unsettled = True  # someone came, left or moved since interest was last computed

    # --- gateways ----------------------------------------------------------------------------------------------

    def gateway_index(self, gateway_id: str) -> int:
        """A gateway's index in the table's column; a new one if need be."""
        index = self._gateways.get(gateway_id)
        if index is None:
            index = self._gateways[gateway_id] = len(self._gateway_names)
            self._gateway_names.append(gateway_id)
        return index

    def gateway_name(self, index: int) -> str:
        return self._gateway_names[index]

    def known_gateway(self, gateway_id: str) -> int | None:
        """Its index, if it ever had a viewer here."""
        return self._gateways.get(gateway_id)

    def outputs_to(self, gateway_id: str) -> int:
        """How many outputs the gateway was sent since its views began from nothing."""
        return self._outputs.get(gateway_id, 0)

    def resync(self, gateway_id: str) -> None:
        """The gateway has lost an output: the next view of each of its viewers starts from nothing; its outputs count from 1."""
        index = self._gateways.get(gateway_id)
        if index is None:
            return
        self.resyncs += 1
        self._outputs.pop(gateway_id, None)
        self._fresh.update(np.flatnonzero(self._table.gateway == index).tolist())

    def shown(self, gateway_id: str, numbers: Iterable[int]) -> None:
        """The gateway has the first views of these, who were handed over to this zone."""
        index = self._gateways.get(gateway_id)
        for number in numbers:
            if number in self._unconfirmed and self._table.gateway[number] == index:
                del self._unconfirmed[number]

    # --- who is here -------------------------------------------------------------------------------------------

    def connect(self, entity: Entity, handed_over: bool = False) -> None:
        """Views of the entity go to its gateway from now on, and start from nothing; without a gateway there are none.

        `handed_over`: they also say whose they are, as the gateway may not know, and begin again until it says `shown`.
        """
        number = entity.number
        self.disconnect(number)
        self._elsewhere.add(number)
        if entity.gateway_id:
            self._table.gateway[number] = self.gateway_index(entity.gateway_id)
            self._fresh.add(number)
            if handed_over:
                self._unconfirmed[number] = float("-inf")

    def disconnect(self, number: int) -> None:
        """No views any more; the entity stays."""
        self._table.gateway[number] = NO_GATEWAY
        self._stop_viewing(number)

    def forget(self, number: int) -> None:
        """The entity is gone, and out of the table."""
        self._stop_viewing(number)
        self._states.forget(number)
        self._elsewhere.discard(number)

    def _stop_viewing(self, number: int) -> None:
        self._fresh.discard(number)
        self._unconfirmed.pop(number, None)
        self._unsettled = True

    def changed(self, number: int, names: Iterable[str] | None = None) -> None:
        """Properties changed: viewers are told with the next tick. None: all of it again, it may be another one, or elsewhere."""
        self._states.changed(number, names)
        if names is None:
            self._elsewhere.add(number)

    def unsettle(self) -> None:
        """Someone came, left or moved."""
        self._unsettled = True

    def start_over(self) -> None:
        """Every viewer's next view starts from nothing: a tick failed, and nobody knows what was sent of it."""
        self._edges = NOTHING
        self._pacing.clear()
        self._outputs.clear()
        self._states.flush()
        self._fresh = set(np.flatnonzero(self._table.gateway != NO_GATEWAY).tolist())
        self._unsettled = True

    # --- who sees what -----------------------------------------------------------------------------------------

    def seen_by(self, number: int) -> list[int]:
        """The entities that the viewer sees, as of the last tick."""
        start, stop = self._span(number)
        return [n for n in (self._edges[start:stop] & MASK).tolist() if n in self._table.by_number]

    def visible(self, entity: Entity, viewer: int) -> dict[str, Any]:
        """The properties of the entity that the viewer may see."""
        if entity.number == viewer:
            return self._states.visible(entity, Audience.OWNER)
        start, stop = self._span(viewer)
        at = start + int(np.searchsorted(self._edges[start:stop], viewer << SHIFT | entity.number))
        near = at < stop and self._edges[at] & MASK == entity.number and not self._pacing.far[at]
        return self._states.visible(entity, Audience.NEAR if near else Audience.ALL)

    def watched(self) -> np.ndarray:
        """A mask: whom some viewer sees."""
        mask = np.zeros(self._table.capacity, bool)
        mask[self._edges & MASK] = True
        return mask

    def _span(self, viewer: int) -> tuple[int, int]:
        start, stop = np.searchsorted(self._edges, (viewer << SHIFT, (viewer + 1) << SHIFT)).tolist()
        return start, stop

    # --- the tick ----------------------------------------------------------------------------------------------

    def tick(
        self, now: float, ticks: int, moved: np.ndarray, acked: np.ndarray, corrections: dict[int, bytes]
    ) -> list[tuple[str, bytes]]:
        """The news of a tick: (gateway id, serialised ZoneOutput) for every gateway that has any, no viewer twice.

        `moved`, `acked`: masks of who moved and whose moves were judged; `corrections`: serialised Correction by entity number.
        After this the numbers of those who left may be used again (`EntityTable.end_tick`). If it raises: `start_over`.
        """
        for number, due in self._unconfirmed.items():
            if now >= due:
                self._fresh.add(number)
        stirred = self._unsettled or bool(self._fresh) or bool(self._elsewhere) or bool(moved.any())
        if not (stirred or self._states.pending or self._pacing.owing or corrections or acked.any()):
            return []
        fresh = self._begin(now)
        change = self._look() if stirred else self._pacing.same(self._edges)
        self._edges = change.edges
        self.lap("interest")
        entered = np.flatnonzero(change.entered)
        anew = np.unique(change.edges[entered] & MASK)
        self._states.learn(anew.tolist())
        elsewhere = [number for number in self._elsewhere if self._table.alive[number]]
        news, steps = self._said.say(moved, np.concatenate([anew, np.array(elsewhere, np.int64)]))
        turn = self._pacing.turn(change, news, steps, now, ticks)
        told, keys = self._told(turn, entered, fresh)
        said = News(acked, told, keys, change.ended, fresh, corrections)
        self.lap("encode")
        made = outputs(turn, said, self._said, self._table, self._active_gateways(), self._state_of)
        self._states.flush()
        self._elsewhere.clear()
        self._unsettled = False
        messages: list[tuple[str, bytes]] = []
        for index, out in made.items():
            out.zone_id, out.epoch, out.tick = self._zone_id, self._epoch, ticks & 0xFFFFFFFF
            gateway_id = self._gateway_names[index]
            messages += ((gateway_id, self._numbered(gateway_id, data)) for data in parts(out))
        self.lap("outputs")
        return messages

    def _begin(self, now: float) -> dict[int, Beginning]:
        """Whose views start from nothing; what these viewers saw is forgotten."""
        if not self._fresh:
            return {}
        starts = np.zeros(self._table.capacity, bool)
        starts[list(self._fresh)] = True
        kept = ~starts[self._edges >> SHIFT]
        self._edges = self._edges[kept]
        self._pacing.keep(kept)
        fresh = {}
        for number in sorted(self._fresh):
            entity = self._table.by_number[number]
            if number in self._unconfirmed:
                self._unconfirmed[number] = now + SAY_AGAIN_S
                fresh[number] = Beginning(entity.attach_epoch, entity.session_id, entity.transfer)
            else:
                fresh[number] = Beginning(entity.attach_epoch)
        self._fresh = set()
        return fresh

    def _look(self) -> Change:
        table, interest = self._table, self._interest
        sees = table.gateway != NO_GATEWAY
        return look(table.position, table.alive, sees, self._edges, interest.radius, interest.hysteresis)

    def _told(self, turn: Turn, entered: np.ndarray, fresh: dict[int, Beginning]) -> tuple[np.ndarray, np.ndarray]:
        """Viewers, sorted, and the key of a state that each is told: of whom it sees, and of its own entity."""
        states, table = self._states, self._table
        pending = {number: names for number, names in states.pending.items() if table.alive[number]}
        at = entered
        if pending or turn.flipped is not None:
            changed, again = np.zeros(table.capacity, bool), np.zeros(table.capacity, bool)
            changed[list(pending)] = True
            again[[number for number, names in pending.items() if names is None]] = True
            tells = changed[turn.seen]
            whole = again[turn.seen]
            if turn.flipped is not None:
                whole |= turn.flipped & states.banded[turn.seen]
            whole[entered] = True
            at = np.flatnonzero(tells | whole)
        if not (len(at) or pending or fresh):
            return NOTHING, NOTHING
        seen = turn.seen[at]
        keys = seen * WIDTH
        near = np.where(self._pacing.far[at], Audience.ALL, Audience.NEAR)
        keys += np.where(states.told_apart[seen], near, Audience.ALL)
        if at is not entered:
            keys += np.where(whole[at], 0, CHANGE)
        own = sorted(number for number in fresh.keys() | pending.keys() if table.gateway[number] != NO_GATEWAY)
        mine = [n * WIDTH + Audience.OWNER + (0 if n in fresh or pending[n] is None else CHANGE) for n in own]
        viewers = np.concatenate([turn.seer[at], np.array(own, np.int64)])
        order = np.argsort(viewers, kind="stable")
        return viewers[order], np.concatenate([keys, np.array(mine, np.int64)])[order]

    def _state_of(self, key: int) -> bytes:
        return self._states.change(key - CHANGE) if key >= CHANGE else self._states.whole(key)

    def _active_gateways(self) -> list[int]:
        used = self._table.gateway[self._table.alive]
        return [int(index) for index in np.unique(used) if index != NO_GATEWAY]

    def _numbered(self, gateway_id: str, data: bytes) -> bytes:
        """With the output's number, by which the gateway knows that it has them all. Fields of a message may come piecemeal."""
        self._outputs[gateway_id] = number = self._outputs.get(gateway_id, 0) + 1
        return data + internal_pb2.ZoneOutput(number=number).SerializeToString()
