"""Who may attach a session, and what they learn of it (rows 1.6 and 1.7). Plain values and rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cluster.errors import Conflict, InvalidInput, Unauthorized
from cluster.ports.sessions import SessionRecord


@dataclass(frozen=True, slots=True)
class Attach:
    """A gateway has a socket for a session.

    `key`: of this one attach; the same again, because its answer was lost, is no second device. `token_epoch`: the attach that the
    client's recovery token was given out for; None: it came with an access token. `stream` and `last`: the newest reliable
    notification that the client has seen; "" and 0 if it does not say. `role`: what an access token says, or "". `address`:
    the client's.
    """

    session_id: str
    user_id: str
    gateway_id: str
    token_epoch: int | None = None
    stream: str = ""
    last: int = 0
    key: str = ""
    role: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Attached:
    """What a gateway learns of the session it may now carry. `world` is the result of world.enter, or None.

    `recovered`: `missed` is everything after `seq`, (method, params as JSON) each. Otherwise `missed` is empty. `idle`: nothing was
    done on its last socket for a while. `traces`: the contexts of `missed`, one each, or nothing when none is traced.
    """

    session_id: str
    user_id: str
    attach_epoch: int
    resumed: bool
    state: str
    world: dict[str, Any] | None
    subscriptions: tuple[str, ...]
    stream: str = ""
    seq: int = 0
    recovered: bool = False
    missed: tuple[tuple[str, bytes], ...] = ()
    idle: bool = False
    role: str = "player"
    traces: tuple[str, ...] = ()


def judge(record: SessionRecord, attach: Attach, again: int, *, newest: int, held: bool, takeover: bool) -> None:
    """Raises Unauthorized, Conflict or InvalidInput if this attach must not be.

    `again`: the attach whose token opened the present socket and may be presented once more, 0 for none. `newest`: the newest
    number that the session was sent. `held`: a gateway that lives has a socket for it. `takeover`: the setting.
    """
    if record.user_id != attach.user_id:
        raise Unauthorized("session_not_yours")
    if attach.token_epoch is None:
        if held and not takeover:
            raise Conflict("session_attached")
    elif attach.token_epoch not in (record.attach_epoch, again or record.attach_epoch):
        raise Unauthorized("recovery_superseded")
    if attach.stream and attach.stream == record.stream and attach.last > newest:
        raise InvalidInput([("last", "newer than anything that was sent")])
