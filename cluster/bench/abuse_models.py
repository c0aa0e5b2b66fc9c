"""Players and attackers as what a gateway would count of them, second by second, in virtual time (row 6.3).

Written from what each does, with its whole range of ways to do it, and not from what the watch looks for. Each draws its own habits
from its generator when it is made; some attackers are too quiet to be found, as in life.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from dataclasses import dataclass, field

from realm_proto import internal_pb2

PER_S, BURST = 60.0, 120  # limits.user
STRIKES, STRIKE_S = 200, 10.0  # limits.strikes
MAX_ERRORS, ERRORS_S = 120, 60.0  # gateway.max_errors_per_minute
CHAT_PER_S, CHAT_BURST = 2.0, 10  # chat.per_s, for each channel
STRANGERS = 30  # limits.strangers_per_hour
SAID_S = 120.0  # as the gateway's tally forgets what was said
FLOODING, TOO_MANY_ERRORS, BAD_SIGNATURE, LOST, NORMAL = 4504, 4502, 4505, 1006, 1000
MOVE_BYTES, CALL_BYTES = 30, 90


@dataclass
class Bot:
    """`step` is one second. What it did waits in `counts` for the next report; `report` takes it."""

    user: str
    address: str
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    session: int = 0
    since: float = 0.0
    away_until: float = 0.0
    slowed: float = 1.0
    slowed_until: float = 0.0
    metres: float = 0.0
    closed: list[internal_pb2.AbuseSession] = field(default_factory=list)
    _tokens: float = BURST
    _strikes: float = 0.0
    _errors: float = 0.0
    _heard: dict[str, dict[str, float]] = field(default_factory=dict)  # text -> addressee -> when
    kind = ""

    def __post_init__(self) -> None:
        self.settle()

    def settle(self) -> None:
        """Draw one's habits."""

    def live(self, now: float) -> None:
        """One second of it."""

    def step(self, now: float) -> None:
        if now >= self.slowed_until:
            self.slowed = 1.0
        self._tokens = min(BURST / self.slowed, self._tokens + PER_S / self.slowed)
        self._strikes *= 1.0 - 1.0 / STRIKE_S
        self._errors *= 1.0 - 1.0 / ERRORS_S
        if now >= self.away_until:
            self.live(now)
            if self._strikes >= STRIKES * 0.63:  # as many as a window of STRIKE_S has, in this fading sum
                self.close(FLOODING, now, self.rng.uniform(1.0, 5.0))
            elif self._errors > MAX_ERRORS * 0.63:
                self.close(TOO_MANY_ERRORS, now, self.rng.uniform(1.0, 5.0))

    # --- what bots do ------------------------------------------------------------------------------------------

    def poisson(self, mean: float) -> int:
        """Knuth's method; large means by the normal distribution."""
        if mean > 30.0:
            return max(0, round(self.rng.gauss(mean, math.sqrt(mean))))
        product, count, least = self.rng.random(), 0, math.exp(-mean)
        while product > least:
            product *= self.rng.random()
            count += 1
        return count

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def send(self, count: int, size: float) -> int:
        """So many messages; how many of them came through the limits."""
        passed = min(count, int(self._tokens))
        self._tokens -= passed
        over = count - passed
        self._strikes += over
        self.counts["messages"] += count
        self.counts["bytes"] += round(passed * size)
        self.counts["limited"] += over
        return passed

    def move(self, count: int, metres: float = 0.0) -> None:
        self.counts["moves"] += self.send(count, MOVE_BYTES)
        self.metres += metres

    def call(self, count: int = 1, outcome: str = "", size: float = CALL_BYTES) -> None:
        """`outcome`: "unknown", "invalid", "refused", or "" for a result."""
        passed = self.send(count, size)
        self.counts["calls"] += passed
        if outcome:
            self.counts[outcome] += passed
            self._errors += passed

    def say(self, text: str, addressee: str, now: float, known: bool = False) -> None:
        """`known`: to a friend, or somebody who wrote: the gateway counts only the others."""
        self.call(size=60 + len(text))
        self.counts["chats"] += 1
        if known:
            return
        self._heard.setdefault(text, {})[addressee] = now

    def close(self, code: int, now: float, back_s: float) -> None:
        self.closed.append(self._report(now, code))
        self.session += 1
        self.since = self.away_until = now + back_s
        self._strikes = self._errors = 0.0

    # --- what is reported --------------------------------------------------------------------------------------

    def reports(self, now: float) -> list[internal_pb2.AbuseSession]:
        found, self.closed = self.closed, []
        if now >= self.away_until and self.counts["messages"]:
            found.append(self._report(now))
        return found

    def _report(self, now: float, code: int = 0) -> internal_pb2.AbuseSession:
        lately = {
            text: {to for to, at in heard.items() if now - at < 1.5 * SAID_S} for text, heard in self._heard.items()
        }
        session = internal_pb2.AbuseSession(
            session_id=f"ses_{self.user}_{self.session}",
            user_id=self.user,
            address=self.address,
            role="player",
            span_s=max(0.1, now - self.since),
            addressees=len(set().union(*lately.values())),
            same_text=max((len(to) for text, to in lately.items() if len(text) >= 10), default=0),
            metres=self.metres,
            close_code=code,
            **self.counts,
        )
        self.counts, self.metres, self.since = Counter(), 0.0, now
        self._heard = {
            text: left
            for text, heard in self._heard.items()
            if (left := {to: at for to, at in heard.items() if now - at < 2 * SAID_S})
        }
        return session


