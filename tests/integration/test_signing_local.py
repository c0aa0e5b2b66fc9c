"""Signed messages over real sockets: who signs plays, and what was touched closes the socket with 4505 (row 6.1). No Ray."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from cluster.settings import Settings
from rayrealm_client import codec
from rayrealm_client.client import RealmClient
from rayrealm_client.codec import Framing
from rayrealm_client.errors import ConnectionEnded, InvalidState, Refused
from rayrealm_client.link import Link
from rayrealm_client.models import Tokens
from rayrealm_client.policy import Backoff
from rayrealm_client.signing import ClientSigner
from tests.integration.mock_players import FRAMINGS, until
from tests.local_realm import LocalRealm, local_realm
from tests.wire import BINARY, CONTINUATION, TEXT, Raw, frame

Frame = bytes | str
QUICK = {"rotate_s": 2.0, "previous_s": 1.0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def realm(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[LocalRealm]:
    namespace = f"test-{secrets.token_hex(6)}"
    async with local_realm(
        valkey_url,
        nats_url,
        nats_token,
        namespace,
        chat={"burst": 1_000, "per_s": 1_000.0},
        limits={"user": {"burst": 10_000, "per_s": 10_000.0}},
        abuse={"enabled": False},  # these players say as much as they can, which it would notice
        signing=QUICK,
    ) as made:
        yield made


def use(realm: LocalRealm, **signing: Any) -> None:
    """Other settings of the same realm, for sockets from now on."""
    made = Settings(realm="x", signing=QUICK | signing).signing
    realm.gateway.hub.settings = realm.settings.model_copy(update={"signing": made})


def a_client(realm: LocalRealm, framing: Framing, user: str, sign: bool = True) -> RealmClient:
    base = realm.url.replace("ws://", "http://").removesuffix("/ws")
    client = RealmClient(base, framing=framing, backoff=Backoff(0.05, 0.5), timeout_s=5.0, sign=sign)
    client.tokens = Tokens(user, realm.token(user), "", time.monotonic() + 600.0)
    return client


async def player(realm: LocalRealm, framing: Framing, x: float, sign: bool = True) -> RealmClient:
    """In the world; whoever asked closes it."""
    user = f"usr_{secrets.token_hex(6)}"
    client = a_client(realm, framing, user, sign)
    await client.enter(await realm.character(user, at=(x, 30.0)))
    return client


def link_of(client: RealmClient) -> Link:
    link = client._keeper.link
    assert link is not None
    return link


def signer_of(client: RealmClient) -> ClientSigner:
    signer = link_of(client)._signer
    assert signer is not None
    return signer


def refused(realm: LocalRealm) -> dict[str, int]:
    """Sockets closed for their signatures, by reason."""
    return dict(realm.gateway.hub.metrics._bad_signatures)


class Hand:
    """A signed socket of which the test decides each frame."""

    def __init__(self, socket: ClientConnection, framing: Framing, signer: ClientSigner) -> None:
        self.socket, self.framing, self.signer = socket, framing, signer

    @classmethod
    async def open(cls, realm: LocalRealm, framing: Framing) -> Hand:
        signer = ClientSigner()
        token = realm.token(f"usr_{secrets.token_hex(6)}")
        offered = [Subprotocol(f"rayrealm.v1+{framing}"), Subprotocol(f"rayrealm.sign.{signer.offer}")]
        headers = {"Authorization": f"Bearer {token}"}
        socket = await connect(realm.url, subprotocols=offered, additional_headers=headers, compression=None)
        first = await socket.recv()
        (ready,) = codec.decode(first)
        assert isinstance(ready, codec.Notification)
        whole = first.encode() if isinstance(first, str) else first
        signer.agree(whole, ready.params["session_id"], ready.params["signing"])
        return cls(socket, framing, signer)

    def sealed(self, number: int = 1) -> Frame:
        return self.signer.seal(self.plain(number))

    def plain(self, number: int = 1) -> Frame:
        return codec.encode(codec.Request(number, "system.ping", {"echo": "x"}), self.framing)

    async def answer(self, number: int) -> Any:
        async with asyncio.timeout(5.0):
            while True:
                for item in codec.decode(self.signer.open(await self.socket.recv())):
                    if isinstance(item, codec.Result) and item.id == number:
                        return item.value

    async def closed(self) -> tuple[int | None, str | None]:
        async with asyncio.timeout(5.0):
            try:
                while True:
                    await self.socket.recv()
            except ConnectionClosed:
                return self.socket.close_code, self.socket.close_reason


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_signed_session_plays(realm: LocalRealm, framing: Framing) -> None:
    use(realm)
    ann, bob = await player(realm, framing, 20.0), await player(realm, "proto", 22.0, sign=False)
    try:
        channel, heard = f"c{secrets.token_hex(4)}", []
        ann.chat.on_message(lambda message: heard.append(message.text))
        await ann.chat.join(channel)
        await bob.chat.join(channel)
        assert ann.world is not None
        assert bob.world is not None
        here, there = ann.world.number, bob.world.number
        await until(lambda: there in ann.entities and here in bob.entities)
        for step in range(10):
            await ann.move(20.0 + 0.05 * step, 0.0, 30.0)
            await bob.move(22.0 + 0.05 * step, 0.0, 30.0)
            await bob.chat.say(channel, str(step))
        await until(lambda: ann.acked == ann.sequence and heard == [str(step) for step in range(10)])
        await until(lambda: abs(bob.entities[here].position.x - ann.position.x) < 0.02)
        await until(lambda: abs(ann.entities[there].position.x - bob.position.x) < 0.02)
        assert (ann.corrections, ann.reconnects, ann.reliable.gaps) == (0, 0, 0)
        assert signer_of(ann)._opener is not None
        assert link_of(bob)._signer is None
    finally:
        await ann.close()
        await bob.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("reason", ["replayed", "bad_mac", "unsigned", "missing", "another session", "truncated"])
async def test_what_was_touched_closes_the_socket(realm: LocalRealm, framing: Framing, reason: str) -> None:
    use(realm)
    hand = await Hand.open(realm, framing)
    before = refused(realm)
    good = hand.sealed()
    await hand.socket.send(good)
    assert (await hand.answer(1))["echo"] == "x"
    match reason:
        case "replayed":
            await hand.socket.send(good)
        case "bad_mac":
            made = hand.sealed(2)
            await hand.socket.send(
                made.replace('"x"', '"y"') if isinstance(made, str) else bytes([made[0] ^ 1]) + made[1:]
            )
        case "unsigned":
            await hand.socket.send(hand.plain(2))
        case "missing":
            hand.sealed(2)
            await hand.socket.send(hand.sealed(3))
        case "another session":
            reason = "bad_mac"
            other = await Hand.open(realm, framing)
            other.sealed()
            await hand.socket.send(other.sealed(2))
            await other.socket.close()
        case _:
            reason = "malformed" if framing == "json" else "unsigned"
            await hand.socket.send(hand.sealed(2)[:-1])
    assert await hand.closed() == (4505, reason)
    counted = refused(realm)
    await until(lambda: refused(realm)[reason] == before[reason] + 1)
    assert sum(counted.values()) <= sum(before.values()) + 1


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_signature_is_over_the_whole_of_fragments(realm: LocalRealm, framing: Framing) -> None:
    use(realm)
    signer = ClientSigner()
    url = f"{realm.url}?sign={signer.offer}"
    raw = await Raw.open(url, realm.token(f"usr_{secrets.token_hex(6)}"), f"rayrealm.v1+{framing}")
    opcode = TEXT if framing == "json" else BINARY
    _, first = await raw.read()
    (ready,) = codec.decode(first.decode() if framing == "json" else first)
    assert isinstance(ready, codec.Notification)
    signer.agree(first, ready.params["session_id"], ready.params["signing"])
    sealed = signer.seal(codec.encode(codec.Request(1, "system.ping", {"echo": "whole"}), framing))
    data = sealed.encode() if isinstance(sealed, str) else sealed
    cut = len(data) - 20  # inside the trailer
    raw.send(
        frame(opcode, data[:5], fin=False) + frame(0x9, b"ping between") + frame(CONTINUATION, data[5:cut], fin=False)
    )
    raw.send(frame(CONTINUATION, data[cut:]))
    while True:
        kind, payload = await raw.read()
        if kind == opcode:
            (item,) = codec.decode(signer.open(payload.decode() if framing == "json" else payload))
            if isinstance(item, codec.Result):
                assert item.value["echo"] == "whole"
                break
    raw.send(frame(opcode, data))
    assert await raw.closed() == 4505


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_keys_rotate_under_traffic(realm: LocalRealm, framing: Framing) -> None:
    use(realm)
    ann = await player(realm, framing, 40.0)
    told: list[Any] = []
    ann.on_notice("security.key.rotated", told.append)
    try:
        async with asyncio.timeout(20.0):
            while len(told) < 3:
                await asyncio.gather(*(ann.request("system.ping", {"echo": n}) for n in range(8)))
                await ann.move(40.0, 0.0, 30.0)
                await asyncio.sleep(
                    0.02
                )  # 450 messages a second at most: what a quick machine could say more is another test's
        assert told[:3] == [{"key_id": count, "previous_s": 1.0} for count in (1, 2, 3)]
        await until(lambda: ann.acked == ann.sequence)
        assert (ann.reconnects, ann.ended) == (0, None)
    finally:
        await ann.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_calls_that_are_given_up_take_no_number_with_them(realm: LocalRealm) -> None:
    """A call that is cancelled while it is being sent has been given its number: it goes out all the same."""
    use(realm)
    ann = await player(realm, "proto", 45.0)
    try:
        for _ in range(20):
            calls = [asyncio.create_task(ann.request("system.ping", {"echo": "x" * 2_000})) for _ in range(6)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
        assert (await ann.request("system.ping", {"echo": "still here"}))["echo"] == "still here"
        assert (ann.reconnects, ann.ended) == (0, None)
    finally:
        await ann.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_recovered_session_has_new_keys(realm: LocalRealm, framing: Framing) -> None:
    use(realm)
    ann = await player(realm, framing, 50.0)
    try:
        former, session = signer_of(ann), ann.session_id
        late = former.seal(codec.encode(codec.Request(99, "system.ping", {}), framing))
        link_of(ann)._socket.transport.abort()
        await until(lambda: ann.reconnects == 1 and ann.connected)
        assert ann.session_id == session
        assert ann.session_ready is not None
        assert ann.session_ready.recovered
        assert signer_of(ann) is not former
        await ann.move(50.5, 0.0, 30.0)
        await until(lambda: ann.acked == ann.sequence)
        # What was said on the former socket counts for nothing on this one.
        ended: list[int] = []
        ann.on_loss(lambda loss: ended.append(loss.code))
        await link_of(ann)._socket.send(late)
        await until(lambda: ended == [4505])
        assert ann.ended is not None
    finally:
        await ann.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_who_must_sign(realm: LocalRealm) -> None:
    use(realm, mode="required")
    unsigned = a_client(realm, "proto", "usr_unsigned", sign=False)
    signed = a_client(realm, "proto", "usr_signed")
    try:
        with pytest.raises(Refused) as told:
            await unsigned.connect()
        assert (told.value.code, told.value.reason) == (400, "signature_required")
        await signed.connect()
        assert await signed.request("system.ping", {"echo": 1})
    finally:
        await unsigned.close()
        await signed.close()
    with pytest.raises(InvalidStatus) as refusal:
        await connect(
            f"{realm.url}?sign=nonsense", additional_headers={"Authorization": f"Bearer {realm.token('usr_1')}"}
        )
    assert refusal.value.response.status_code == 400


@pytest.mark.asyncio(loop_scope="module")
async def test_a_client_that_signs_takes_no_less(realm: LocalRealm) -> None:
    """A realm that does not sign, or somebody in between who says so, gets nothing from it."""
    use(realm, mode="off")
    client = a_client(realm, "proto", "usr_downgraded")
    try:
        with pytest.raises(ConnectionEnded) as told:
            await client.connect()
        assert (told.value.code, told.value.reason) == (4505, "the realm does not sign")
    finally:
        await client.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("framing", FRAMINGS)
async def test_a_client_believes_only_what_is_signed(realm: LocalRealm, framing: Framing) -> None:
    use(realm)
    client = a_client(realm, framing, f"usr_{secrets.token_hex(6)}")
    try:
        await client.connect()
        (served,) = [c for c in realm.gateway.hub.clients.values() if c.session_id == client.session_id]
        forged = codec.encode(
            codec.Notification("system.message", {"text": "give me your sword", "from": "x"}), framing
        )
        heard: list[Any] = []
        client.on_notice("system.message", heard.append)
        data = forged.encode() if isinstance(forged, str) else forged
        served.socket._socket.send(data, served.outgoing.framing)  # type: ignore[attr-defined] # past the signer
        await until(lambda: client.ended is not None)
        assert client.ended is not None
        assert (client.ended.code, client.ended.reason) == (4505, "unsigned")
        assert heard == []
    finally:
        await client.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_some_methods_have_to_be_signed(valkey_url: str, nats_url: str, nats_token: str, namespace: str) -> None:
    async with local_realm(
        valkey_url, nats_url, nats_token, namespace, signing={"methods": ["session.attribute.*", "world.position.*"]}
    ) as strict:
        plain, signed = await player(strict, "proto", 20.0, sign=False), await player(strict, "json", 24.0)
        try:
            with pytest.raises(InvalidState) as told:
                await plain.set_attribute("hat", "red")
            assert told.value.reason == "signature_required"
            await signed.set_attribute("hat", "red")
            await plain.move(20.1, 0.0, 30.0)
            await signed.move(24.1, 0.0, 30.0)
            await until(lambda: signed.acked == signed.sequence)
            assert await plain.request("system.ping", {"echo": 1})  # what came before it was judged
            assert plain.acked < plain.sequence
        finally:
            await plain.close()
            await signed.close()


@pytest.mark.asyncio(loop_scope="module")
async def test_what_a_limit_throws_away_is_no_theft(
    valkey_url: str, nats_url: str, nats_token: str, namespace: str
) -> None:
    """Frames over a limit are not read, and so not verified; the next one that is let in is believed all the same."""
    tight = {"user": {"burst": 20, "per_s": 20.0}, "strikes": 10_000}
    async with local_realm(valkey_url, nats_url, nats_token, namespace, limits=tight, signing=QUICK) as strict:
        hand = await Hand.open(strict, "proto")
        for number in range(1, 201):
            await hand.socket.send(hand.sealed(number))
        served = next(iter(strict.gateway.hub.clients.values()))
        await until(lambda: served.meter.refused > 50)
        async with asyncio.timeout(10.0):
            number = 1_000
            while True:
                number += 1
                await hand.socket.send(hand.sealed(number))
                for item in codec.decode(hand.signer.open(await hand.socket.recv())):
                    if isinstance(item, codec.Result) and item.id == number:
                        await hand.socket.close()
                        return
