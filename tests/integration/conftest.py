"""A realm in this process for tests that need no settings of their own, and the proof that it still serves after each."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from tests.local_realm import LocalRealm, local_realm
from tests.players import Witnesses, witnesses

GRACE_S = 1.0  # so that a test can wait for the end of a session


@pytest.fixture
def nothing_of_ours_fails(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Bad input is the client's problem: the realm has no error to report."""
    with capture_logs() as logs:
        yield
    assert [line for line in logs if line["log_level"] in ("error", "critical")] == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watched(valkey_url: str, nats_url: str, nats_token: str) -> AsyncIterator[tuple[LocalRealm, Witnesses]]:
    """One realm for a module's tests, with two witnesses in it."""
    namespace = f"test-{secrets.token_hex(6)}"
    async with (
        local_realm(valkey_url, nats_url, nats_token, namespace, session={"grace_s": GRACE_S}) as realm,
        witnesses(realm) as both,
    ):
        yield realm, both


@pytest_asyncio.fixture(loop_scope="module")
async def watched_realm(
    watched: tuple[LocalRealm, Witnesses], nothing_of_ours_fails: None
) -> AsyncIterator[LocalRealm]:
    """After each test the two witnesses must still be served."""
    yield watched[0]
    await watched[1].still_served()
