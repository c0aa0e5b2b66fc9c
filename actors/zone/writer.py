"""Everything durable of a zone goes through one writer: group commit without a timer (row 3.7; DESIGN, "durable").

Plain asyncio over the port. One write is on its way at a time; what is noted meanwhile goes with the next one, so that the
store's load does not follow the number of changes. A write that fails is repeated until it is definite that it was done.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

import structlog

from cluster.errors import Fenced, NotFound, RealmError, Unavailable
from cluster.ports.zones import Parcel, ZoneStore

T = TypeVar("T")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, but for `waiting`: how many may wait in `written`.

    `attempt_s`: one try. `deadline_s`: what callers wait. Pauses between tries begin at `pause_s` and double up to
    `longest_pause_s`, or up to `probe_s` when nothing is to be written.
    """

    attempt_s: float = 1.5
    deadline_s: float = 2.0
    waiting: int = 10_000
    pause_s: float = 0.05
    longest_pause_s: float = 1.0
    probe_s: float = 0.5


DEFAULT = Limits()


def _nothing(*_: object) -> None:
    return None


class Writer:
    """`record_of(entity_id)` gives (session id, record) as they are now, None for an entity that is gone.

    `on_fenced` is called once, when a newer incarnation of the zone exists; `on_committed` with the ids of those whose records, as
    `record_of` gave them last, are in the store now. `commits` and `failures` count; `batch` is how many entities the last commit
    had, and `batch_s` how many seconds it took.
    """

    def __init__(
        self,
        zone_id: str,
        epoch: int,
        store: ZoneStore,
        record_of: Callable[[str], tuple[str, bytes] | None],
        clock: Callable[[], float],
        rng: random.Random,
        on_fenced: Callable[[], None],
        limits: Limits = DEFAULT,
    ) -> None:
        self.commits = 0
        self.failures = 0
        self.batch = 0
        self.batch_s = 0.0
        self.on_committed: Callable[[Collection[str]], None] = _nothing
        self._zone_id = zone_id
        self._epoch = epoch
        self._store = store
        self._record_of = record_of
        self._clock = clock
        self._rng = rng
        self._on_fenced = on_fenced
        self._limits = limits
        self._dirty: dict[str, None] = {}
        self._drops: dict[str, str] = {}
        # Every note has a number; a commit has all up to one of them.
        self._noted = 0
        self._done = 0
        self._waiting: dict[asyncio.Future[RealmError | None], int] = {}
        self._turn = asyncio.Lock()
        self._work = asyncio.Event()
        self._stopping = asyncio.Event()
        self._claimed = 0  # the last claim whose answer arrived
        self._fenced = False
        self._failing = 0  # tries since the last that the store answered

    # --- what is to be written ---------------------------------------------------------------------------------

    def put(self, entity_id: str) -> None:
        """The entity has changed. Its record is made when the commit is: the newest."""
        self._dirty[entity_id] = None
        self._note()

    def drop(self, entity_id: str, session_id: str) -> None:
        """The entity is gone for good."""
        self._dirty.pop(entity_id, None)
        self._drops[entity_id] = session_id
        self._note()

    def _note(self) -> None:
        self._noted += 1
        self._work.set()

    @property
    def away(self) -> bool:
        """The last try failed: refuse at once what must be durable, before anything is changed."""
        return self._failing > 0

    @property
    def pending(self) -> bool:
        return self._done < self._noted

    @property
    def waiting(self) -> int:
        """Entities whose newest state is not in the store."""
        return len(self._dirty) + len(self._drops)

    async def written(self) -> None:
        """Until everything noted so far is in the store. Raises Fenced; Unavailable after `deadline_s`, but it is tried on."""
        if not self.pending:
            return
        self._check()
        if len(self._waiting) >= self._limits.waiting:
            raise Unavailable("redis")
        done: asyncio.Future[RealmError | None] = asyncio.get_running_loop().create_future()
        self._waiting[done] = self._noted
        try:
            async with asyncio.timeout(self._limits.deadline_s):
                error = await done
        except TimeoutError:
            raise Unavailable("redis") from None
        finally:
            self._waiting.pop(done, None)
        if error is not None:
            raise error

    # --- from zone to zone -------------------------------------------------------------------------------------

    async def hand_over(self, to_zone: str, parcels: Sequence[Parcel], done: Callable[[], None] = _nothing) -> None:
        """In turn with the commits, and repeated until it is definite. `done` is called at once then: they are gone from here.

        From the call until then nothing that is acknowledged may change them: the parcels are what the other zone gets. Only
        entities that were put are handed over. Raises NotFound if the other zone was discarded, then nothing has changed; Fenced;
        and Unavailable after `stop` alone.
        """
        names = [parcel.entity_id for parcel in parcels]
        async with self._turn:
            # The store hands over what it has: those it was not told of yet come first, and those that left meanwhile stay out.
            while any(name in self._dirty or name in self._drops for name in names):
                await self._until_definite(self._commit)
            await self._until_definite(
                lambda: self._attempt(lambda: self._store.hand_over(self._zone_id, self._epoch, to_zone, parcels))
            )
            for name in names:  # whatever was noted on the way: a commit must not bring them back
                self._dirty.pop(name, None)
                self._drops.pop(name, None)
            done()

    async def claim(self) -> dict[str, bytes]:
        """Take in what was handed over to this zone: records by entity id. In turn with the commits.

        Raises Unavailable after `deadline_s`, Fenced. Whatever was claimed without an answer comes with the next.
        """
        try:
            async with asyncio.timeout(self._limits.deadline_s), self._turn:
                claimed = await self._attempt(lambda: self._store.claim(self._zone_id, self._epoch, self._claimed))
                self._claimed = claimed.number
                return claimed.records
        except TimeoutError:
            raise Unavailable("redis") from None

    # --- the loop ----------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Write what is noted, until `stop` or until it is fenced; and find out when a store that was away is back."""
        try:
            while not (self._stopping.is_set() or self._fenced):
                if not (self.pending or self.away):
                    self._work.clear()
                    await self._work.wait()
                    continue
                try:
                    async with self._turn:
                        if self.pending:
                            await self._commit()
                        elif self.away:
                            await self._attempt(lambda: self._store.owner(self._zone_id))
                except Unavailable:
                    await self._pause()
        except Fenced:
            return
        finally:
            self.stop()

    def stop(self) -> None:
        """No more tries. Who waits is told that it is not known whether it was written."""
        self._stopping.set()
        self._work.set()
        self._answer(self._noted, Unavailable)

    async def _commit(self) -> None:
        """One try of everything noted so far. Raises Unavailable, Fenced."""
        upto, dirty, drops = self._noted, self._dirty, self._drops
        self._dirty, self._drops = {}, {}
        puts, broken = self._records(dirty)
        try:
            if puts or drops:
                began = self._clock()
                await self._attempt(lambda: self._store.commit(self._zone_id, self._epoch, puts, drops))
                self.commits += 1
                self.batch, self.batch_s = len(puts) + len(drops), self._clock() - began
        except BaseException:
            # What was noted meanwhile is newer.
            self._dirty = {name: None for name in dirty if name not in self._drops} | self._dirty
            self._drops = drops | self._drops
            raise
        self._done = max(self._done, upto)
        self._answer(upto, Unavailable if broken else None)
        self.on_committed(puts.keys())

    def _records(self, dirty: dict[str, None]) -> tuple[dict[str, tuple[str, bytes]], bool]:
        """By entity id; and whether one could not be made, which must not keep the others from being written."""
        puts, broken = {}, False
        for entity_id in dirty:
            try:
                found = self._record_of(entity_id)
            except Exception:
                log.exception("no_record", zone=self._zone_id, entity=entity_id)
                broken = True
                continue
            if found is not None:
                puts[entity_id] = found
        return puts, broken

    async def _attempt(self, call: Callable[[], Awaitable[T]]) -> T:
        """One try. Raises Unavailable if it is not known whether it was done; Fenced; NotFound."""
        self._check()
        try:
            async with asyncio.timeout(self._limits.attempt_s):
                answer = await call()
        except Fenced:
            self._fence()
            raise
        except NotFound:
            self._back()
            raise
        except (Unavailable, TimeoutError) as error:
            self._failed(str(error) or "no answer")
            raise Unavailable("redis") from error
        except Exception as error:
            log.exception("write_failed", zone=self._zone_id)
            self._failed(str(error))
            raise Unavailable("redis") from error
        self._back()
        return answer

    async def _until_definite(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                return await step()
            except Unavailable:
                if self._stopping.is_set():
                    raise
                await self._pause()

    def _check(self) -> None:
        if self._fenced:
            raise Fenced(f"a newer incarnation of {self._zone_id} exists")
        if self._stopping.is_set():
            raise Unavailable("redis")

    def _failed(self, why: str) -> None:
        self.failures += 1
        self._failing += 1
        if self._failing == 1:
            log.warning("store_away", zone=self._zone_id, why=why)
        self._work.set()  # whoever's try it was: the loop finds out when the store is back

    def _back(self) -> None:
        if self._failing:
            log.info("store_back", zone=self._zone_id, tries=self._failing)
        self._failing = 0

    def _fence(self) -> None:
        if self._fenced:
            return
        self._fenced = True
        self._work.set()
        self._answer(self._noted, lambda _: Fenced(f"a newer incarnation of {self._zone_id} exists"))
        self._on_fenced()

    async def _pause(self) -> None:
        """Before the next try; `stop` ends it."""
        limits = self._limits
        most = limits.longest_pause_s if self.pending else limits.probe_s
        pause = min(most, limits.pause_s * 2.0 ** min(self._failing - 1, 16))
        try:
            async with asyncio.timeout(self._rng.uniform(0.5, 1.0) * pause):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _answer(self, upto: int, error: Callable[[str], RealmError] | None) -> None:
        """Tell those who wait for notes up to this one; they wait in the order of their notes."""
        while self._waiting:
            future, mark = next(iter(self._waiting.items()))
            if mark > upto:
                return
            del self._waiting[future]
            if not future.done():
                future.set_result(error("redis") if error else None)
