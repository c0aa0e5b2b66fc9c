"""Where the members of parties are (row 3.3): what one gateway says of its own clients, and what it knows of all. Plain values.

Only what has changed is said, and all of it again every REPEAT_S for gateways that came later or missed a message. Of a member that
nobody speaks of any more nothing is known after STALE_S.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from actors.zone.rows import MOVE_IN
from realm_proto import internal_pb2
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway.views import View

REPEAT_S = 5.0
STALE_S = 16.0

_unpack = struct.Struct("<IIffff").unpack  # as MOVE_IN; a test holds them against each other
Place = tuple[float, float]  # x and z in metres


class Track:
    """Where a client's character is, as far as its zone has judged its moves: what a client only says may be refused."""

    __slots__ = ("_asked", "_refused", "place")

    def __init__(self, world: Mapping[str, Any], last_move: bytes) -> None:
        """`world`: as world.enter answered; `last_move`: the newest MOVE_IN row since, judged or not, or nothing."""
        at = world.get("position")
        self.place: Place | None = (at["x"], at["z"]) if at else None
        self._asked: tuple[int, Place] | None = None
        self._refused = 0
        if last_move:
            self.place = _read(last_move)[1]

    def seen(self, view: View, last_move: bytes) -> None:
        """A view says how far the zone has judged, and corrects."""
        judged = int.from_bytes(view.ack, "little")
        if view.correction:
            correction = pb.Correction.FromString(view.correction)
            self.place, self._refused = (correction.position.x, correction.position.z), correction.sequence
        if self._asked is not None and self._asked[0] <= judged:
            self._accept(*self._asked)
            self._asked = None
        if self._asked is None and last_move:
            newest = _read(last_move)
            if newest[0] <= judged:
                self._accept(*newest)
            else:
                self._asked = newest

    def _accept(self, sequence: int, place: Place) -> None:
        if sequence > self._refused:
            self.place = place


def _read(row: bytes) -> tuple[int, Place]:
    _, sequence, x, _, z, _ = _unpack(row[: MOVE_IN.itemsize])
    return sequence, (x, z)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one session's character is. Metres, to a tenth."""

    session_id: str
    user_id: str
    name: str
    zone: str
    x: float
    z: float


class Said:
    """What this gateway has said of its own clients in one party. Times are seconds on one clock."""

    def __init__(self, gateway_id: str) -> None:
        self._gateway_id = gateway_id
        self._said: dict[str, tuple[Standing, float]] = {}

    def news(self, standings: Iterable[Standing], now: float) -> bytes:
        """A PartyPositions to send, or nothing. `standings`: of all clients that are somewhere."""
        out = internal_pb2.PartyPositions(gateway_id=self._gateway_id)
        gone = dict(self._said)
        for standing in standings:
            before = gone.pop(standing.session_id, None)
            if before is not None and before[0] == standing and now - before[1] < REPEAT_S:
                continue
            self._said[standing.session_id] = standing, now
            out.members.add(
                session_id=standing.session_id,
                user_id=standing.user_id,
                name=standing.name,
                zone=standing.zone,
                x=standing.x,
                z=standing.z,
            )
        for session_id in gone:
            del self._said[session_id]
            out.members.add(session_id=session_id, gone=True)
        return out.SerializeToString() if out.members else b""


def ties_changed(gateway_id: str) -> bytes:
    """A PartyPositions that says only that members' ties are to be looked up."""
    return internal_pb2.PartyPositions(gateway_id=gateway_id, ties_changed=True).SerializeToString()


@dataclass(frozen=True, slots=True)
class _Word:
    standing: Standing
    gateway_id: str
    at: float


class Heard:
    """What is known of a party's members, wherever they are. `limit`: of sessions; those heard longest ago go first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._heard: dict[str, _Word] = {}  # the one heard last is last

    def take(self, data: bytes, now: float) -> bool:
        """A PartyPositions of any gateway's, this one's too. Returns whether members' ties are to be looked up."""
        said = internal_pb2.PartyPositions.FromString(data)
        for m in said.members:
            known = self._heard.get(m.session_id)
            if m.gone and known is not None and known.gateway_id != said.gateway_id:
                continue  # it has gone from there to another gateway, which has said so first
            self._heard.pop(m.session_id, None)
            if not m.gone:
                standing = Standing(m.session_id, m.user_id, m.name, m.zone, round(m.x, 1), round(m.z, 1))
                self._heard[m.session_id] = _Word(standing, said.gateway_id, now)
        while len(self._heard) > self._limit:
            del self._heard[next(iter(self._heard))]
        return said.ties_changed

    def members(self, now: float) -> list[Standing]:
        """One for each user, by user id. Of one who plays several characters always the same."""
        for session_id in [s for s, word in self._heard.items() if now - word.at > STALE_S]:
            del self._heard[session_id]
        of_user = {self._heard[s].standing.user_id: self._heard[s].standing for s in sorted(self._heard)}
        return [of_user[user_id] for user_id in sorted(of_user)]


class Notices:
    """The params of party.positions for each member of a party: all the others, but for those it is `apart` from (user ids; one of
    the two blocks the other). Each member is encoded once."""

    def __init__(self, members: Iterable[Standing]) -> None:
        self._members = [
            (m.user_id, orjson.dumps({"user_id": m.user_id, "name": m.name, "zone": m.zone, "x": m.x, "z": m.z}))
            for m in members
        ]

    def to(self, user_id: str, apart: Collection[str] = ()) -> bytes:
        seen = (said for about, said in self._members if about != user_id and about not in apart)
        return b'{"members":[' + b",".join(seen) + b"]}"


NOBODY = Notices(()).to("")
