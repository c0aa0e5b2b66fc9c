"""Metrics of logins: every outcome is there from the start, and counted."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from cluster.errors import Unauthorized
from cluster.telemetry.login_metrics import REVOKED, LoginMetrics


def test_what_is_counted() -> None:
    registry = CollectorRegistry()
    metrics = LoginMetrics(registry)
    for outcome in REVOKED:
        assert registry.get_sample_value("rayrealm_login_revocations_total", {"outcome": outcome}) == 0
    metrics.revoked("full")
    with pytest.raises(Unauthorized), metrics.attempt("login"):
        raise Unauthorized("bad_credentials")
    assert registry.get_sample_value("rayrealm_login_revocations_total", {"outcome": "full"}) == 1
    assert registry.get_sample_value("rayrealm_login_attempts_total", {"outcome": "bad_credentials"}) == 1
