"""What a client is told of its session."""

from __future__ import annotations

from cluster.security.recovery import RecoveryClaims, verify_recovery
from serve_apps.gateway.identity import Identity
from tests.unit.serve_apps.gateway.fakes import SECRET, WALL, Gateway, a_world


def test_session_ready_has_all_that_recovery_needs() -> None:
    gateway = Gateway()
    client, _ = gateway.connect(
        attach_epoch=3, world=a_world(), subscriptions=("news", "chat:world"), seq=41, recovered=True
    )
    ready = gateway.hub.greeting.ready(client, ("redis",))
    assert (ready["stream"], ready["seq"], ready["recovered"], ready["resumed"]) == ("a1", 41, True, True)
    assert (ready["topics"], ready["degraded"]) == (["chat:world", "news"], ["redis"])
    ttl_s = gateway.settings.session.recovery_ttl_s
    assert ready["recovery"]["expires_in"] == ttl_s
    claims = verify_recovery(SECRET, ready["recovery"]["token"], WALL + ttl_s - 1, 0.0, gateway.settings.namespace)
    assert claims == RecoveryClaims("usr_1", "ses_1", 3)


def test_the_recovery_token_says_the_newest_role() -> None:
    gateway = Gateway()
    client, _ = gateway.connect()
    gateway.authority.renewed(client, Identity("usr_1", role="moderator"))
    for role in ("moderator", "player"):
        gateway.authority.renewed(client, Identity("usr_1", role=role))
        token = gateway.hub.greeting.token(client)["token"]
        claims = verify_recovery(SECRET, token, WALL, 0.0, gateway.settings.namespace)
        assert Identity.of_recovery(claims).role == role


def test_system_info_tells_the_newest_number_and_no_token() -> None:
    gateway = Gateway()
    client, _ = gateway.connect(seq=5, missed=(("chat.message", b'{"text":"a"}'), ("chat.message", b'{"text":"b"}')))
    info = gateway.hub.greeting.info(client, ())
    assert info["seq"] == 7
    assert "recovery" not in info


async def test_a_token_is_renewed_before_it_expires() -> None:
    gateway = Gateway()
    client, wire = gateway.connect()
    client.idle = True  # nothing is done here for a long time, and its session's actor knows
    ttl_s = gateway.settings.session.recovery_ttl_s
    client.connection.alive(gateway.clock.now + ttl_s)
    gateway.clock.now += ttl_s / 2 - 1
    gateway.hub.sweep()
    gateway.hub.pulse()
    assert wire.json() == []
    for _ in range(2):
        gateway.clock.now += 2
        gateway.hub.sweep()
        gateway.hub.pulse()
    (notice,) = wire.json()
    assert notice["method"] == "session.token"
    assert notice["params"]["expires_in"] == ttl_s


def test_what_a_client_may_send() -> None:
    gateway = Gateway()
    client, _ = gateway.connect()
    limits = gateway.hub.greeting.info(client, ())["limits"]
    assert limits == {
        "max_frame_bytes": 65_536,
        "max_pending_requests": 32,
        "max_subscriptions": 64,
        "messages_per_s": 60.0,
        "messages_burst": 120,
        "message_unit_bytes": 4_096,
    }
    client.identity = Identity("usr_1", premium=True)
    more = gateway.hub.greeting.info(client, ())["limits"]
    assert more == limits | {"messages_per_s": 120.0, "messages_burst": 240}
