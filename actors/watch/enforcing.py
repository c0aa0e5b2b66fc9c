"""Measures carried out and written down (row 6.3). What the store does not take now is tried again while the measure would last.

Slowing is an order to all gateways, which end it by themselves. Blocks and bans are entries of the store that end by themselves, so
they outlast the watch; sockets are closed by order, several times: the bus may lose one, and some are opening meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from cluster.errors import InvalidInput
from cluster.guarding import tell_change
from cluster.measures import REASON, WATCH, Level, Measure
from cluster.ports.audit import AuditEntry, AuditLog
from cluster.ports.bans import Bans
from cluster.ports.bus import Bus
from cluster.ports.protection import ProtectionStore
from cluster.subjects import Subjects
from realm_proto import internal_pb2

KICKED = 4503  # close code of PROTOCOL.md
EXPEL_S = 6.0  # attaches that were let in before the ban are through by then (gateway.attach_deadline_s)
MOST_WAITING = 10_000
AT_ONCE = 200  # of one call of `step`

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Todo:
    """`acted`: what it does is done, and only the audit log has not taken it yet."""

    measure: Measure
    entry: AuditEntry | None = None
    acted: bool = False


@dataclass(slots=True)
class Enforcer:
    """`clock` is Unix seconds. `enforce` False: everything is written down, nothing done."""

    bans: Bans
    protection: ProtectionStore
    audit: AuditLog
    bus: Bus
    subjects: Subjects
    enforce: bool
    slow_factor: float
    clock: Callable[[], float]
    lost: int = 0  # measures that could not be carried out, or were not written down, in their time
    _todo: deque[_Todo] = field(default_factory=deque)
    _expelling: dict[str, float] = field(default_factory=dict)  # user -> until when its sockets are closed

    @property
    def waiting(self) -> int:
        return len(self._todo)

    def take(self, measure: Measure) -> None:
        """Returns at once."""
        if len(self._todo) >= MOST_WAITING:
            self._todo.popleft()
            self.lost += 1
        self._todo.append(_Todo(measure))

    async def step(self) -> None:
        """What can be done now; called about once a second. Raises Unavailable, and goes on from there at the next call."""
        self._expel()
        for _ in range(min(AT_ONCE, len(self._todo))):
            todo = self._todo[0]
            now = self.clock()
            if todo.measure.until <= now:
                self.lost += 1
                log.error("measure_lost", subject=todo.measure.subject, reason=todo.measure.reason)
            else:
                await self._do(todo, now)
            if self._todo and self._todo[0] is todo:
                self._todo.popleft()

    async def _do(self, todo: _Todo, now: float) -> None:
        measure = todo.measure
        if not todo.acted:
            result = "monitored"
            if measure.level == Level.MONITOR:
                result = "done"
            elif self.enforce:
                result = await self._act(measure, measure.until - now)
            todo.entry, todo.acted = measure.entry(result), True
            log.warning(
                "abuse", kind=measure.kind, subject=measure.subject, level=measure.level.name.lower(),
                reason=measure.reason, result=result,
            )  # fmt: skip
        if todo.entry is not None:
            await self.audit.add(todo.entry)

    async def _act(self, measure: Measure, for_s: float) -> str:
        """What became of it, as the audit log says it. An operator's ban that lasts longer stays."""
        reason = REASON + measure.reason
        if measure.kind == "address":
            try:
                await self.protection.ban(measure.subject, for_s, reason, WATCH, extend_only=True)
            except InvalidInput as error:
                return f"refused: {error}"
            tell_change(self.bus, self.subjects)
            return "done"
        if measure.level == Level.SLOW:
            self.slow(measure.subject, self.slow_factor, for_s)
            return "done"
        await self.bans.ban(measure.subject, for_s, reason, extend_only=True)
        self._expelling[measure.subject] = self.clock() + EXPEL_S
        self._expel()
        return "done"

    def slow(self, user_id: str, factor: float, for_s: float) -> None:
        order = internal_pb2.GatewaySlow(user_id=user_id, factor=factor, for_s=for_s)
        self._order(internal_pb2.GatewayControl(slow=order))

    def again(self, measure: Measure) -> None:
        """One that holds still, after a restart: gateways that came meanwhile do not know of it."""
        if self.enforce and measure.kind == "user" and measure.level == Level.SLOW:
            self.slow(measure.subject, self.slow_factor, measure.until - self.clock())

    def lifted(self, subject: str) -> None:
        """Nothing more is done about it."""
        self._expelling.pop(subject, None)
        kept = [todo for todo in self._todo if todo.measure.subject != subject]
        self._todo.clear()
        self._todo += kept

    def _expel(self) -> None:
        now = self.clock()
        self._expelling = {user: until for user, until in self._expelling.items() if until > now}
        for user_id in self._expelling:
            order = internal_pb2.GatewayExpel(user_id=user_id, code=KICKED, reason="banned")
            self._order(internal_pb2.GatewayControl(expel=order))

    def _order(self, control: internal_pb2.GatewayControl) -> None:
        self.bus.publish(self.subjects.gateways_control(), control.SerializeToString())
