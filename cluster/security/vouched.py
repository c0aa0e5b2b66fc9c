"""Whose address a request has, as far as the realm's own edge says so (row 6.1).

The edge overwrites `X-Forwarded-For` with the client's address and marks the request with a secret that only it and the realm's
processes know (`Realm.edge_secret`). Without that mark the header is a client's own word, and the socket's peer is who asks.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address

MARK = "x-rayrealm-edge"
FORWARDED = "x-forwarded-for"


def vouched(headers: Iterable[tuple[str, str]], secret: str) -> bool:
    """Whether the edge sent this. `headers`: names in lower case; `secret`: "" where there is no edge."""
    marks = [value for name, value in headers if name == MARK]
    return bool(secret) and len(marks) == 1 and hmac.compare_digest(marks[0].encode(), secret.encode())


def address(headers: Iterable[tuple[str, str]], peer: str, secret: str) -> str:
    """The client's address: a whole IPv4 or IPv6 address, or `peer` as it is when that is none.

    `headers`: of the request, names in lower case; `peer`: the socket's other end. The edge sends exactly one address.
    """
    headers = list(headers)
    if vouched(headers, secret):
        said = [value for name, value in headers if name == FORWARDED]
        if len(said) == 1 and (told := _plain(said[0].strip())):
            return told
    return _plain(peer) or peer


def _plain(text: str) -> str:
    """As the standard writes it (RFC 5952), without a zone; an IPv4 address that came over an IPv6 socket is one. Or ""."""
    try:
        parsed = ip_address(text.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)
