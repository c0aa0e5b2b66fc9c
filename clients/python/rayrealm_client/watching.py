"""What a client sees and hears: the entities in view, callbacks, and iterators with a bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from rayrealm_client.buffers import NoticeBuffer, ViewBuffer
from rayrealm_client.codec import Notification
from rayrealm_client.keeper import Loss
from rayrealm_client.listeners import Listeners
from rayrealm_client.models import GameEvent, Ready, World
from rayrealm_client.scene import Scene
from rayrealm_client.view import Changes, Correction, Entity, View

Remove = Callable[[], None]


class Watching:
    """`entities`: number -> Entity, what is in view right now, without the own character."""

    def __init__(self) -> None:
        self._scene = Scene()
        self.entities = self._scene.entities
        self.views_seen = 0
        self._listeners = Listeners()
        self._view_buffers: WeakSet[ViewBuffer] = WeakSet()
        self._notice_buffers: WeakSet[NoticeBuffer[Notification]] = WeakSet()
        self._takers: dict[str, Callable[[object], None]] = {}  # by method: what makes something typed of its params

    @property
    def own(self) -> Entity | None:
        """The own character as its zone has stated it: id, version, properties. None before that. Where it is: `position`."""
        return self._scene.own

    @property
    def tick(self) -> int:
        """Of the newest view."""
        return self._scene.tick

    def views(self, limit: int = 64) -> ViewBuffer:
        """An iterator over views; `entities` is already up to the newest one.

        It holds at most `limit`: for a slow reader the oldest two become one (see `view.merge`).
        """
        buffer = ViewBuffer(limit)
        self._view_buffers.add(buffer)
        return buffer

    def notices(self, limit: int = 256) -> NoticeBuffer[Notification]:
        """An iterator over notifications. It holds at most `limit`, then raises NoticesLost once per gap."""
        buffer = NoticeBuffer[Notification](limit)
        self._notice_buffers.add(buffer)
        return buffer

    def on_view(self, callback: Callable[[View, Changes], object]) -> Remove:
        """After each view was applied to `entities`. Every `on_...` returns a function that ends it."""
        return self._listeners.add("view", callback)

    def on_enter(self, callback: Callable[[Entity], object]) -> Remove:
        return self._listeners.add("enter", callback)

    def on_leave(self, callback: Callable[[Entity], object]) -> Remove:
        return self._listeners.add("leave", callback)

    def on_own(self, callback: Callable[[Entity], object]) -> Remove:
        """The own character's state was said or has changed."""
        return self._listeners.add("own", callback)

    def on_zone(self, callback: Callable[[str], object]) -> Remove:
        """In another zone than before, with its id: after an entry, or because the character walked over a border."""
        return self._listeners.add("zone", callback)

    def on_game(self, callback: Callable[[GameEvent], object]) -> Remove:
        """What the game's code tells this player."""
        return self.on_notice("game.event", lambda params: callback(GameEvent.of(params)))

    def on_correction(self, callback: Callable[[Correction], object]) -> Remove:
        """After `position` was put right: where the zone has the character, and from there the moves that it has not judged."""
        return self._listeners.add("correction", callback)

    def on_world(self, callback: Callable[[World], object]) -> Remove:
        """In a world, for the first time or again."""
        return self._listeners.add("world", callback)

    def on_ready(self, callback: Callable[[Ready], object]) -> Remove:
        return self._listeners.add("ready", callback)

    def on_loss(self, callback: Callable[[Loss], object]) -> Remove:
        return self._listeners.add("loss", callback)

    def on_gap(self, callback: Callable[[str | None], object]) -> Remove:
        """Reliable notifications were missed, and will not come: of a topic, or (None) of everything. Ask anew for what matters."""
        return self._listeners.add("gap", callback)

    def on_degraded(self, callback: Callable[[frozenset[str]], object]) -> Remove:
        """Other parts of the realm than before do not answer: `redis`, `nats`, `zone:<id>`. Empty when all is well again."""
        return self._listeners.add("degraded", callback)

    def on_notice(self, method: str, callback: Callable[[dict[str, Any]], object]) -> Remove:
        """Notifications of one method, with their params."""
        return self._listeners.add(f"notice:{method}", callback)

    def _tell(self, notice: Notification) -> None:
        self._listeners.call(f"notice:{notice.method}", notice.params)
        taker = self._takers.get(notice.method)
        if taker is not None:
            taker(notice.params)
        for notices in self._notice_buffers:
            notices.put(notice)

    def _show(self, view: View, changes: Changes) -> None:
        """Tell of a view that was applied."""
        self.views_seen += 1
        if view.correction is not None:
            self._listeners.call("correction", view.correction)
        for entity in changes.left:
            self._listeners.call("leave", entity)
        for entity in changes.entered:
            self._listeners.call("enter", entity)
        if changes.own:
            self._listeners.call("own", self.own)
        self._listeners.call("view", view, changes)
        for views in self._view_buffers:
            views.put(view)

    def _forget_entities(self) -> None:
        for entity in self._scene.clear():
            self._listeners.call("leave", entity)

    def _end_watching(self) -> None:
        for views in self._view_buffers:
            views.close()
        for notices in self._notice_buffers:
            notices.close()
