"""A player's client that writes down what comes off its socket, before anything is made of it."""

from __future__ import annotations

import random
from typing import Any

import httpx

from cluster.chaos.check_lane import RELIABLE
from cluster.chaos.history import History
from rayrealm_client.client import RealmClient
from rayrealm_client.codec import Notification
from rayrealm_client.keeper import Loss
from rayrealm_client.models import Ready
from rayrealm_client.view import Changes, View


class RecordingClient(RealmClient):
    """`name`: the bot's, in the history."""

    def __init__(
        self,
        base_url: str,
        name: str,
        history: History,
        *,
        timeout_s: float,
        rng: random.Random,
        http: httpx.AsyncClient,
    ) -> None:
        super().__init__(base_url, timeout_s=timeout_s, give_up_s=None, rng=rng, http=http)
        self.name = name
        self._history = history
        self.on_ready(self._is_ready)
        self.on_view(self._saw)
        self.on_loss(self._lost)

    def _deliver(self, item: View | Notification) -> None:
        # Raw: the client drops repeated numbers, and they must be seen here.
        if isinstance(item, Notification) and (item.seq is not None or item.method in RELIABLE):
            params: dict[str, Any] = item.params if isinstance(item.params, dict) else {}
            told = {name: params.get(name, "") for name in ("channel", "text")}
            id_ = params.get("message_id", "")
            self._history.add("notice", bot=self.name, seq=item.seq, method=item.method, id=id_, **told)
        super()._deliver(item)

    def _is_ready(self, ready: Ready) -> None:
        self._history.add(
            "ready",
            bot=self.name,
            session=ready.session_id,
            stream=ready.stream,
            seq=ready.seq,
            resumed=ready.resumed,
            recovered=ready.recovered,
            zone=None if ready.world is None else ready.world.zone,
        )

    def _saw(self, view: View, changes: Changes) -> None:
        reset = {} if view.reset is None else {"zone": view.reset.zone, "epoch": view.reset.epoch}
        self._history.add("view", bot=self.name, tick=view.tick, **reset)

    def _lost(self, loss: Loss) -> None:
        self._history.add("lost", bot=self.name, code=loss.code, reason=loss.reason)