# --- players ----------------------------------------------------------------------------------------------------


class Walker(Bot):
    """Walks, rests, talks a little; now and then runs into a lag or a bump."""

    kind = "walker"

    def settle(self) -> None:
        rng = self.rng
        self.hz, self.speed = rng.choice((10, 10, 15, 20, 30)), rng.uniform(2.0, 8.0)
        self.rests, self.talks, self.bumps = rng.uniform(0.01, 0.1), rng.uniform(0.0, 0.03), rng.uniform(0.0, 0.02)
        self.walking = True

    def live(self, now: float) -> None:
        if self.chance(self.rests):
            self.walking = not self.walking
        if self.walking:
            self.move(self.hz, self.speed * self.rng.uniform(0.5, 1.0))
            if self.chance(self.bumps):
                self.counts["corrections"] += self.rng.randint(1, 3)
        if self.chance(0.05):
            self.call()
        if self.chance(self.talks):
            self.say(f"remark {self.rng.random()}", self.rng.choice(("say", "party", "zone")), now)


class Chatter(Bot):
    """Talks all evening: in channels, with friends, and greets everybody when it comes."""

    kind = "chatter"

    def settle(self) -> None:
        self.pace = self.rng.uniform(0.05, 0.5)
        self.friends = [f"direct:usr_{n}" for n in range(self.rng.randint(2, 40))]
        self.channels = ["zone", "party", *(f"guild{n}" for n in range(self.rng.randint(0, 4)))]
        self.greet = list(self.friends) if self.chance(0.5) else []

    def live(self, now: float) -> None:
        if self.greet and self.chance(0.7):
            self.say("good evening my friend", self.greet.pop(), now, known=True)
        elif self.chance(self.pace):
            known = self.chance(0.4)
            where = self.rng.choice(self.friends if known else self.channels)
            text = self.rng.choice(("lol", "yes", "thanks a lot", f"sentence {self.rng.random()}"))
            self.say(text, where, now, known)
            if self.chance(0.03):
                self.counts["refused"] += 1
        if self.chance(0.02):
            self.call(self.rng.randint(1, 5))


class Idle(Bot):
    """Went to make tea."""

    kind = "idle"

    def live(self, now: float) -> None:
        if self.chance(0.05):
            self.call()


class Lobby(Bot):
    """Menus: friends, characters, parties; each opens with a burst of requests, some of which come too early."""

    kind = "lobby"

    def live(self, now: float) -> None:
        if self.chance(0.08):
            self.call(self.rng.randint(3, 25))
            if self.chance(0.3):
                self.call(self.rng.randint(1, 3), "refused")
        if self.chance(0.005):
            self.call(1, self.rng.choice(("unknown", "invalid")))


class Trader(Bot):
    """Changes state all the time, loses races for goods, advertises, and answers many."""

    kind = "trader"

    def settle(self) -> None:
        self.pace, self.loses = self.rng.uniform(0.5, 6.0), self.rng.uniform(0.02, 0.3)
        self.stalls = [f"trade{n}" for n in range(self.rng.randint(1, 6))]
        self.advert = f"selling fine swords at {self.user}"
        self.next_advert = 0.0

    def live(self, now: float) -> None:
        deals = self.poisson(self.pace) + (self.rng.randint(10, 30) if self.chance(0.02) else 0)
        for _ in range(deals):
            self.call(1, "refused" if self.chance(self.loses) else "", self.rng.uniform(80, 1_500))
        if now >= self.next_advert:
            self.next_advert = now + self.rng.uniform(20.0, 90.0)
            for stall in self.stalls:
                self.say(self.advert, stall, now)
        if self.chance(0.1):
            self.say(f"deal {self.rng.random()}", f"direct:usr_{self.rng.randint(0, 40)}", now, known=True)
        if self.chance(0.3):
            self.move(10, 2.0)


