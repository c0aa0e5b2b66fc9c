"""The realm that the Ray-backed tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.real_realm import RealRealm, real_realm

# Passwords are not what these tests are about.
CONFIG = """
[accounts]
argon2_memory_kib = 256
argon2_time_cost = 1
"""


@pytest.fixture(scope="session")
def realm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRealm]:
    """Two gateways. A test that kills something waits until it is back; one that stops the realm starts its own."""
    with real_realm(tmp_path_factory.mktemp("realm"), CONFIG) as realm:
        yield realm
