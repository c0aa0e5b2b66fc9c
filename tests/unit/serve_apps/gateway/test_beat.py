"""What a gateway tells of itself with each beat."""

from __future__ import annotations

from cluster.telemetry.counts import PlainHistogram
from serve_apps.gateway.beat import GatewayBeat, quantile
from serve_apps.gateway.outgoing import Priority
from tests.unit.serve_apps.gateway.fakes import Gateway


def test_totals_outlast_sockets() -> None:
    gateway = Gateway()
    beat = GatewayBeat(gateway.hub, gateway.metrics)
    gateway.hub.watchers.append(beat)
    client, _ = gateway.connect()
    gateway.hub.notify(client, "system.message", b"{}", Priority.IMMEDIATE)
    before = beat.values()
    assert (before["sockets"], before["closes"], before["draining"], before["degraded"]) == (1, 0, False, [])
    assert before["messages_out"] >= 1
    assert before["bytes_out"] > 0
    assert before["capacity"] == gateway.settings.gateway.capacity
    beat.gone(client, 0.0)
    del gateway.hub.clients[client.session_id]
    after = beat.values()
    assert (after["sockets"], after["closes"]) == (0, 1)
    assert (after["messages_out"], after["bytes_out"]) == (before["messages_out"], before["bytes_out"])


def test_what_waits() -> None:
    gateway = Gateway()
    beat = GatewayBeat(gateway.hub, gateway.metrics)
    slow, _ = gateway.connect(session_id="ses_slow")
    gateway.connect(session_id="ses_other")
    gateway.hub.blocked(slow)
    gateway.hub.notify(slow, "system.message", b'{"text":"' + b"x" * 500 + b'"}', Priority.IMMEDIATE)
    values = beat.values()
    assert values["queue_bytes"] == values["queue_worst"] > 500


def test_refusals_and_messages() -> None:
    gateway = Gateway()
    beat = GatewayBeat(gateway.hub, gateway.metrics)
    gateway.metrics.refused("full")
    gateway.metrics.refused("maintenance")
    gateway.metrics.received.add("system.ping", 3)
    values = beat.values()
    assert (values["refusals"], values["messages_in"]) == (2, 3)


def test_latency_is_of_the_last_seconds() -> None:
    gateway = Gateway()
    beat = GatewayBeat(gateway.hub, gateway.metrics)
    assert beat.values()["latency_ms_p95"] is None
    for _ in range(100):
        gateway.metrics.latency_s.observe("system.ping", 0.2)
    assert beat.values()["latency_ms_p95"] >= 200.0
    for _ in range(10):
        gateway.metrics.latency_s.observe("system.ping", 0.0005)
    assert beat.values()["latency_ms_p95"] == 1.0
    assert beat.values()["latency_ms_p95"] is None


def test_a_quantile() -> None:
    histogram = PlainHistogram((1.0, 2.0, 4.0))
    assert quantile(histogram, [95, 5, 0, 0], 0.95) == 1.0
    assert quantile(histogram, [94, 6, 0, 0], 0.95) == 2.0
    assert quantile(histogram, [0, 0, 0, 1], 0.95) == 4.0
    assert quantile(histogram, [0, 0, 0, 0], 0.95) is None
