"""`rayrealm-haproxy renew`: on a node of a Ray that others start, HAProxy takes the certificate that its orders name (row 6.4).

For whatever renews the certificate there to call; a realm of one machine looks by itself (`reload.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cluster.edge.orders import BadOrdersError, Orders
from cluster.edge.pem import BadPairError, combined
from cluster.edge.reload import RefusedError, hand_over

SOCKET_PATH = "RAY_SERVE_HAPROXY_SOCKET_PATH"
RAYS_DEFAULT = "/tmp/haproxy-serve/admin.sock"  # noqa: S108 - Ray's (ray/serve/_private/constants.py)


def sockets(environment: Mapping[str, str]) -> list[Path]:
    """Of the HAProxy processes here: Ray has one folder for each of its nodes."""
    path = Path(environment.get(SOCKET_PATH) or RAYS_DEFAULT)
    return [found.resolve() for found in path.parent.glob(f"*/{path.name}")]


def renew(orders_file: Path, environment: Mapping[str, str]) -> str:
    """What went wrong, or "". `environment`: as Ray was started with."""
    try:
        orders = Orders.load(orders_file)
        if not orders.tls:
            return "the orders name no certificate"
        pem, found = combined(Path(orders.certificate), Path(orders.key)), sockets(environment)
        for admin in found:
            hand_over(admin, pem)
    except (BadOrdersError, BadPairError, RefusedError, OSError) as error:
        return str(error)
    return "" if found else f"no HAProxy of Ray runs here ({SOCKET_PATH} says where its socket is)"
