"""party.*: who is told what of each change, and what an invitation does not tell."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.ports.social import Limits
from tests.unit.serve_apps.gateway.fakes import WALL
from tests.unit.serve_apps.gateway.people_rig import People

A, B, C = "usr_a", "usr_b", "usr_c"
NO_LIMITS = Limits(1_000, 1_000, 1_000, 1_000)
LOOK_AGAIN = {"method": "", "sender": "", "refresh": "party"}


@pytest.fixture
async def people() -> People:
    """Ann, Bob and Cat."""
    made = People()
    for user_id, name in ((A, "Ann"), (B, "Bob"), (C, "Cat")):
        await made.services.social.seen(user_id, WALL, name)
        await made.character(user_id, name)
        made.come(user_id, name)
    return made


async def together(people: People, *others: str) -> str:
    """A's party with the others in it; what they were told is forgotten."""
    party: dict[str, Any] = (await people.ask(A, "party.create"))["party"]
    for other in others:
        await people.ask(A, "party.invite", user_id=other)
        await people.ask(other, "party.accept", party_id=party["party_id"])
    for user_id in (A, *others):
        await people.told(user_id)
    return str(party["party_id"])


async def changes(people: People, user_id: str) -> list[tuple[str, str, list[str] | None, str]]:
    """(why, whom, the members or None, what is refreshed) of each party.changed since the last call."""
    told = await people.told(user_id)
    assert {said["method"] for said in told} <= {"party.changed"}
    assert {said["sender"] for said in told} <= {""}
    return [
        (
            said["why"],
            said["user_id"],
            None if said["party"] is None else [member["user_id"] for member in said["party"]["members"]],
            said["refresh"],
        )
        for said in told
    ]


class TestMembers:
    async def test_from_nothing_to_two_and_back(self, people: People) -> None:
        assert await people.ask(A, "party.get") == {"party": None, "invitations": []}
        party = (await people.ask(A, "party.create"))["party"]
        party_id = party["party_id"]
        ann = {"user_id": A, "name": "Ann", "joined_at": WALL}
        assert party == {"party_id": party_id, "leader": A, "members": [ann], "invited": [], "version": 1}
        assert await changes(people, A) == [("created", A, [A], "party")]

        invited = (await people.ask(A, "party.invite", name="bob"))["party"]
        assert invited["invited"] == [{"user_id": B, "name": "Bob"}]
        assert await changes(people, A) == [("invited", B, [A], "")]
        ends = WALL + people.services.settings.social.party_invitation_s
        invitation = {"party_id": party_id, "from": A, "name": "Ann", "expires_at": ends}
        assert await people.told(B) == [{**invitation, "method": "party.invited", "sender": A, "refresh": ""}]
        assert await people.ask(B, "party.get") == {"party": None, "invitations": [invitation]}

        joined = (await people.ask(B, "party.accept", party_id=party_id))["party"]
        assert [member["name"] for member in joined["members"]] == ["Ann", "Bob"]
        assert await changes(people, A) == [("joined", B, [A, B], "")]
        assert await changes(people, B) == [("joined", B, [A, B], "party")]
        got = await people.ask(B, "party.get")
        assert got["invitations"] == []
        assert [member.pop("presence")["for"] for member in got["party"]["members"]] == [B, B]
        assert got["party"] == joined

        assert await people.ask(B, "party.leave") == {"party": None}
        assert await changes(people, A) == [("left", B, [A], "")]
        assert await changes(people, B) == [("left", B, None, "party")]
        assert await people.ask(B, "party.leave") == {"party": None}
        assert await people.told(A) == []
        assert await people.told(B) == [LOOK_AGAIN], "which heals what was lost"

    async def test_accepting_again_changes_nothing_and_tells_no_client(self, people: People) -> None:
        party_id = await together(people, B)
        await people.ask(A, "party.lead", user_id=B)
        await people.told(A), await people.told(B)
        party = (await people.ask(B, "party.accept", party_id=party_id))["party"]
        assert [member["user_id"] for member in party["members"]] == [A, B]
        assert await people.told(A) == []
        assert await people.told(B) == [LOOK_AGAIN], "which heals what was lost"

    async def test_the_longest_member_leads_when_the_leader_leaves(self, people: People) -> None:
        await together(people, B, C)
        await people.ask(A, "party.leave")
        (told,) = await people.told(C)
        assert (told["party"]["leader"], told["why"]) == (B, "left")
        await people.ask(B, "party.leave")
        await people.ask(C, "party.leave")
        assert (await changes(people, C))[-1] == ("left", C, None, "party")
        assert (await people.ask(A, "party.get"))["party"] is None

    async def test_the_leader_hands_over_and_sends_away(self, people: People) -> None:
        await together(people, B, C)
        assert await people.refused(B, "party.kick", user_id=C) == (-32003, "not_leader")
        assert (await people.ask(A, "party.lead", user_id=B))["party"]["leader"] == B
        for user_id in (A, B, C):
            assert await changes(people, user_id) == [("leader", B, [A, B, C], "")]
        assert [m["user_id"] for m in (await people.ask(B, "party.kick", user_id=A))["party"]["members"]] == [B, C]
        assert await changes(people, A) == [("kicked", A, None, "party")]
        for user_id in (B, C):
            assert await changes(people, user_id) == [("kicked", A, [B, C], "")]
        assert await people.refused(A, "party.kick", user_id=B) == (-32003, "not_in_party")
        assert await people.refused(B, "party.lead", user_id=A) == (-32602, "no_such_member")

    async def test_versions_tell_which_is_newer(self, people: People) -> None:
        await together(people, B)
        await people.ask(B, "party.leave")
        await people.ask(A, "party.leave")
        versions = [said["version"] for said in await people.told(A)]
        assert versions == sorted(set(versions))
        assert len(versions) == 2

    @pytest.mark.parametrize("method", ["kick", "lead", "invite"])
    async def test_not_with_oneself(self, people: People, method: str) -> None:
        await together(people)
        assert await people.refused(A, f"party.{method}", user_id=A) == (-32602, "is yourself")

    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("party.accept", {}),
            ("party.accept", {"party_id": "party"}),
            ("party.accept", {"party_id": ["pty_1"] * 500}),
            ("party.decline", {"party_id": "pty_../1"}),
            ("party.invite", {}),
            ("party.invite", {"user_id": B, "name": "Bob"}),
            ("party.kick", {"user_id": "bob"}),
            ("party.lead", {"user": B}),
        ],
    )
    async def test_bad_params(self, people: People, method: str, params: dict[str, Any]) -> None:
        assert (await people.ask(A, method, **params))["code"] == -32602


