"""Refusals of public keys and sealed messages, counted by reason."""

from __future__ import annotations

from functools import wraps
from typing import Any

from cluster.errors import InvalidInput, Theirs
from serve_apps.gateway.client import Client
from serve_apps.gateway.router import Handler
from serve_apps.gateway.services import Services

OTHER = "other"
REASONS = frozenset(
    {
        "bad_key", "bad_signature", "bad_version", "malformed", "too_long", "wrong_device", "wrong_type", "wrong_user",
        "not_a_jwe", "wrong_suite",
        "identity_known", "stale_version", "too_many_devices", "no_keys", "stale_devices", "requests",
        "blocked", "muted", "chat", "new_channels", "strangers",
    }
)  # fmt: skip


def counted(handler: Handler) -> Handler:
    """The handler, with what it refuses counted."""

    @wraps(handler)
    async def run(services: Services, client: Client, params: Any) -> dict[str, Any]:
        try:
            return await handler(services, client, params)
        except Theirs as error:
            reason = error.errors[0][1] if isinstance(error, InvalidInput) else error.reason
            services.hub.metrics.unsealed.add(reason if reason in REASONS else OTHER)
            raise

    return run
