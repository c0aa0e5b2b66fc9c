"""Which gateways are heard, and what was taken from those that are not (row 1.9)."""

from __future__ import annotations

KEPT_S = 600.0


class GatewayWatch:
    """A gateway that is silent for `silence_s` counts as dead. Times are seconds on the actor's clock."""

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s
        self._heard: dict[str, float] = {}
        self._taken: dict[str, tuple[float, dict[str, int]]] = {}
        self._looked = float("inf")

    def heard(self, gateway_id: str, now: float) -> dict[str, int]:
        """It lives. Returns the sessions (with their attach epochs) that were taken from it meanwhile."""
        self._heard[gateway_id] = now
        return self._taken.pop(gateway_id, (0.0, {}))[1]

    def known(self, gateway_id: str, now: float) -> None:
        """It has a session from now on, so it counts as heard."""
        self._heard[gateway_id] = now

    def look(self, now: float, *, deaf: bool = False) -> None:
        """Called at every sweep. Who was stopped or starved itself could hear nobody, and may blame nobody for it.

        Nor may who is `deaf`, because the bus does not even bring it its own messages.
        """
        if deaf or now - self._looked > self._silence_s / 2:
            self._heard = dict.fromkeys(self._heard, now)
        self._looked = now

    def silent(self, gateway_id: str, now: float) -> bool:
        """Never for "", which is no gateway."""
        return bool(gateway_id) and now - self._heard.get(gateway_id, now) > self._silence_s

    def take(self, gateway_id: str, session_id: str, attach_epoch: int, now: float) -> None:
        """A silent gateway loses a session. Should it only have been slow, its socket is still open and must be closed."""
        self._taken.setdefault(gateway_id, (now, {}))[1][session_id] = attach_epoch

    def forget(self, used: set[str], now: float) -> None:
        """Drop gateways that are not `used` and not heard, and what was taken from one that never came back."""
        self._heard = {g: t for g, t in self._heard.items() if g in used or now - t < self._silence_s}
        self._taken = {g: taken for g, taken in self._taken.items() if now - taken[0] < KEPT_S}