class BadNetwork(Bot):
    """A walker in a train: silence, then everything at once; reconnects; repeats what it got no answer to."""

    kind = "bad network"

    def settle(self) -> None:
        self.hz, self.stalls, self.drops = (
            self.rng.choice((10, 20)),
            self.rng.uniform(0.02, 0.1),
            self.rng.uniform(0.005, 0.04),
        )
        self.silent_until, self.queued = 0.0, 0

    def live(self, now: float) -> None:
        if now < self.silent_until:
            self.queued += self.hz
            return
        if self.queued:
            # The client leaves out what is too old; the rest comes in one burst, and most of it is too late.
            burst, self.queued = min(self.queued, self.rng.randint(20, 150)), 0
            self.move(burst, self.rng.uniform(0.0, 15.0))
            self.counts["corrections"] += self.rng.randint(0, 8)
            self.call(self.rng.randint(0, 6), self.rng.choice(("", "", "refused")))
            return
        self.move(self.hz, self.rng.uniform(1.0, 5.0))
        if self.chance(self.stalls):
            self.silent_until = now + self.rng.uniform(1.0, 9.0)
        if self.chance(self.drops):
            self.close(LOST, now, self.rng.expovariate(0.5))
            if self.chance(0.2):  # the next socket breaks at once
                self.counts["messages"] += 1
                self.close(LOST, self.away_until, self.rng.expovariate(0.5))


class Outdated(Bot):
    """An old client: calls what is not there any more, and sends what is not taken any more, again and again."""

    kind = "outdated client"

    def settle(self) -> None:
        self.unknown, self.invalid = self.rng.uniform(0.0, 0.3), self.rng.uniform(0.0, 0.3)

    def live(self, now: float) -> None:
        self.move(10, 3.0)
        if self.chance(0.2):
            self.call()
        if self.chance(self.unknown):
            self.call(1, "unknown")
        if self.chance(self.invalid):
            self.call(1, "invalid")


# --- attackers --------------------------------------------------------------------------------------------------


class Flooder(Bot):
    """Sends as fast as it likes, and comes back when it is closed."""

    kind = "flood"

    def settle(self) -> None:
        self.rate = math.exp(self.rng.uniform(math.log(70.0), math.log(2_000.0)))
        self.moves = self.chance(0.5)

    def live(self, now: float) -> None:
        if self.moves:
            self.move(self.poisson(self.rate))
        else:
            self.call(self.poisson(self.rate), size=self.rng.uniform(50, 4_000))


class Replayer(Bot):
    """Sends signed messages once more that it has heard; each costs it the connection."""

    kind = "replay"

    def settle(self) -> None:
        self.every_s = self.rng.uniform(1.0, 60.0)

    def live(self, now: float) -> None:
        self.move(10, 3.0)
        if self.chance(1.0 / self.every_s):
            self.counts["replays"] += 1
            self.close(BAD_SIGNATURE, now, self.rng.uniform(0.5, 3.0))


class Sprayer(Bot):
    """Looks for methods that nobody told it of."""

    kind = "method spray"

    def settle(self) -> None:
        self.rate = math.exp(self.rng.uniform(math.log(0.2), math.log(40.0)))

    def live(self, now: float) -> None:
        self.call(self.poisson(self.rate), "unknown")


class Teleporter(Bot):
    """Walks, and now and then, or all the time, claims to be elsewhere."""

    kind = "teleporter"

    def settle(self) -> None:
        self.hz = self.rng.choice((10, 20))
        self.jumps = math.exp(self.rng.uniform(math.log(0.2), math.log(20.0)))

    def live(self, now: float) -> None:
        jumps = min(self.poisson(self.jumps), self.hz)
        self.move(self.hz, self.rng.uniform(5.0, 300.0) if jumps else 4.0)
        self.counts["corrections"] += jumps


class Spammer(Bot):
    """Tells everybody about its gold, in few wordings; strangers only as far as their limit lets it."""

    kind = "same text to many"

    def settle(self) -> None:
        self.every_s = self.rng.uniform(0.3, 10.0)
        self.texts = [f"cheap gold here number {chr(97 + n)}" for n in range(self.rng.randint(1, 3))]
        self.next, self.told = 0.0, 0

    def live(self, now: float) -> None:
        while self.next <= now:
            self.next = max(self.next, now - 1.0) + self.every_s
            self.told += 1
            if self.told > STRANGERS and self.chance(0.9):  # what is left are channels and those who once answered
                self.call(1, "refused")
                self.counts["chats"] += 1
            self.say(self.rng.choice(self.texts), f"direct:usr_{self.told}", now)
        if self.chance(0.5):
            self.move(10, 3.0)


PLAYERS: tuple[tuple[type[Bot], float], ...] = (
    (Walker, 0.3),
    (Chatter, 0.15),
    (Idle, 0.1),
    (Lobby, 0.1),
    (Trader, 0.12),
    (BadNetwork, 0.15),
    (Outdated, 0.08),
)
ATTACKERS: tuple[type[Bot], ...] = (Flooder, Replayer, Sprayer, Teleporter, Spammer)
