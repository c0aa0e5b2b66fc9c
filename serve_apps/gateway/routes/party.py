"""party.*: groups of players that stay together across zones and reconnects.

Each change is told to all members (`party.changed`): `party` is what the one who is told is in now, or null. Members stay members
when their sessions end; who leads goes on to lead, until it leaves or hands over. Who comes or goes once more, and finds it done,
makes its own sessions look their party up again, silently: what went wrong in telling them is healed by repeating it.

| `why` | what `user_id` did, or what was done to it |
|---|---|
| created, joined, left | made the party, came, went |
| invited, declined | was invited; declined, which its own devices are told, too |
| kicked, leader | was sent away; leads now |
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from cluster.errors import InvalidState
from cluster.ports.parties import Invitation, Party
from serve_apps.gateway.client import Client
from serve_apps.gateway.consequences import Step, see_to
from serve_apps.gateway.people import (
    Person,
    UserParams,
    count_change,
    count_request,
    find_named,
    not_oneself,
    own_name,
    presences_for,
)
from serve_apps.gateway.router import NoParams, Params, Router
from serve_apps.gateway.services import Services


class PartyParams(Params):
    party_id: Annotated[str, Field(pattern=r"^pty_[a-z0-9]{1,40}$")]


async def get(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    """The party, how its members are, and what the user is invited to: not by those it blocks."""
    me = client.user_id
    party = await services.parties.of_user(me)
    invitations = await services.parties.invitations(me, services.wall_clock())
    blocked = (await services.social.ties([me]))[me].blocked if invitations else frozenset()
    said = _said(party)
    if said is not None:
        presences = await presences_for(services, client, [member["user_id"] for member in said["members"]])
        said["members"] = [{**member, "presence": presences[member["user_id"]]} for member in said["members"]]
    return {"party": said, "invitations": [_invitation(each) for each in invitations if each.from_user not in blocked]}


def _invitation(invitation: Invitation) -> dict[str, Any]:
    return {
        "party_id": invitation.party_id,
        "from": invitation.from_user,
        "name": invitation.from_name,
        "expires_at": invitation.expires_at,
    }


def _said(party: Party | None) -> dict[str, Any] | None:
    """The party as its members are told of it."""
    if party is None:
        return None
    invited = zip(party.invited, party.invited_as, strict=True)
    return {
        "party_id": party.party_id,
        "leader": party.leader,
        "members": [{"user_id": m.user_id, "name": m.name, "joined_at": m.joined_at} for m in party.members],
        "invited": [{"user_id": user, "name": name} for user, name in invited],
        "version": party.version,
    }


async def create(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    await count_change(services, client)
    name, party_id = await own_name(services, client), f"pty_{secrets.token_hex(10)}"
    party = await services.parties.create(party_id, client.user_id, name, services.wall_clock())
    return await _tell(services, party, "created", client.user_id, moved=client.user_id)


async def invite(services: Services, client: Client, params: Person) -> dict[str, Any]:
    """Who blocks the user is not told, and looks as if it were."""
    await count_request(services, client)
    (other, called), me = await find_named(services, client, params), client.user_id
    ties = await services.social.ties([me, other])
    if other in ties[me].blocked:
        raise InvalidState("blocked", client.state.value)
    name, now, limits = await own_name(services, client), services.wall_clock(), services.settings.social
    ends = now + limits.party_invitation_s
    most = limits.party_members, limits.party_invited
    party = await services.parties.invite(me, name, other, *most, ends, now, called)
    asked = _invitation(Invitation(party.party_id, me, name, ends))
    # Each one is told once, also who is invited again.
    key = f"party:{party.party_id}:{secrets.token_hex(8)}:{other}"
    tell = partial(services.tell, other, "party.invited", asked, key, sender=me)
    return await _tell(services, party, "invited", other, () if me in ties[other].blocked else (tell,))


async def accept(services: Services, client: Client, params: PartyParams) -> dict[str, Any]:
    await count_change(services, client)
    me, most = client.user_id, services.settings.social.party_members
    name, before = await own_name(services, client), await services.parties.of_user(me)
    party = await services.parties.accept(params.party_id, me, name, most, services.wall_clock())
    if before is not None:  # it has accepted before, and all were told
        await _look_again(services, me)
        return {"party": _said(party)}
    return await _tell(services, party, "joined", me, moved=me)


async def decline(services: Services, client: Client, params: PartyParams) -> dict[str, Any]:
    await count_change(services, client)
    me = client.user_id
    own = _said(await services.parties.of_user(me))
    party = await services.parties.decline(params.party_id, me)
    if party is not None:
        said = _change(params.party_id, party.version, own, "declined", me)
        tell = partial(services.tell, me, "party.changed", said, _key(party, "declined", me))
        await _tell(services, party, "declined", me, (tell,))
    return {"declined": party is not None}


async def leave(services: Services, client: Client, _: NoParams) -> dict[str, Any]:
    await count_change(services, client)
    party = await services.parties.leave(client.user_id)
    if party is None:
        await _look_again(services, client.user_id)
    else:
        await _tell(services, party, "left", client.user_id, moved=client.user_id)
    return {"party": None}


async def kick(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    await count_change(services, client)
    other = not_oneself(client, params.user_id)
    party = await services.parties.kick(client.user_id, other)
    return await _tell(services, party, "kicked", other, moved=other)


async def lead(services: Services, client: Client, params: UserParams) -> dict[str, Any]:
    await count_change(services, client)
    other = not_oneself(client, params.user_id)
    return await _tell(services, await services.parties.lead(client.user_id, other), "leader", other)


async def _tell(
    services: Services, party: Party, why: str, user_id: str, more: Sequence[Step] = (), *, moved: str = ""
) -> dict[str, Any]:
    """Tell the members, and who has come or gone (`moved`): the sessions of that one hear another party topic from now on.

    Returns the answer of the method. A change is told once, also if it is asked for again.
    """
    said = _said(party)
    members = [member.user_id for member in party.members]
    told = _change(party.party_id, party.version, said, why, user_id)
    others = [member for member in members if member != moved]
    steps: list[Step] = [*more]
    if others:
        steps.append(partial(services.tell_all, others, "party.changed", told, _key(party, why, "members")))
    if moved:
        theirs = told if moved in members else {**told, "party": None}
        key = _key(party, why, moved)
        steps.append(partial(services.tell, moved, "party.changed", theirs, key, refresh="party"))
    await see_to(services, f"party {party.party_id}: {why}", *steps)
    return {"party": said}


async def _look_again(services: Services, user_id: str) -> None:
    """The user's sessions look up which party they are in. Clients see nothing of it."""
    key = f"party:again:{secrets.token_hex(8)}"
    again = partial(services.tell, user_id, "", {}, key, refresh="party")
    await see_to(services, f"party of {user_id}: again", again)


def _change(party_id: str, version: int, party: dict[str, Any] | None, why: str, user_id: str) -> dict[str, Any]:
    return {"party_id": party_id, "version": version, "party": party, "why": why, "user_id": user_id}


def _key(party: Party, why: str, to: str) -> str:
    return f"party:{party.party_id}:{party.version}:{why}:{to}"


def add_to(router: Router) -> None:
    router.add("party.get", NoParams, get)
    router.add("party.create", NoParams, create)
    router.add("party.invite", Person, invite)
    router.add("party.accept", PartyParams, accept)
    router.add("party.decline", PartyParams, decline)
    router.add("party.leave", NoParams, leave)
    router.add("party.kick", UserParams, kick)
    router.add("party.lead", UserParams, lead)
