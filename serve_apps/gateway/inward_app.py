"""Keeps the port that Serve opens in each replica for other replicas off the network (row 6.4).

Ray 2.60 binds it to every interface and unpickles what comes. Others are told the node's own address, so that is enough; a realm
on one machine has 127.0.0.1. tests/contract/test_private_seams.py holds what this relies on.
"""

from __future__ import annotations

import sys
from typing import Any

import ray
from ray import serve
from ray.serve.exceptions import RayServeException

EVERYWHERE = "[::]:"
REPLICA = "ray.serve._private.replica"
BIND = "add_port_to_grpc_server"


def install() -> None:
    """In a replica, before it opens that port. Elsewhere nothing."""
    replica = sys.modules.get(REPLICA)
    if replica is not None and ray.is_initialized():
        inward(replica, ray.util.get_node_ip_address())  # type: ignore[no-untyped-call]


def application() -> str:
    """Whose replica this process is, by the application's name; "" where it is none. It is set before the callback runs."""
    try:
        return str(serve.get_replica_context().app_name)
    except RayServeException:
        return ""


def inward(replica: Any, address: str) -> None:
    """Have the module `replica` bind to `address` what it would bind to everything."""
    bind = getattr(replica, BIND)
    host = f"[{address}]:" if ":" in address else f"{address}:"
    setattr(replica, BIND, lambda server, place: bind(server, place.replace(EVERYWHERE, host)))
