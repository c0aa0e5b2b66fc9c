"""Certificate and key as HAProxy takes them: one PEM file, mode 0600, that is known to work before it is used (row 6.4).

The standard library alone: see orders.py.
"""

from __future__ import annotations

import ssl
from pathlib import Path

from cluster.edge.orders import private


class BadPairError(Exception):
    """These files are no certificate and its key."""


def combined(certificate: Path, key: Path) -> str:
    """Chain, then key. Raises BadPairError, with a reason that shows neither."""
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Without a password callback OpenSSL would ask the terminal.
        context.load_cert_chain(certificate, key, password=lambda: "")
        return "".join(f"{path.read_text(encoding='ascii').strip()}\n" for path in (certificate, key))
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise BadPairError(f"{certificate} and {key} are no certificate with its key: {_reason(error)}") from error


def refreshed(certificate: Path, key: Path, target: Path) -> str | None:
    """Write the pair to `target`. If it is no good and `target` is there, that stays: the problem. Raises BadPairError."""
    try:
        text = combined(certificate, key)
    except BadPairError as error:
        if not target.exists():
            raise
        return str(error)
    private(target, text)
    return None


def _reason(error: Exception) -> str:
    said = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(said or type(error).__name__)
