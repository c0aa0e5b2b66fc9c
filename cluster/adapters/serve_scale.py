"""How many replicas a deployment has, changed while it runs: what Serve's REST API does for an external scaler.

That API needs Ray's dashboard, which a realm on one machine does without; so the controller is asked by itself.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from cluster.errors import Unavailable
from cluster.rayenv import joined_flags

DEADLINE_S = 30.0


def scale(details: dict[str, Any], application: str, deployment: str, replicas: int) -> None:
    """Returns when Serve has taken it in, not when it is done. `details` are those of the running realm. Raises Unavailable.

    Serve chooses which replicas go: those of the node with the fewest, then the newest. This process should use Ray for
    nothing else.
    """
    _set_environment(details)
    import ray
    from ray.exceptions import RayError
    from ray.serve._private.common import DeploymentID
    from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

    try:
        ray.init(
            address=details["ray_address"], namespace="rayrealm-scale", log_to_driver=False, logging_level=logging.ERROR
        )
        controller: Any = ray.get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
        wanted = DeploymentID(name=deployment, app_name=application)
        ray.get(controller.update_deployment_replicas.remote(wanted, replicas), timeout=DEADLINE_S)
    except (RayError, ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        raise Unavailable("Ray Serve") from error
    finally:
        ray.shutdown()


def _set_environment(details: dict[str, Any]) -> None:
    """As the launcher has it (cluster/rayenv.py); Ray reads it as it is imported."""
    token = Path(details["data"]) / "ray-token"
    if "RAY_AUTH_MODE" not in os.environ and token.exists() and not details["joined"]:
        os.environ.update({"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)})
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    else:
        os.environ.update(joined_flags(os.environ))
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
