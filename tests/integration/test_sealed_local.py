"""Sealed messages on a real gateway and real actors in one process, in both framings (row 6.4; PROTOCOL.md, "Sealed messages")."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from rayrealm_client import errors, sealed
from rayrealm_client.codec import Framing
from rayrealm_client.key_file import KeyFile
from rayrealm_client.key_records import SUITES
from rayrealm_client.sealing import BadSeal, OwnKeys
from tests.integration.mock_players import FRAMINGS, until
from tests.integration.sealed_rig import RSA_BITS, Owner, overheard
from tests.local_realm import LocalRealm, local_realm

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def realm(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[LocalRealm]:
    namespace = f"test-{secrets.token_hex(6)}"
    fast = {"burst": 1_000, "per_s": 1_000.0}
    async with local_realm(valkey_url, nats_url, nats_token, namespace, session={"grace_s": 1.0}, chat=fast) as made:
        yield made


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("suite", SUITES)
async def test_what_is_sealed_is_opened(realm: LocalRealm, framing: Framing, suite: str) -> None:
    ann_, bob_ = Owner(realm, framing), Owner(realm, framing)
    async with ann_.come() as ann, bob_.come() as bob:
        before = time.time()
        message_id = await ann.sealed.tell(bob_.id, "hällo 🙂", suite=suite)
        await until(lambda: bool(bob_.heard))
        (heard,) = bob_.heard
        assert (heard.message_id, heard.sender, heard.to, heard.text) == (message_id, ann_.id, bob_.id, "hällo 🙂")
        assert before - 1 <= heard.at <= time.time() + 1
        assert not heard.verified
        await bob.sealed.tell(ann_.id, "and back", suite=suite)
        await until(lambda: ann_.texts == ["and back"])
        assert ann.sealed.safety_number(bob_.id) == bob.sealed.safety_number(ann_.id)
        bob.sealed.verify(ann_.id)
        await ann.sealed.tell(bob_.id, "verified", suite=suite)
        await until(lambda: bob_.texts[1:] == ["verified"])
        assert bob_.heard[-1].verified


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_it_waits_for_who_is_not_there(realm: LocalRealm, framing: Framing) -> None:
    ann_, bob_ = Owner(realm, framing), Owner(realm, framing)
    async with bob_.come():
        pass
    async with ann_.come() as ann:
        for number in range(25):
            await ann.sealed.tell(bob_.id, f"number {number}")
    async with bob_.come() as bob:
        await until(lambda: len(bob_.heard) == 25)
        assert bob_.texts == [f"number {number}" for number in range(25)]
        await bob.sealed.read([message.message_id for message in bob_.heard[:-1]])
        assert len(bob_.ring.read) == 24
    async with bob_.come():
        await until(lambda: len(bob_.heard) == 26)
        assert bob_.texts[25:] == ["number 24"], "what was read waits no longer"
    assert bob_.unopened == []


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_all_devices_of_both_have_it_once(realm: LocalRealm, framing: Framing) -> None:
    ann_, bob_ = Owner(realm, framing), Owner(realm, framing)
    phone_, desk_ = ann_.another_device(), bob_.another_device()
    async with ann_.come() as ann, phone_.come(), bob_.come() as bob, desk_.come() as desk:
        await ann.sealed.tell(bob_.id, "to all")
        await until(lambda: all(each.texts == ["to all"] for each in (bob_, desk_, phone_)))
        assert (phone_.heard[0].sender, phone_.heard[0].to) == (ann_.id, bob_.id)
        assert ann_.heard == []
        await bob.sealed.read([bob_.heard[0].message_id])
        assert await desk.sealed.remove_device(bob_.ring.keys.device.device)
        await ann.sealed.tell(bob_.id, "to one")
        await until(lambda: desk_.texts[1:] == ["to one"])
    assert bob_.texts == ["to all"]


async def test_a_device_that_came_meanwhile_gets_it_too(realm: LocalRealm) -> None:
    ann_, bob_ = Owner(realm), Owner(realm)
    async with ann_.come() as ann, bob_.come():
        await ann.sealed.tell(bob_.id, "first")
        desk_ = bob_.another_device()
        async with desk_.come():
            await ann.sealed.tell(bob_.id, "second")
            await until(lambda: bob_.texts == ["first", "second"] and desk_.texts == ["second"])


async def test_a_device_with_newer_keys(realm: LocalRealm) -> None:
    """What is sealed for the old keys is not sent, and the sender seals it anew."""
    ann_, bob_ = Owner(realm), Owner(realm)
    async with ann_.come() as ann, bob_.come() as bob:
        await ann.sealed.tell(bob_.id, "first")
        await until(lambda: bob_.texts == ["first"])
        bob_.ring.keys = bob_.ring.keys.renumbered(device=2)
        await bob.sealed.begin(bob_.ring)
        await ann.sealed.tell(bob_.id, "second")
        await until(lambda: bob_.texts == ["first", "second"])


@pytest.mark.parametrize("framing", FRAMINGS)
async def test_another_identity_is_told_and_not_believed(realm: LocalRealm, framing: Framing) -> None:
    ann_, bob_ = Owner(realm, framing), Owner(realm, framing)
    async with ann_.come() as ann, bob_.come() as bob:
        await ann.friends.request(bob_.id)
        await bob.friends.accept(ann_.id)
        await ann.sealed.tell(bob_.id, "first")
        ann.sealed.verify(bob_.id)
        await until(lambda: bob_.texts == ["first"])
        new_ = bob_.with_new_identity()
        with pytest.raises(errors.Conflict, match="identity_known"):
            async with new_.come():
                pass
        assert ann_.changes == []
        async with new_.come(replace=True) as new:
            thumbprint = new_.ring.keys.identity.thumbprint
            await until(lambda: bool(ann_.changes) and bool(bob_.changes))
            assert [(each.user_id, each.thumbprint) for each in ann_.changes] == [(bob_.id, thumbprint)]
            assert bob_.changes[0].user_id == bob_.id, "the device that was put out is told"
            with pytest.raises(BadSeal, match="identity_changed"):
                await ann.sealed.tell(bob_.id, "not for a stranger")
            await new.sealed.tell(ann_.id, "it is me")
            await until(lambda: [each.reason for each in ann_.unopened] == ["identity_changed"])
            assert ann_.heard == []
            ann.sealed.accept(bob_.id)
            pin = ann.sealed.pin(bob_.id)
            assert pin is not None
            assert (pin.thumbprint, pin.verified, pin.changed) == (thumbprint, False, "")
            await ann.sealed.fetch_inbox(ann.request)
            assert ann_.texts == ["it is me"], "it has waited in the inbox"
            await ann.sealed.tell(bob_.id, "welcome")
            await until(lambda: new_.texts == ["welcome"])
    assert bob_.texts == ["first"]


async def test_blocks_hold_and_are_not_told(realm: LocalRealm) -> None:
    ann_, bob_, eve_ = Owner(realm), Owner(realm), Owner(realm)
    async with ann_.come() as ann, bob_.come() as bob, eve_.come() as eve:
        await bob.friends.block(ann_.id)
        assert (await ann.sealed.tell(bob_.id, "let me in")).startswith("msg_")
        with pytest.raises(errors.InvalidState, match="blocked"):
            await bob.sealed.tell(ann_.id, "no")
        await eve.sealed.tell(bob_.id, "hello")
        await until(lambda: bool(bob_.heard))
        await bob.friends.unblock(ann_.id)
        await bob.sealed.fetch_inbox(bob.request)
    assert bob_.texts == ["hello"]
    assert ann_.heard == []


async def test_who_has_no_keys(realm: LocalRealm) -> None:
    ann_ = Owner(realm)
    async with ann_.come() as ann:
        with pytest.raises(BadSeal, match="no_keys"):
            await ann.sealed.tell("usr_nobody", "hello?")
        assert await ann.sealed.look_up(["usr_nobody", ann_.id]) == {ann_.id: ann_.ring.pins[ann_.id]}


async def test_a_realm_that_replays_and_readdresses(realm: LocalRealm) -> None:
    """What a realm that has gone bad can do with what it has seen."""
    ann_, bob_, eve_ = Owner(realm), Owner(realm), Owner(realm)
    async with ann_.come() as ann, bob_.come() as bob, eve_.come() as eve:
        taken = overheard(bob)
        await ann.sealed.tell(bob_.id, "pay him")
        await until(lambda: bob_.texts == ["pay him"])
        await bob.sealed.read([bob_.heard[0].message_id])
        eve.sealed.take(taken[0])  # sealed for another device: nothing in it is for this one
        bob.sealed.take(taken[0] | {"message_id": "msg_0000000000000001"})
        await until(lambda: [each.reason for each in bob_.unopened] == ["replayed"])
        bob.sealed.take(taken[0] | {"message_id": "msg_0000000000000002", "from": eve_.id})
        await until(lambda: [each.reason for each in bob_.unopened][1:] == ["bad_signature"])
        bob.sealed.take(taken[0] | {"message_id": "msg_0000000000000003", "to": eve_.id})
        await until(lambda: [each.reason for each in bob_.unopened][2:] == ["wrong_receiver"])
    assert bob_.texts == ["pay him"]
    assert eve_.heard == []
    assert eve_.unopened == []


async def test_keys_are_kept_in_a_file(realm: LocalRealm, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    assert file.load() is None
    ann_, bob_ = Owner(realm), Owner(realm)
    async with ann_.come(save=file.save) as ann, bob_.come():
        await ann.sealed.tell(bob_.id, "one")
        ann.sealed.verify(bob_.id)
        await until(lambda: bob_.texts == ["one"])
    assert file._path.stat().st_mode & 0o777 == 0o600
    ring = file.load()
    assert ring is not None
    again_ = Owner(realm, ring=ring)
    async with again_.come() as again, bob_.come():
        assert ring.pins[bob_.id].verified
        await again.sealed.tell(bob_.id, "two")
        await until(lambda: bob_.texts == ["one", "one", "two"])
    assert ring.keys.device == ann_.ring.keys.device, "the same device, not a new one"


async def test_nobody_publishes_for_somebody_else(realm: LocalRealm) -> None:
    ann_, bob_ = Owner(realm), Owner(realm)
    forged = OwnKeys.create(ann_.id, time.time(), rsa_bits=RSA_BITS)
    async with ann_.come() as ann, bob_.come() as bob:
        params = {"identity": forged.identity.record, "device": forged.device.record, "replace": True}
        with pytest.raises(errors.InvalidParams, match="wrong_user"):
            await bob.request("keys.publish", params)
        params["identity"] = bob_.ring.keys.identity.record
        with pytest.raises(errors.InvalidParams, match="bad_signature"):
            await bob.request("keys.publish", params)
        known = await ann.sealed.look_up([ann_.id])
    assert known[ann_.id].thumbprint == ann_.ring.keys.identity.thumbprint


async def test_more_at_once_than_are_kept_waiting(realm: LocalRealm, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a client has no room for it fetches from the inbox."""
    monkeypatch.setattr(sealed, "WAITING", 2)
    ann_, bob_ = Owner(realm), Owner(realm)
    async with ann_.come() as ann, bob_.come() as bob:
        taken = overheard(bob)
        for number in range(5):
            await ann.sealed.tell(bob_.id, f"number {number}")
        await until(lambda: len(taken) == 5 and len(bob_.heard) == 5)
        fresh_ = Owner(realm, ring=bob_.ring)
        async with fresh_.come():  # the same device: what waits comes again
            await until(lambda: len(fresh_.heard) == 5)
        bob.sealed._told.clear()
        bob_.heard.clear()
        for params in taken:
            bob.sealed.take(params)
        await until(lambda: len(bob_.heard) == 5)
    assert sorted(bob_.texts) == [f"number {number}" for number in range(5)]