class TestInvitations:
    async def test_declined(self, people: People) -> None:
        party_id = await together(people, C)
        await people.ask(A, "party.invite", user_id=B)
        await people.told(A), await people.told(B), await people.told(C)
        assert await people.ask(B, "party.decline", party_id=party_id) == {"declined": True}
        for member in (A, C):
            assert await changes(people, member) == [("declined", B, [A, C], "")]
        assert await changes(people, B) == [("declined", B, None, "")], "its other devices"
        assert await people.ask(B, "party.decline", party_id=party_id) == {"declined": False}
        assert await people.told(A) == await people.told(B) == []
        assert await people.refused(B, "party.accept", party_id=party_id) == (-32602, "no_such_invitation")

    async def test_declining_leaves_one_in_one_s_own(self, people: People) -> None:
        party_id = await together(people)
        await people.ask(B, "party.create")
        await people.ask(A, "party.invite", user_id=B)
        await people.told(B)
        await people.ask(B, "party.decline", party_id=party_id)
        assert await changes(people, B) == [("declined", B, [B], "")]

    async def test_again_is_told_again_and_changes_nothing(self, people: People) -> None:
        await together(people)
        for _ in range(2):
            await people.ask(A, "party.invite", user_id=B)
        assert [said["method"] for said in await people.told(B)] == ["party.invited"] * 2
        assert len(await people.told(A)) == 1

    async def test_blockers_and_strangers_look_as_if_asked(self, people: People) -> None:
        await together(people)
        await people.services.social.block(B, A, NO_LIMITS, WALL)
        rows = []
        for other in (B, C, "usr_nobody"):
            party = (await people.ask(A, "party.invite", user_id=other))["party"]
            rows.append({"user_id": other, "name": ""})
            assert sorted(party["invited"], key=lambda row: str(row["user_id"])) == rows
            (told,) = await people.told(A)
            assert (told["party"], told["why"], told["user_id"]) == (party, "invited", other)
        assert (
            sorted((await people.ask(A, "party.get"))["party"]["invited"], key=lambda row: str(row["user_id"])) == rows
        )
        assert await people.told(B) == []
        assert (await people.ask(B, "party.get"))["invitations"] == []
        assert len(await people.told(C)) == 1

    async def test_whom_one_blocks_one_does_not_invite(self, people: People) -> None:
        await together(people)
        await people.services.social.block(A, B, NO_LIMITS, WALL)
        assert await people.refused(A, "party.invite", user_id=B) == (-32003, "blocked")

    async def test_without_a_party_nobody_invites(self, people: People) -> None:
        assert await people.refused(A, "party.invite", user_id=B) == (-32003, "not_in_party")
        assert await people.told(B) == []

    async def test_a_name_that_nobody_has(self, people: People) -> None:
        assert await people.refused(A, "party.invite", name="Nobody") == (-32602, "no_such_player")

    async def test_one_party_at_a_time(self, people: People) -> None:
        party_id = await together(people)
        assert await people.refused(A, "party.create") == (-32005, "in_a_party")
        await people.ask(B, "party.create")
        await people.ask(A, "party.invite", user_id=B)
        assert await people.refused(B, "party.accept", party_id=party_id) == (-32005, "in_a_party")

    async def test_a_full_party(self, people: People) -> None:
        most = people.services.settings.social.party_members
        others = [f"usr_{n}" for n in range(most - 1)]
        for n, other in enumerate(others):
            people.come(other, f"Member {n}")
        party_id = await together(people)
        await people.ask(A, "party.invite", user_id=B)
        for other in others:
            await people.ask(A, "party.invite", user_id=other)
            await people.ask(other, "party.accept", party_id=party_id)
        assert await people.refused(A, "party.invite", user_id=C) == (-32005, "party_full")
        assert await people.refused(B, "party.accept", party_id=party_id) == (-32005, "party_full")
