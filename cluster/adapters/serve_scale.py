"""How many replicas a deployment has, changed while it runs: what Serve's REST API does for an external scaler.

That API needs Ray's dashboard, which a realm on one machine does without; so the controller is asked by itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from cluster.errors import Unavailable
from cluster.rayenv import joined_flags

DEADLINE_S = 30.0

Scale = Callable[[str, str, int], Awaitable[None]]  # application, deployment, replicas


def scale_from_inside() -> Scale:
    """For a process that is part of the Ray cluster: the console's replica. Raises Unavailable when it is used.

    Returns when Serve has taken it in, not when it is done. Serve chooses which replicas go: those of the node with the fewest,
    then the newest.
    """

    async def scale(application: str, deployment: str, replicas: int) -> None:
        await asyncio.to_thread(_ask_controller, application, deployment, replicas)

    return scale


def scale_from_outside(details: dict[str, Any]) -> Scale:
    """For a command: joins the Ray of the running realm, whose `details` those are, and leaves it. Otherwise as from inside.

    The process should use Ray for nothing else.
    """

    async def scale(application: str, deployment: str, replicas: int) -> None:
        await asyncio.to_thread(_join_and_ask, details, application, deployment, replicas)

    return scale


def _join_and_ask(details: dict[str, Any], application: str, deployment: str, replicas: int) -> None:
    _set_environment(details)
    import ray
    from ray.exceptions import RayError

    try:
        ray.init(
            address=details["ray_address"], namespace="rayrealm-scale", log_to_driver=False, logging_level=logging.ERROR
        )
        _ask_controller(application, deployment, replicas)
    except (RayError, ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise Unavailable("Ray Serve") from error
    finally:
        ray.shutdown()


def _ask_controller(application: str, deployment: str, replicas: int) -> None:
    import ray
    from ray.exceptions import RayError
    from ray.serve._private.common import DeploymentID
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

    try:
        controller: Any = ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
        wanted = DeploymentID(name=deployment, app_name=application)
        ray.get(controller.update_deployment_replicas.remote(wanted, replicas), timeout=DEADLINE_S)
    except (RayError, ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise Unavailable("Ray Serve") from error


def _set_environment(details: dict[str, Any]) -> None:
    """As the launcher has it (cluster/rayenv.py); Ray reads it as it is imported."""
    token = Path(details["data"]) / "ray-token"
    if "RAY_AUTH_MODE" not in os.environ and token.exists() and not details["joined"]:
        os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)})
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    else:
        os.environ.update(joined_flags(os.environ))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
