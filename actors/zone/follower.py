"""What follows a zone's owner: where everybody stands, and whether the owner has fallen silent (row 7.4).

Nobody is told that an owner died: it is not heard any more. So a follower must know whether it would hear it. What it asks of the
owner comes back to itself through the same server, and only an owner that was not heard for all of the time before that is silent.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

import numpy as np

from actors.zone.rows import PLACE, pack_places, read_places
from cluster.ports.bus import Bus, Subscription
from cluster.subjects import Subjects
from realm_proto import internal_pb2

ASK_S = 1.0  # the owner forgets a follower that has not asked for five times as long
DOUBT = 0.7  # of the patience: then the follower asks in a hurry,
HURRY_S = 2.0  # for so long
CHECK_S = 0.025
DEAF_S = 0.5  # longer takes no question to come back, unless this process or the bus stood still
REJOIN_S = 3.0  # after an outage of the bus the owner has so long to come back to it; NatsBus tries at least every 2 s


class Replica:
    """PLACE rows of a zone's entities, as its owner says them. `epoch` and `slot` are of the newest owner that was heard, 0 before.

    `synced`: everything was said once by that owner.
    """

    def __init__(self, capacity: int) -> None:
        self.epoch = 0
        self.slot = 0
        self.tick = 0
        self.synced = False
        self._rows = np.zeros(capacity, PLACE)
        self._known = np.zeros(capacity, bool)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._known))

    def expect(self, epoch: int) -> bool:
        """Nothing is known of that incarnation yet, unless it is the one that was heard. Returns whether it is another.

        It may be a lower one: a store that has lost its data begins again.
        """
        if epoch == self.epoch:
            return False
        self.epoch, self.tick, self.synced = epoch, 0, False
        self._known[:] = False
        return True

    def take(self, said: internal_pb2.ZoneReplica) -> bool:
        """Returns whether it is of the newest incarnation. Raises ValueError if the rows are none."""
        rows = read_places(said.places)
        if said.epoch < self.epoch or not said.epoch:
            return False
        self.expect(said.epoch)
        self.slot, self.tick = said.slot, said.tick
        if said.whole:
            self._known[:] = False
            self.synced = True
        rows = rows[rows["number"] < len(self._rows)]
        self._rows[rows["number"]] = rows
        self._known[rows["number"]] = True
        return True

    def places(self) -> bytes | None:
        """Of everybody; None unless `synced`. Some may have left meanwhile: the store says who is there."""
        return pack_places(self._rows[self._known]) if self.synced else None


class Silence:
    """For how long an owner has been silent, as far as this process can know. Times are seconds on its own monotonic clock."""

    def __init__(self, now: float) -> None:
        self._since = now
        self._unanswered: float | None = None  # when the oldest question was asked that did not come back
        self._echo = float("-inf")  # when the newest one was asked that did

    def heard(self, now: float) -> None:
        """The owner spoke, or nobody could expect it to have spoken before."""
        self._since = now

    def asked(self, now: float) -> None:
        if self._unanswered is None:
            self._unanswered = now

    def echoed(self, asked_at: float, now: float) -> None:
        """A question that was asked then came back to this process."""
        if self._unanswered is not None and now - self._unanswered > DEAF_S:
            self.deaf(now)
        self._unanswered = None
        self._echo = max(self._echo, asked_at)

    def deaf(self, now: float) -> None:
        """Nothing could be heard until now: the owner may come back to the bus later than this process."""
        self._since = max(self._since, now + REJOIN_S)

    def quiet_s(self, now: float) -> float:
        """Not heard for so long, whoever's fault it is."""
        return now - self._since

    def longer_than(self, patience_s: float) -> bool:
        """Something that was asked `patience_s` after the owner's last word came back, and nothing of the owner came before it."""
        return self._echo - self._since >= patience_s


class Follower:
    """Listens to the owner of a zone whose other actor is `slot`. `woken` is set when there may be something to decide."""

    def __init__(
        self,
        zone_id: str,
        slot: int,
        capacity: int,
        patience_s: float,
        bus: Bus,
        subjects: Subjects,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.replica = Replica(capacity)
        self.silence = Silence(clock())
        self.heard_at = 0.0  # Unix seconds
        self.woken = asyncio.Event()
        self._zone_id = zone_id
        self._slot = slot
        self._patience_s = patience_s
        self._bus = bus
        self._subjects = subjects
        self._clock = clock
        self._wall_clock = wall_clock
        self._name = secrets.token_bytes(8)
        self._asked_at = float("-inf")
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Raises Unavailable."""
        subjects, zone_id = self._subjects, self._zone_id
        for subject, take in (
            (subjects.zone_replica(zone_id), self._take_replica),
            (subjects.zone_follower(zone_id), self._take_echo),
        ):
            self._subscriptions.append(await self._bus.subscribe(subject, take))

    async def stop(self) -> None:
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        self._subscriptions.clear()

    def expect(self, epoch: int) -> None:
        """The store knows of that incarnation: it has all the time to speak that any owner has."""
        if self.replica.expect(epoch):
            self.silence.heard(self._clock())
            self._asked_at = float("-inf")

    def ask(self, now: float) -> None:
        """Once in a while, and in a hurry when the owner seems silent."""
        if not self._bus.connected:
            self.silence.deaf(now)
            return
        quiet_s = self.silence.quiet_s(now)
        hurry = self._patience_s * DOUBT <= quiet_s < HURRY_S + self._patience_s
        if now - self._asked_at < (CHECK_S if hurry else ASK_S) - 1e-6:
            return
        self._asked_at = now
        self.silence.asked(now)
        asked = internal_pb2.ZoneFollower(follower=self._name, sent_at=now)
        self._bus.publish(self._subjects.zone_follower(self._zone_id), asked.SerializeToString())

    async def wait(self) -> None:
        """Until something may have to be decided; a second at most."""
        quiet_s = self.silence.quiet_s(self._clock())
        calm_s = self._patience_s * DOUBT - quiet_s
        pause = calm_s if calm_s > CHECK_S else CHECK_S if quiet_s < HURRY_S + self._patience_s else ASK_S / 4
        if not self._bus.connected:
            pause = CHECK_S  # when it comes back is when the owner's time to do so begins
        self.woken.clear()
        try:
            async with asyncio.timeout(min(pause, ASK_S)):
                await self.woken.wait()
        except TimeoutError:
            return

    def _take_replica(self, data: bytes) -> None:
        said = internal_pb2.ZoneReplica.FromString(data)
        if said.slot == self._slot:
            return  # an incarnation of this very actor, from before
        epoch = self.replica.epoch
        if self.replica.take(said):
            self.silence.heard(self._clock())
            self.heard_at = self._wall_clock()
            if said.epoch != epoch:
                self.woken.set()

    def _take_echo(self, data: bytes) -> None:
        asked = internal_pb2.ZoneFollower.FromString(data)
        if asked.follower == self._name:
            self.silence.echoed(asked.sent_at, self._clock())
            self.woken.set()
