"""What a client is told of its session."""

from __future__ import annotations

from cluster.security.recovery import RecoveryClaims, verify_recovery
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
