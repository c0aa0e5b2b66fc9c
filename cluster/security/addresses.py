"""Whose connection it is, as limits and bans count it: one IPv4 address, or one /64 network of IPv6 (RFC 6177)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

PREFIX_V6 = 64
Network = IPv4Network | IPv6Network


def limit_key(address: str) -> str:
    """The address, or its /64 network: "203.0.113.7", "2001:db8::/64". What is no address is its own key."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ip_network((parsed, PREFIX_V6), strict=False))
    return str(parsed)


def within(address: str, networks: Iterable[Network]) -> bool:
    """Whether the address belongs to one of the networks. What is no address belongs to none."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed.version == network.version and parsed in network for network in networks)
