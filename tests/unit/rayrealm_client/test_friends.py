"""Friends, blocks and parties: asked for as agreed, and told typed (row 3.3)."""

from __future__ import annotations

from typing import Any

import pytest

from rayrealm_client.errors import CodecError
from rayrealm_client.friends import Friends
from rayrealm_client.party import REMEMBERED, Parties
from rayrealm_client.people import (
    FriendChange,
    Invitation,
    Known,
    Listener,
    Party,
    PartyChange,
    PartyState,
    Requested,
    Whereabouts,
)
from tests.unit.rayrealm_client.asked import Asked

PARTY: dict[str, Any] = {
    "party_id": "pty_1",
    "leader": "usr_a",
    "members": [{"user_id": "usr_a", "name": "A"}, {"user_id": "usr_b", "name": "B"}],
    "invited": [{"user_id": "usr_c", "name": ""}],
    "version": 3,
}
INVITED: dict[str, Any] = {"party_id": "pty_2", "from": "usr_d", "name": "D", "expires_at": 60}


@pytest.fixture
def asked() -> Asked:
    return Asked()


class TestFriends:
    async def test_the_lists(self, asked: Asked) -> None:
        presence = {"user_id": "usr_b", "status": "offline", "version": 4, "last_online": 5.5}
        asked.answer(
            "friends.list",
            {
                "friends": [{"user_id": "usr_b", "name": "B", "at": 1, "presence": presence}],
                "incoming": [{"user_id": "usr_c", "name": "C", "at": 2}],
                "outgoing": [],
                "blocked": [],
            },
        )
        lists = await Friends(asked).list()
        assert (lists.friends[0].name, lists.friends[0].presence.last_online) == ("B", 5.5)
        assert lists.incoming == (Known("usr_c", "C", 2.0),)
        asked.answer("friends.list", {"friends": "none"})
        with pytest.raises(CodecError):
            await Friends(asked).list()

    async def test_every_call(self, asked: Asked) -> None:
        friends = Friends(asked)
        asked.answer("friends.request", {"user_id": "usr_b", "result": "requested"})
        assert await friends.request("usr_b") == await friends.request(name="Bob") == Requested("usr_b", "requested")
        asked.answer("friends.accept", {"user_id": "usr_b", "changed": True})
        for call in (friends.accept, friends.decline, friends.cancel, friends.remove, friends.unblock):
            assert await call("usr_b") == (call == friends.accept)
        await friends.block(name="Bob")
        named = {"user_id": "usr_b"}
        assert asked.calls == [
            ("friends.request", named),
            ("friends.request", {"name": "Bob"}),
            *((f"friends.{what}", named) for what in ("accept", "decline", "cancel", "remove", "unblock")),
            ("friends.block", {"name": "Bob"}),
        ]

    @pytest.mark.parametrize("given", [{}, {"user_id": "usr_b", "name": "Bob"}])
    async def test_somebody_is_named_in_one_way(self, asked: Asked, given: dict[str, str]) -> None:
        with pytest.raises(ValueError, match="user_id or by name"):
            await Friends(asked).request(**given)
        assert asked.calls == []

    async def test_changes(self, asked: Asked) -> None:
        friends = Friends(asked)
        told: list[FriendChange] = []
        remove = friends.on_change(told.append)
        changes = friends.changes()
        friends.take({"kind": "request", "user_id": "usr_b", "name": "B", "at": 7})
        remove()
        friends.take({"kind": "removed", "user_id": "usr_b"})
        assert told == [FriendChange("request", "usr_b", "B", 7.0)]
        friends.close()
        assert [change.kind async for change in changes] == ["request", "removed"]


class TestParties:
    async def test_every_call(self, asked: Asked) -> None:
        parties = Parties(asked)
        asked.answer("party.get", {"party": PARTY, "invitations": [INVITED]})
        members = (Listener("usr_a", "A"), Listener("usr_b", "B"))
        party = Party("pty_1", "usr_a", members, (Listener("usr_c", ""),), 3)
        assert await parties.get() == PartyState(party, (Invitation("pty_2", "usr_d", "D", 60.0),))
        for method in ("create", "invite", "accept", "kick", "lead"):
            asked.answer(f"party.{method}", {"party": PARTY})
        assert await parties.create() == party
        assert await parties.invite(name="C") == party
        assert await parties.accept("pty_1") == party
        assert await parties.kick("usr_b") == party
        assert await parties.lead("usr_b") == party
        await parties.decline("pty_2")
        await parties.leave()
        assert asked.calls[1:] == [
            ("party.create", {}),
            ("party.invite", {"name": "C"}),
            ("party.accept", {"party_id": "pty_1"}),
            ("party.kick", {"user_id": "usr_b"}),
            ("party.lead", {"user_id": "usr_b"}),
            ("party.decline", {"party_id": "pty_2"}),
            ("party.leave", {}),
        ]
        asked.answer("party.get", {"party": None})
        assert await parties.get() == PartyState(None, ())

    async def test_a_change_that_was_overtaken(self, asked: Asked) -> None:
        """Each one is retried on its own, so an older one may come after a newer one."""
        parties, heard = Parties(asked), []
        parties.on_change(lambda change: heard.append((change.party_id, change.version, change.why)))

        def take(version: int, why: str, party_id: str = "pty_1", party: int | None = None) -> None:
            """`party`: the version of pty_1, which the user is in."""
            inside = None if party is None else PARTY | {"version": party}
            parties.take_change(
                {"party_id": party_id, "version": version, "party": inside, "why": why, "user_id": "usr_a"}
            )

        take(3, "joined", party=3)
        take(3, "invited", party=3)  # again: no change of the version
        take(5, "kicked")
        take(4, "leader", party=4)
        take(1, "declined", "pty_2")
        take(2, "declined", "pty_3", party=4)  # what it says of the user's own party is over
        take(6, "joined", party=6)
        take(2, "declined", "pty_3", party=6)
        assert heard == [
            ("pty_1", 3, "joined"),
            ("pty_1", 3, "invited"),
            ("pty_1", 5, "kicked"),
            ("pty_2", 1, "declined"),
            ("pty_1", 6, "joined"),
            ("pty_3", 2, "declined"),
        ]
        for number in range(REMEMBERED):
            take(1, "declined", f"pty_other{number}")
        take(5, "left")
        assert heard[-1] == ("pty_1", 5, "left"), "what is remembered is bounded"

    async def test_what_is_told(self, asked: Asked) -> None:
        parties = Parties(asked)
        heard: list[Any] = []
        for listen in (parties.on_change, parties.on_invitation, parties.on_positions):
            listen(heard.append)
        kicked = {"party_id": "pty_1", "version": 4, "party": None, "why": "kicked", "user_id": "usr_a"}
        parties.take_change(kicked)
        parties.take_invitation(INVITED)
        parties.take_positions({"members": [{"user_id": "usr_b", "name": "B", "zone": "zon_a", "x": 1, "z": 2.5}]})
        parties.take_positions({"members": [{"user_id": "usr_b"}]})
        assert heard == [
            PartyChange(None, "kicked", "usr_a", "pty_1", 4),
            Invitation("pty_2", "usr_d", "D", 60.0),
            (Whereabouts("usr_b", "B", "zon_a", 1.0, 2.5),),
        ]
        parties.close()
