"""The gateway's side of the hot lane: moves out to zones in batches, views in from zones to clients."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np

from actors.zone.rows import MOVE_IN
from cluster.ports.bus import Bus
from cluster.subjects import Subjects
from realm_proto import internal_pb2
from serve_apps.gateway.client import Client
from serve_apps.gateway.pending import PendingView
from serve_apps.gateway.views import View, split

MAX_BATCH_BYTES = 512 * 1024
EARLY_LIMIT = 4_096
ASK_AGAIN_S = 0.5


class ZoneLink:
    """`write_view(client, view)` is where a view goes; `find(session_id)` a client of this gateway; `crossed(client, zone_id,
    number)` is told when a client's entity was handed over to another zone. Counters are plain ints, read when metrics are scraped.
    """

    def __init__(
        self,
        gateway_id: str,
        bus: Bus,
        subjects: Subjects,
        write_view: Callable[[Client, View], None],
        clock: Callable[[], float],
        find: Callable[[str], Client | None] = lambda session_id: None,
        crossed: Callable[[Client, str, int], None] = lambda client, zone_id, number: None,
    ) -> None:
        self.moves_in = 0
        self.outputs_in = 0
        self.stale_outputs = 0
        self.lost_outputs = 0
        self.crossings = 0
        self._find = find
        self._crossed = crossed
        self._calls: dict[str, list[internal_pb2.ZoneCall]] = {}
        self._call_bytes = 0
        self._shown: dict[str, list[int]] = {}  # entities that were handed over, and whose views have come
        self._gateway_id = gateway_id
        self._bus = bus
        self._subjects = subjects
        self._write_view = write_view
        self._pending: dict[str, bytearray] = {}
        self._viewers: dict[tuple[str, int], Client] = {}
        self._clock = clock
        self._epochs: dict[str, int] = {}
        self._numbers: dict[str, int] = {}  # zone -> the newest output's
        self._lost: dict[str, float] = {}  # zones of which an output was lost -> when they were asked to start over
        # A zone may send the first view before the answer to world.enter, or to the attach, is here: such views wait, merged,
        # with the attach that they are for.
        self._early: dict[tuple[str, int], tuple[int, PendingView]] = {}

    def move(self, zone_id: str, row: bytes) -> None:
        """A MOVE_IN row for the zone's next batch."""
        self.moves_in += 1
        self._send_move(zone_id, row)

    def _send_move(self, zone_id: str, row: bytes) -> None:
        pending = self._pending.get(zone_id)
        if pending is None:
            pending = self._pending[zone_id] = bytearray()
        pending += row
        if len(pending) >= MAX_BATCH_BYTES:
            self.flush()

    def call(self, zone_id: str, call: internal_pb2.ZoneCall) -> None:
        """A call for the zone's next batch."""
        self._calls.setdefault(zone_id, []).append(call)
        self._call_bytes += call.ByteSize()
        if self._call_bytes >= MAX_BATCH_BYTES:
            self.flush()

    def epoch(self, zone_id: str) -> int:
        """Of the zone's newest incarnation that was heard of, 0 if none was."""
        return self._epochs.get(zone_id, 0)

    def flush(self) -> None:
        """One ZoneInput per zone with moves, calls or confirmations; called every `input_flush_s`."""
        if self._lost:
            self._ask_to_start_over()
        if not (self._pending or self._calls or self._shown):
            return
        pending, self._pending = self._pending, {}
        calls, self._calls, self._call_bytes = self._calls, {}, 0
        shown, self._shown = self._shown, {}
        for zone_id in dict.fromkeys((*pending, *calls, *shown)):
            batch = internal_pb2.ZoneInput(
                gateway_id=self._gateway_id,
                rows=bytes(pending.get(zone_id, b"")),
                calls=calls.get(zone_id, ()),
                shown=array("H", shown.get(zone_id, ())).tobytes(),
            )
            self._bus.publish(self._subjects.zone_input(zone_id), batch.SerializeToString())

    def show(self, client: Client, zone_id: str, number: int) -> None:
        """Views of the entity go to the client from now on, those that came early first."""
        self.hide(client)
        key = (zone_id, number)
        client.connection.entity = number
        client.sighted = False
        self._viewers[key] = client
        attach_epoch, early = self._early.get(key, (0, None))
        if early is None or attach_epoch > client.attach_epoch:
            return  # for a newer socket that is on its way, or for one that never came: see `receive`
        del self._early[key]
        view = early.take()
        if view is not None and attach_epoch == client.attach_epoch:
            client.sighted = True
            self._write_view(client, view)

    def hide(self, client: Client) -> None:
        """No more views for the client."""
        number, client.connection.entity = client.connection.entity, None
        if number is not None and self._viewers.get((client.zone_id, number)) is client:
            del self._viewers[client.zone_id, number]

    def receive(self, data: bytes) -> None:
        """A ZoneOutput. One of an older incarnation of the zone than seen before is not believed (DESIGN, "Fencing")."""
        out = internal_pb2.ZoneOutput.FromString(data)
        zone_id = out.zone_id
        if out.epoch < self._epochs.get(zone_id, 0):
            self.stale_outputs += 1
            return
        self._count(zone_id, out.epoch, out.number)
        self.outputs_in += 1
        viewers, early, write = self._viewers, self._early, self._write_view
        for number, view in split(out):
            key = (zone_id, number)
            if view.session_id and not self._rebind(zone_id, number, view):
                continue
            client = viewers.get(key)
            if client is not None and view.attach_epoch > client.attach_epoch:
                # The session has another socket here, whose attach has not been answered yet: this one gets no more.
                del viewers[key]
                client.connection.entity = None
                client = None
            elif client is not None and early and key in early:
                # A number is used again: views that begin for this client show that nobody is coming for the early ones.
                if view.reset is not None:
                    del early[key]
                else:
                    client = None
            if client is not None and not client.sighted:
                # What is first must start from nothing. It was lost, and is asked for again.
                if view.reset is None:
                    self._miss(zone_id)
                    continue
                client.sighted = True
            if client is not None:
                write(client, view)
            else:
                self._keep_early(key, view)

    def _rebind(self, zone_id: str, number: int, view: View) -> bool:
        """Views that begin because the entity was handed over to this zone: whose they are, they say themselves.

        Returns whether the view is to be shown.
        """
        client = self._find(view.session_id)
        if client is None or client.attach_epoch != view.attach_epoch or client.world is None:
            return False  # not here, or not yet: the zone says it again
        if view.transfer < client.transfer:
            return False  # from where it was before
        self._shown.setdefault(zone_id, []).append(number)
        client.transfer = view.transfer
        if client.zone_id != zone_id or client.number != number:
            self.hide(client)
            self.crossings += 1
            self._crossed(client, zone_id, number)
            self._early.pop((zone_id, number), None)
            client.connection.entity = number
            client.sighted = False
            self._viewers[zone_id, number] = client
            self._move_again(client, zone_id, number, view)
        return True

    def _move_again(self, client: Client, zone_id: str, number: int, view: View) -> None:
        """What a client says while its entity is handed over, no zone hears. If that was where it stopped, it would stand elsewhere
        than it believes until it moves again.
        """
        rows = np.frombuffer(client.last_move, MOVE_IN).copy()
        if len(rows) and rows["sequence"][0] > int.from_bytes(view.ack, "little"):
            rows["number"] = number
            self._send_move(zone_id, rows.tobytes())

    def _count(self, zone_id: str, epoch: int, number: int) -> None:
        """What follows a lost output is worth nothing: rows are relative, and a state or a leave would be missing for good."""
        known = self._epochs.get(zone_id)
        if known is None or epoch > known:
            self._epochs[zone_id] = epoch
            self._numbers[zone_id] = 0
        if known is not None and epoch > known:  # a new incarnation begins everybody's views anew
            self._doubt(zone_id)
        if number == 1:
            self._lost.pop(zone_id, None)
        elif number != self._numbers[zone_id] + 1:
            self._miss(zone_id)
            self._doubt(zone_id)
        self._numbers[zone_id] = number

    def _doubt(self, zone_id: str) -> None:
        """The views of its viewers go on with the next that starts from nothing."""
        for (of_zone, _), client in self._viewers.items():
            if of_zone == zone_id:
                client.sighted = False
        for key in [key for key in self._early if key[0] == zone_id]:
            del self._early[key]

    def sent(self, zone_id: str, epoch: int, outputs: int) -> None:
        """What a zone says it has sent: the last output of all may be lost, which no later one would betray."""
        known = self._epochs.get(zone_id, 0)
        if epoch < known or (epoch > known and not outputs):
            return
        if epoch > known or outputs != self._numbers.get(zone_id, 0):
            self._miss(zone_id)

    def _miss(self, zone_id: str) -> None:
        if zone_id not in self._lost:
            self.lost_outputs += 1
            self._lost[zone_id] = float("-inf")

    def _ask_to_start_over(self) -> None:
        now, watched = self._clock(), {zone_id for zone_id, _ in self._viewers}
        for zone_id, asked_at in list(self._lost.items()):
            if zone_id not in watched:
                del self._lost[zone_id]
            elif now - asked_at >= ASK_AGAIN_S:
                self._lost[zone_id] = now
                batch = internal_pb2.ZoneInput(gateway_id=self._gateway_id, resync=True)
                self._bus.publish(self._subjects.zone_input(zone_id), batch.SerializeToString())

    def _keep_early(self, key: tuple[str, int], view: View) -> None:
        if view.reset is not None:
            # Only a view that starts from nothing can be the first of a client that is on its way here.
            if len(self._early) >= EARLY_LIMIT:
                del self._early[next(iter(self._early))]
            self._early[key] = view.attach_epoch, PendingView()
        if key in self._early:
            self._early[key][1].add(view)

    def probe(self, number: int) -> list[str]:
        """Ask the zones with viewers here to say `number` to this gateway (GatewayProbe). Returns their ids."""
        zones = sorted({zone_id for zone_id, _ in self._viewers})
        for zone_id in zones:
            batch = internal_pb2.ZoneInput(gateway_id=self._gateway_id, probe=number)
            self._bus.publish(self._subjects.zone_input(zone_id), batch.SerializeToString())
        return zones
