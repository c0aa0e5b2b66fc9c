"""A zone's views, and beside them a plain model of PROTOCOL.md, "Views": every pair looked at, no numpy; and the clients they feed.

Each viewer has two clients: one reads what the zone sends, tick by tick; the other what a gateway makes of it, sometimes late.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from cluster.world_settings import WorldSettings
from rayrealm_client import codec
from rayrealm_client import view as client_view
from rayrealm_client.scene import Scene
from realm_proto import internal_pb2
from serve_apps.gateway import json_framing
from serve_apps.gateway.pending import PendingView
from serve_apps.gateway.views import View, split
from tests.unit.actors.showing_model import ModelViewer, Seen, Stage, read

Place = tuple[tuple[int, int, int], int, int]  # centimetres, 16 bits of the sequence, yaw in 1/65536 turns
EPSILON = 1e-6


@dataclass
class Reader:
    """A viewer's client behind a gateway; what comes while it is `blocked` is merged."""

    text: bool
    blocked: bool = False
    pending: PendingView = field(default_factory=PendingView)
    scene: Scene = field(default_factory=Scene)

    def take(self, view: View) -> None:
        if self.blocked:
            self.pending.add(view)
        else:
            self.read(view)

    def unblock(self) -> None:
        self.blocked = False
        view = self.pending.take()
        if view is not None:
            self.read(view)

    def read(self, view: View) -> None:
        frame = (
            json_framing.encode_notification("world.view", view.to_json()).decode() if self.text else view.to_proto()
        )
        (item,) = codec.decode(frame)
        assert isinstance(item, client_view.View)
        self.scene.apply(item)


@dataclass
class Watch:
    """A viewer, as of one attach. `lost`: an output did not come, and what comes is not believed until a reset."""

    fast: ModelViewer = field(default_factory=ModelViewer)
    slow: Reader = field(default_factory=lambda: Reader(False))
    lost: bool = False
    stale: dict[int, float] = field(default_factory=dict)  # entity -> since when its place is not the newest


