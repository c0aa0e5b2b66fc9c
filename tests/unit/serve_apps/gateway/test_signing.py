"""The gateway's side of signed messages: who has to sign, what is verified and signed, and when keys change (row 6.1)."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from cluster.security_settings import SigningSettings
from cluster.settings import Settings
from rayrealm_client import codec
from rayrealm_client.signing import MAX_TRAILER, ClientSigner
from realm_proto import realtime_pb2 as pb
from serve_apps.gateway import signing
from serve_apps.gateway.client import Client
from serve_apps.gateway.connection import Close, Closing
from serve_apps.gateway.dispatch import Dispatcher
from serve_apps.gateway.identity import Identity
from serve_apps.gateway.messages import Framing
from serve_apps.gateway.proto_framing import MOVE_METHOD
from serve_apps.gateway.router import NoParams, Router
from serve_apps.gateway.signing import Rotation, signed_only
from serve_apps.gateway.upgrade import Refusal, Upgrade, read
from tests.unit.serve_apps.gateway.fakes import KEY, Gateway, Wire, a_world, attached, settled

FRAMINGS = [Framing.JSON, Framing.PROTO]
HEADERS = [("sec-websocket-version", "13"), ("sec-websocket-key", KEY), ("authorization", "Bearer x")]


def a_gateway(**settings: Any) -> Gateway:
    """One with `signing` settings, and two methods that answer."""

    async def answer(*_: Any) -> dict[str, Any]:
        return {"done": True}

    router = Router()
    for method in ("game.pay", "game.look"):
        router.add(method, NoParams, answer)
    gateway = Gateway(router)
    chosen = SigningSettings(**settings)
    gateway.hub.settings = gateway.settings = gateway.settings.model_copy(update={"signing": chosen})
    dispatcher = Dispatcher(
        router, gateway.services, gateway.clock, 32, gateway.metrics, signed_only(router.methods, chosen.methods)
    )
    gateway.hub.use(dispatcher)
    gateway.hub.watchers.append(Rotation(chosen, gateway.hub.notify, gateway.metrics))
    return gateway


class Signing:
    """A client that signs, at a gateway without sockets."""

    def __init__(self, gateway: Gateway, framing: Framing, **what: Any) -> None:
        self.signer, self.wire, self.gateway, self.framing = ClientSigner(), Wire(), gateway, framing
        upgrade = Upgrade("token", "", "", "", 0, framing, framing.value, KEY, sign=self.signer.offer)
        self.client = gateway.hub.connect(attached(**what), "sessions/0", upgrade, Identity("usr_a"), self.wire)
        first = self.wire.frames.pop(0)[0]
        (ready,) = codec.decode(first.decode() if framing is Framing.JSON else first)
        assert isinstance(ready, codec.Notification)
        self.offered = ready.params["signing"]
        self.signer.agree(first, ready.params["session_id"], self.offered)

    def sealed(self, item: codec.Item) -> bytes:
        made = self.signer.seal(codec.encode(item, "json" if self.framing is Framing.JSON else "proto"))
        return made.encode() if isinstance(made, str) else made

    def frame(self, data: bytes) -> None:
        self.gateway.hub.receive(self.client, self.framing is Framing.JSON, data, True)

    async def ask(self, method: str) -> list[codec.Item]:
        self.frame(self.sealed(codec.Request(1, method, {})))
        await settled(self.client)
        return self.heard()

    def heard(self) -> list[codec.Item]:
        frames, items = self.wire.frames[:], []
        self.wire.frames.clear()
        for data, framing in frames:
            items += codec.decode(self.signer.open(data.decode() if framing is Framing.JSON else data))
        return items


def bad_signatures(gateway: Gateway) -> dict[str, int]:
    return {reason: count for reason, count in gateway.metrics._bad_signatures.items() if count}


class TestUpgrade:
    def test_the_key_comes_by_query_or_subprotocol(self) -> None:
        offer = ClientSigner().offer
        by_query = read("GET", f"/ws?sign={offer}", HEADERS)
        named = [*HEADERS, ("sec-websocket-protocol", f"rayrealm.v1+json, rayrealm.sign.{offer}")]
        for upgrade in (by_query, read("GET", "/ws?sign=x", named)):
            assert isinstance(upgrade, Upgrade)
            assert upgrade.sign == offer
        plain = read("GET", "/ws", HEADERS)
        assert isinstance(plain, Upgrade)
        assert plain.sign == ""

    @pytest.mark.parametrize("offer", ["x", "BAAA", "%00", "B" + "A" * 84])
    def test_what_is_no_key_is_refused(self, offer: str) -> None:
        refusal = read("GET", f"/ws?sign={offer}", HEADERS)
        assert isinstance(refusal, Refusal)
        assert (refusal.status.value, refusal.reason) == (400, "bad_signing_key")

    def test_who_has_to_sign(self) -> None:
        unsigned, signed = (Upgrade("t", "", "", "", 0, None, "", KEY, sign=sign) for sign in ("", "x"))
        for mode in ("off", "optional"):
            assert signing.refused(unsigned, SigningSettings(mode=mode)) is None
        required = SigningSettings(mode="required")
        refusal = signing.refused(unsigned, required)
        assert refusal is not None
        assert (refusal.status.value, refusal.reason) == (400, "signature_required")
        assert signing.refused(signed, required) is None
        assert signing.room(signed, required) == MAX_TRAILER
        assert signing.room(unsigned, required) == 0
        assert signing.room(signed, SigningSettings(mode="off")) == 0


@pytest.mark.parametrize("framing", FRAMINGS)
class TestMessages:
    async def test_all_after_the_greeting_is_signed(self, framing: Framing) -> None:
        player = Signing(a_gateway(), framing)
        assert player.offered["key_id"] == 0
        assert (player.offered["rotate_s"], player.offered["previous_s"]) == (3_600.0, 30.0)
        assert await player.ask("game.look") == [codec.Result(1, {"done": True})]
        assert await player.ask("game.look") == [codec.Result(1, {"done": True})]

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            (lambda data: data, "replayed"),
            (lambda data: data[:-1], "cut off"),
            (lambda data: bytes([data[0] ^ 2]) + data[1:], "bad_mac"),
            (lambda data: data.split(b"\ns1.")[0] if b"\ns1." in data else data[:-43], "unsigned"),
        ],
    )
    async def test_what_is_not_signed_closes(self, framing: Framing, change: Any, reason: str) -> None:
        gateway = a_gateway()
        player = Signing(gateway, framing)
        if reason == "cut off":  # of a text trailer the beginning is still there
            reason = "malformed" if framing is Framing.JSON else "unsigned"
        good = player.sealed(codec.Request(1, "game.look", {}))
        player.frame(good)
        await settled(player.client)
        player.frame(change(good))
        # What was wrong with it is not looked at any further, and nothing comes after it.
        assert player.wire.closed == [(4505, reason)]
        player.gateway.hub.disconnected(player.client)
        assert bad_signatures(gateway) == {reason: 1}
        assert gateway.closes() == {"4505": 1}

    async def test_nothing_is_decoded_before_it_is_believed(self, framing: Framing) -> None:
        gateway = a_gateway()
        player = Signing(gateway, framing)
        player.frame(b"\xff" * 60)
        assert player.wire.closed == [(4505, "unsigned")]
        assert (player.client.connection.messages_in, player.client.pending_requests) == (0, 0)

    async def test_a_message_is_signed_as_a_whole(self, framing: Framing) -> None:
        player = Signing(a_gateway(), framing)
        data, text = player.sealed(codec.Request(1, "game.look", {})), framing is Framing.JSON
        player.gateway.hub.receive(player.client, text, data[:10], False)
        player.gateway.hub.receive_continuation(player.client, data[10:-5], False)
        player.gateway.hub.receive_continuation(player.client, data[-5:], True)
        await settled(player.client)
        assert player.heard() == [codec.Result(1, {"done": True})]

    def test_the_largest_message_may_be_signed(self, framing: Framing) -> None:
        gateway = a_gateway()
        most, text = gateway.settings.gateway.max_frame_bytes, framing is Framing.JSON
        for size, code in ((most, None), (most + 1, Close.TOO_BIG)):
            player = Signing(gateway, framing, session_id=f"ses_{size}")
            made = player.signer.seal("x" * size if text else b"\xff" * size)
            data = made.encode() if isinstance(made, str) else made
            connection = player.client.connection
            event = connection.text(data, True, 0.0) if text else connection.binary(data, True, 0.0)
            assert (event.code if isinstance(event, Closing) else None) == code

    async def test_frames_that_were_not_let_in_are_no_theft(self, framing: Framing) -> None:
        player = Signing(a_gateway(), framing)
        player.sealed(codec.Request(1, "game.look", {}))
        player.client.connection.skip(player.gateway.clock.now)
        assert await player.ask("game.look") == [codec.Result(1, {"done": True})]


class TestRotation:
    def sweep(self, gateway: Gateway, seconds: float) -> None:
        """Time passes; the client is not idle meanwhile."""
        gateway.clock.now += seconds
        for client in gateway.hub.clients.values():
            client.connection.alive(gateway.clock.now)
        gateway.hub.sweep()

    @pytest.mark.parametrize("framing", FRAMINGS)
    async def test_keys_change_and_the_client_is_told(self, framing: Framing) -> None:
        gateway = a_gateway(rotate_s=10.0, previous_s=3.0)
        player = Signing(gateway, framing)
        for count in range(1, 4):
            self.sweep(gateway, 9.0)
            assert player.heard() == []
            late = player.sealed(codec.Request(1, "game.look", {}))
            self.sweep(gateway, 1.0)
            player.frame(late)
            await settled(player.client)
            rotated, answer = player.heard()
            assert rotated == codec.Notification("security.key.rotated", {"key_id": count, "previous_s": 3.0})
            assert answer == codec.Result(1, {"done": True})
            assert await player.ask("game.look") == [codec.Result(1, {"done": True})]
        assert gateway.metrics._keys_rotated == 3

    async def test_the_former_key_ends(self) -> None:
        gateway = a_gateway(rotate_s=10.0, previous_s=3.0)
        player = Signing(gateway, Framing.PROTO)
        late = player.sealed(codec.Request(1, "game.look", {}))
        self.sweep(gateway, 10.0)
        self.sweep(gateway, 3.0)
        player.frame(late)
        assert player.wire.closed == [(4505, "unknown_key")]

    async def test_who_does_not_read_keeps_the_key(self) -> None:
        gateway = a_gateway(rotate_s=10.0, previous_s=3.0)
        player = Signing(gateway, Framing.JSON)
        gateway.hub.blocked(player.client)
        self.sweep(gateway, 10.0)
        gateway.hub.unblocked(player.client)
        assert player.heard() == []
        self.sweep(gateway, 1.0)
        assert [item.method for item in player.heard() if isinstance(item, codec.Notification)] == [
            "security.key.rotated"
        ]

    async def test_others_are_left_alone(self) -> None:
        gateway = a_gateway(rotate_s=2.0, previous_s=1.0)
        _, wire = gateway.connect()
        rotation = gateway.hub.watchers[0]
        assert isinstance(rotation, Rotation)
        player = Signing(gateway, Framing.JSON, session_id="ses_2")
        assert list(rotation._signing) == [player.client]
        self.sweep(gateway, 2.0)
        assert wire.frames == []
        gateway.hub.close(player.client, Close.NORMAL, "bye")
        gateway.hub.disconnected(player.client)
        assert rotation._signing == {}
        assert bad_signatures(gateway) == {}


class TestMethods:
    async def ask(self, gateway: Gateway, client: Client, wire: Wire, method: str) -> Any:
        await gateway.say(client, {"jsonrpc": "2.0", "id": 1, "method": method})
        return wire.json()[0]

    async def test_some_only_over_signed_connections(self) -> None:
        gateway = a_gateway(methods=("game.p*", "auth.*"))
        client, wire = gateway.connect()
        refused = await self.ask(gateway, client, wire, "game.pay")
        assert refused["error"]["code"] == -32003
        assert refused["error"]["data"] == {"reason": "signature_required", "state": "authenticated"}
        assert (await self.ask(gateway, client, wire, "game.look"))["result"] == {"done": True}
        player = Signing(gateway, Framing.PROTO, session_id="ses_2")
        assert await player.ask("game.pay") == [codec.Result(1, {"done": True})]

    @pytest.mark.parametrize(("methods", "short"), [((), True), (("world.position.*",), False), (("chat.*",), True)])
    def test_moves_have_no_way_past_it(self, methods: tuple[str, ...], short: bool) -> None:
        gateway = a_gateway(methods=methods)
        client, _ = gateway.connect(Framing.PROTO, world=a_world())
        client.connection.entity = 7
        move = pb.WebSocketMessage(move=pb.PositionUpdate(position=pb.Vector3(x=1), sequence=1)).SerializeToString()
        event = client.connection.binary(move, True, 0.0)
        assert hasattr(event, "row") is short
        assert signed_only([MOVE_METHOD], methods) == (frozenset() if short else {MOVE_METHOD})


def test_mode_off_offers_nothing() -> None:
    gateway = a_gateway(mode="off")
    wire = Wire()
    upgrade = Upgrade("t", "", "", "", 0, Framing.JSON, "", KEY, sign=ClientSigner().offer)
    client = gateway.hub.connect(attached(), "sessions/0", upgrade, Identity("usr_a"), wire)
    assert client.connection.signer is None
    assert "signing" not in orjson.loads(wire.frames[0][0])["params"]


@pytest.mark.parametrize("wrong", [{"rotate_s": 5.0, "previous_s": 5.0}, {"mode": "off", "methods": ["game.*"]}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings(signing=SigningSettings(**wrong))
