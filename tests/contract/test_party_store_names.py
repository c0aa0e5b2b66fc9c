"""What those who are invited to a party are called, in every adapter of parties (cluster/ports/parties.py)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.contract.outbox_logs import connected
from tests.contract.party_stores import LATER, A, B, C, P, Rig, memory_rig, redis_rig


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, namespace: str) -> AsyncIterator[Rig]:
    if request.param == "memory":
        yield memory_rig()
    else:
        async with connected(request.getfixturevalue("valkey_url")) as client:
            yield redis_rig(client, namespace)


async def test_as_what_the_inviter_called_them(rig: Rig) -> None:
    await rig.create()
    await rig.invite(A, B, other_name='Zoë "1"')
    party = await rig.invite(A, C, LATER + 1)
    assert (party.invited, party.invited_as) == ((B, C), ('Zoë "1"', ""))
    assert await rig.store.get(P) == await rig.store.of_user(A) == party
    for user_id in (B, C):
        again = await rig.invite(A, user_id, LATER + 2, other_name="Other")
    assert (again.invited, again.invited_as) == ((B, C), ('Zoë "1"', "")), "the first stays"
    await rig.accept(C)
    await rig.store.decline(P, B)
    party = await rig.invite(A, B)
    assert (party.invited, party.invited_as) == ((B,), ("",))


async def test_a_new_invitation_has_a_name_of_its_own(rig: Rig) -> None:
    await rig.create()
    await rig.invite(A, B, other_name="Bob")
    await rig.expire(P, B)
    party = await rig.store.get(P)
    assert party is not None
    assert (party.invited, party.invited_as) == ((), ())
    assert (await rig.invite(A, B)).invited_as == ("",)
    assert (await rig.invite(A, B, LATER + 1, LATER, "Robert")).invited_as == ("Robert",)