class ViewsTwin:
    """`far`: seen by number -> whether it is far, by viewer. Call `tick` to advance; it checks everything."""

    def __init__(self, world: WorldSettings) -> None:
        self.stage = Stage(world)
        self.limits = world.interest
        self.visibility = {name: settings.visibility for name, settings in world.types.items()}
        self.far: dict[int, dict[int, bool]] = {}
        self.watches: dict[int, Watch] = {}
        self.fresh: set[int] = set()
        self.attaches = 0
        self.longest_wait = 0.0

    @property
    def alive(self) -> list[int]:
        return sorted(self.stage.table.by_number)

    # --- what happens ------------------------------------------------------------------------------------------

    def join(self, x: float, z: float, gateway: str, kind: str) -> None:
        if self.stage.table.room:
            number = self.stage.add(x, z, gateway, kind)
            self._begin(number)

    def leave(self, number: int) -> None:
        self.stage.leave(number)
        self.watches.pop(number, None)
        self.far.pop(number, None)
        self.fresh.discard(number)
        for mover in (self.stage.moved, self.stage.acked):
            mover.discard(number)

    def attach(self, number: int, gateway: str) -> None:
        self.stage.attach(number, gateway)
        self.stage.showing.changed(number)
        self._begin(number)

    def _begin(self, number: int) -> None:
        self.watches.pop(number, None)
        self.far.pop(number, None)
        self.fresh.discard(number)
        if self.stage.entity(number).gateway_id:
            self.attaches += 1
            self.watches[number] = Watch(slow=Reader(self.attaches % 2 == 0))
            self.fresh.add(number)

    def elsewhere(self, number: int, x: float, z: float) -> None:
        """Put somewhere without a move, as when a ghost becomes real."""
        self.stage.table.position[number] = (x, 0.0, z)
        self.stage.showing.changed(number)

    def lose(self, gateway: str) -> None:
        """The next messages to the gateway are lost, and it says so after that tick."""
        for watch in self._of(gateway):
            watch.lost = True

    def resync(self, gateway: str) -> None:
        self.stage.showing.resync(gateway)
        self.fresh.update(n for n, e in self.stage.table.by_number.items() if e.gateway_id == gateway)

    def start_over(self) -> None:
        self.stage.showing.start_over()
        self.fresh.update(self.watches)

    def block(self, number: int) -> None:
        if number in self.watches:
            self.watches[number].slow.blocked = True

    def unblock(self, number: int) -> None:
        if number in self.watches:
            self.watches[number].slow.unblock()
            self._check_slow(number)

    def _of(self, gateway: str) -> list[Watch]:
        return [watch for n, watch in self.watches.items() if self.stage.entity(n).gateway_id == gateway]

    # --- the tick ----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        messages = self.stage.messages()
        self._look()
        told: set[int] = set()
        for gateway, data in messages:
            views = read(data)
            assert not told & views.keys(), "two views of one tick"
            told |= views.keys()
            for number, view in split(internal_pb2.ZoneOutput.FromString(data)):
                assert self.stage.entity(number).gateway_id == gateway
                watch = self.watches[number]
                if watch.lost and view.reset is None:
                    continue
                assert (view.reset is not None) == (number in self.fresh)
                watch.lost = False
                watch.fast.apply(views[number])
                watch.slow.take(view)
        assert self.fresh <= told, "who starts from nothing has a view, whatever is in it"
        self.fresh.clear()
        for number in self.watches:
            self._check(number)

    def quiet(self) -> None:
        """Ticks in which nothing happens, until all that is owed must have come; then everybody knows where all are."""
        for _ in range(math.ceil(self.limits.starve_s * 20) + 1):
            self.tick()
        assert self.stage.messages() == []
        for number, watch in self.watches.items():
            self.unblock(number)
            if not watch.lost:
                assert {n: self._held(watch.fast.entities[n]) for n in self.far[number]} == {
                    n: self._truth(n) for n in self.far[number]
                }

    def _look(self) -> None:
        """Who sees whom, and which of them are far."""
        limits = self.limits
        near = math.inf if limits.near_radius is None else limits.near_radius
        for viewer in self.watches:
            before = {} if viewer in self.fresh else self.far.get(viewer, {})
            now = {}
            for n in self.alive:
                gap = self._gap(viewer, n)
                if n != viewer and gap <= limits.radius + (limits.hysteresis if n in before else 0.0):
                    was_near = before.get(n) is False
                    now[n] = gap > near + (limits.hysteresis if was_near else 0.0)
            self.far[viewer] = now

    def _gap(self, one: int, other: int) -> float:
        a, b = (self.stage.table.position[n].astype(float).tolist() for n in (one, other))
        return math.hypot(a[0] - b[0], a[2] - b[2])

    # --- what must be true -------------------------------------------------------------------------------------

    def _check(self, viewer: int) -> None:
        watch, stage = self.watches[viewer], self.stage
        assert sorted(self.far[viewer]) == stage.showing.seen_by(viewer)
        if watch.lost:
            watch.stale.clear()
            return
        assert watch.fast.entities.keys() == self.far[viewer].keys() | {viewer}
        for n, seen in watch.fast.entities.items():
            e = stage.entity(n)
            assert (seen.entity_id, seen.entity_type, seen.name) == (e.entity_id, e.entity_type, e.name)
            assert (seen.version, seen.link_dead) == (e.version, e.link_dead)
            assert seen.properties == self._allowed(n, viewer) == stage.showing.visible(e, viewer)
        for n in self.far[viewer]:
            if self._held(watch.fast.entities[n]) == self._truth(n):
                watch.stale.pop(n, None)
                continue
            waits = stage.now - watch.stale.setdefault(n, stage.now)
            self.longest_wait = max(self.longest_wait, waits)
            assert waits <= self.limits.starve_s + EPSILON, "it starves"
        for gone in watch.stale.keys() - self.far[viewer].keys():
            del watch.stale[gone]
        if not watch.slow.blocked:
            self._check_slow(viewer)

    def _check_slow(self, viewer: int) -> None:
        """What came late and merged means the same."""
        watch = self.watches[viewer]
        if watch.lost or watch.fast.tick < 0:
            return
        scene = watch.slow.scene
        assert (scene.number, scene.tick) == (viewer, watch.fast.tick)
        others = {n: seen for n, seen in watch.fast.entities.items() if n != viewer}
        assert {n: _said(e) for n, e in scene.entities.items()} == {n: _known(seen) for n, seen in others.items()}
        own = scene.own
        assert own is not None
        mine = watch.fast.entities[viewer]
        assert (own.version, own.properties, own.link_dead) == (mine.version, mine.properties, mine.link_dead)

    def _allowed(self, number: int, viewer: int) -> dict[str, Any]:
        e = self.stage.entity(number)
        hidden = {"owner"} if number != viewer else set()
        if self.far[viewer].get(number):
            hidden.add("near")
        visibility = self.visibility.get(e.entity_type, {})
        return {name: value for name, value in e.properties.items() if visibility.get(name) not in hidden}

    def _truth(self, number: int) -> Place:
        table = self.stage.table
        yaw = round(float(table.yaw[number]) % math.tau / math.tau * 65_536) % 65_536
        return self.stage.cm(number), int(table.sequence[number]) & 0xFFFF, yaw

    def _held(self, seen: Seen) -> Place:
        return seen.place, seen.sequence, seen.yaw


def _known(seen: Seen) -> tuple[Any, ...]:
    return seen.entity_id, seen.version, seen.properties, seen.link_dead, seen.place, seen.sequence, seen.yaw


def _said(e: client_view.Entity) -> tuple[Any, ...]:
    yaw = round(e.yaw / math.tau * 65_536) % 65_536
    return e.entity_id, e.version, e.properties, e.link_dead, e.cm, e.sequence, yaw
