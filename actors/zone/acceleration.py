"""How fast entities may be by now (row 7.1): nobody is at full speed at once, and packets that come late are no crime.

What a zone sees of a walk is bent by the network: moves that were made a second apart may arrive together, and the other way
round. So the way is measured from an anchor, a moment at which the entity was certainly no faster than some speed. Since then it
may have gone as far as one gets in that time, and in `late_s` more, when accelerating all the way. An anchor is replaced only by
one that allows less, so that nobody gets the time for late packets twice.
"""

from __future__ import annotations

import numpy as np

SLACK_M = 0.25  # rounding, and steps that ticks put together
CORNERS = 1.25  # a walk may be longer than the straight lines between the places that were told, by so much
WINDOW = 2.0  # speed is measured over so many `late_s`: in a shorter time the network alone decides what is seen
STOOD = 3.0  # who was silent for so many `late_s` was standing


def reach(speed: np.ndarray, top: np.ndarray, acceleration: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Metres that one gets who starts at `speed`, speeds up by `acceleration` m/s2 and goes on at `top` m/s. All of one shape."""
    ramp = np.minimum(seconds, (top - speed) / acceleration)
    metres: np.ndarray = (speed + 0.5 * acceleration * ramp) * ramp + top * (seconds - ramp)
    return metres


class Motion:
    """Columns for `capacity` entities. Times are seconds on the zone's clock.

    The anchor: at `anchor_at` the entity was no faster than `anchor_speed`, and has gone `gone` metres since. The window: since
    `window_at` it has gone `window_way` metres. `stepped_at`: the last move that was good; inf if none is known.
    """

    def __init__(self, capacity: int) -> None:
        self._anchor_at = np.full(capacity, -np.inf)
        self._anchor_speed = np.zeros(capacity)
        self._gone = np.zeros(capacity)
        self._window_at = np.zeros(capacity)
        self._window_way = np.zeros(capacity)
        self._stepped_at = np.full(capacity, np.inf)

    def forget(self, number: int) -> None:
        """Nothing is known of how fast the entity is: it is new here, and may be running."""
        self._anchor_at[number] = -np.inf
        self._gone[number] = 0.0
        self._stepped_at[number] = np.inf

    def rest(self, who: int | np.ndarray, now: float | np.ndarray) -> None:
        """The entity stands still."""
        self._anchor_at[who] = self._window_at[who] = self._stepped_at[who] = now
        self._anchor_speed[who] = self._gone[who] = self._window_way[who] = 0.0

    def allowance(
        self, who: np.ndarray, top: np.ndarray, acceleration: np.ndarray, late_s: float, now: float
    ) -> np.ndarray:
        """Metres that each of `who` may go at once at time `now`. `top` in m/s and `acceleration` in m/s2, one for each."""
        # How long it walked before the first move came through, nobody can say: as long as a packet may be late.
        stood = now - self._stepped_at[who] > STOOD * late_s
        if stood.any():
            self.rest(who[stood], now - late_s)
        since = np.maximum(now - self._anchor_at[who], 0.0)
        speed = np.minimum(self._anchor_speed[who], top)
        left: np.ndarray = reach(speed, top, acceleration, since + late_s) - self._gone[who] + SLACK_M
        return left

    def went(
        self, who: np.ndarray, way: np.ndarray, top: np.ndarray, acceleration: np.ndarray, late_s: float, now: float
    ) -> None:
        """Each of `who`, no one twice, has gone `way` metres with a move that is good."""
        gone = self._gone[who] + way
        window_way = self._window_way[who] + way
        stepped_at, self._stepped_at[who] = self._stepped_at[who], now
        # What comes after a silence may be later than any packet should be: no measure of speed.
        unsure = (now - stepped_at > late_s) | np.isinf(stepped_at)
        span = now - self._window_at[who]
        done = span >= WINDOW * late_s
        self._gone[who], self._window_way[who] = gone, window_way
        done &= ~unsure
        # Who stands is measured again with every move, and goes on standing.
        again = unsure | (done & (window_way > 0.0))
        restarted = who[again]
        self._window_at[restarted], self._window_way[restarted] = now, 0.0
        if done.any():
            self._measured(
                who[done], window_way[done], span[done] - late_s, gone[done], top[done], acceleration[done], now
            )

    def _measured(
        self,
        who: np.ndarray,
        way: np.ndarray,
        seconds: np.ndarray,
        gone: np.ndarray,
        top: np.ndarray,
        acceleration: np.ndarray,
        now: float,
    ) -> None:
        """Each of `who` has gone `way` metres in no less than `seconds`: how fast can it be at most, and is that news?"""
        way = way * CORNERS
        # It is fastest now if it went slowly first, or stood, and accelerated only then.
        speed = np.where(
            2.0 * way <= acceleration * seconds**2,
            np.sqrt(2.0 * acceleration * way),
            way / seconds + 0.5 * acceleration * seconds,
        )
        since = np.maximum(now - self._anchor_at[who], 0.0)
        before = np.minimum(self._anchor_speed[who], top)
        news = (speed <= before + acceleration * since) & (gone <= reach(before, top, acceleration, since))
        anchored = who[news]
        self._anchor_at[anchored], self._anchor_speed[anchored], self._gone[anchored] = now, speed[news], 0.0
