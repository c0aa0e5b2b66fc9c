"""Which authority this process, and those it starts, believe besides the well-known ones: that of a realm with `--tls` (row 6.4).

OpenSSL, and all that is built on it, reads SSL_CERT_FILE as a connection is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster import running
from cluster.errors import StartRefused

VARIABLE = "SSL_CERT_FILE"


def trust(url: str, authority: Path | None = None) -> None:
    """`authority`, or that of the realm of this user at `url`, or what SSL_CERT_FILE says. Raises StartRefused."""
    if authority is not None:
        if not os.access(authority, os.R_OK):
            raise StartRefused(f"{authority} cannot be read")
        os.environ[VARIABLE] = str(authority)
    elif url.startswith("https:"):
        for realm in running.realms(running.folder()):
            made = realm.details().get("authority") if realm.url == url.rstrip("/") else None
            if made:
                os.environ[VARIABLE] = made


@contextmanager
def trusted(authority: Path | None) -> Iterator[None]:
    """For a while; None: as it is."""
    if authority is None:
        yield
        return
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(authority)
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
