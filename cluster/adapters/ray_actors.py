"""Named, detached Ray actors, and the nodes that they run on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import ray
import ray._private.state
from ray.exceptions import RayError

from cluster.errors import Unavailable
from cluster.ports.actors import ANYWHERE, ActorKind, Node, Place
from cluster.realm import Realm

NODE, HEAD = "ray.io/node-id", "node:__internal_head__"  # Ray's own label of a node, and resource of its head
KILL_DEADLINE_S = 10.0
PAUSE_S = 0.05


def node_id() -> str:
    """Ray's id of the node that this process is on, empty outside Ray."""
    return str(ray.get_runtime_context().get_node_id()) if ray.is_initialized() else ""


def options(namespace: str, name: str) -> dict[str, Any]:
    """How every actor of the realm is made: found by name, outlives its maker, restarted without limit, counted by nobody's CPU."""
    return {
        "name": name,
        "namespace": namespace,
        "lifetime": "detached",
        "get_if_exists": True,
        "max_restarts": -1,
        "max_task_retries": 0,
        "num_cpus": 0,
        "max_concurrency": 1_000,
        "enable_task_events": False,
    }


def whereabouts(place: Place, heads: list[str]) -> dict[str, Any]:
    """Options for the place: by labels, each a wish less than the one before, the last anywhere at all.

    Without a place it is another node than Ray's head, if there is one: when the head is busy, every node and actor has to wait for
    it. Not NodeLabelSchedulingStrategy: Ray 2.60 does not look at it for actors that ask for no resources.
    """
    wishes = []
    if place.node:
        wishes.append(place.node)
    if place.avoid:
        wishes.append(_none_of([*place.avoid, *heads]))
        wishes.append(_none_of(list(place.avoid)))
    elif heads:
        wishes.append(_none_of(heads))
    if not wishes:
        return {}
    first, *rest = dict.fromkeys(wishes)
    fallback = [{"label_selector": {NODE: wish}} for wish in rest]
    return {"label_selector": {NODE: first}, "fallback_strategy": [*fallback, {"label_selector": {}}]}


def _none_of(nodes: list[str]) -> str:
    """Without blanks: Ray 2.60 takes one for a part of the id after it, which then is nobody's."""
    unique = list(dict.fromkeys(nodes))
    return f"!{unique[0]}" if len(unique) == 1 else f"!in({','.join(unique)})"


def heads() -> list[str]:
    """Ray's head, if it is alive."""
    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["NodeID"] for node in nodes if node["Alive"] and HEAD in node["Resources"]]


class RayActors:
    """Implements `cluster.ports.actors.Actors`. `classes`: the class of each kind, made with the realm and the actor's name."""

    def __init__(self, realm: Realm, classes: Mapping[ActorKind, Any]) -> None:
        self._realm = realm
        self._classes = classes
        self._namespace = realm.settings.namespace

    async def make(self, kind: ActorKind, name: str, place: Place = ANYWHERE) -> None:
        try:
            made = {**options(self._namespace, name), **whereabouts(place, heads())}
            self._classes[kind].options(**made).remote(self._realm, name)
        except RayError as error:
            raise Unavailable(name) from error

    async def kill(self, name: str) -> None:
        until = time.monotonic() + KILL_DEADLINE_S
        loop = asyncio.get_running_loop()
        while True:
            try:
                actor = await loop.run_in_executor(None, lambda: ray.get_actor(name, namespace=self._namespace))
                ray.kill(actor, no_restart=True)
            except ValueError:  # there is none, or none any more
                return
            except RayError as error:
                raise Unavailable(name) from error
            if time.monotonic() > until:
                raise Unavailable(name)
            await asyncio.sleep(PAUSE_S)

    async def nodes(self) -> list[Node]:
        try:
            found = ray.nodes()  # type: ignore[no-untyped-call]
            # Private: what Serve's own controller goes by (tests/unit/cluster/adapters/test_ray_actors.py checks that it is there).
            leaving = ray._private.state.state.get_draining_nodes()
        except RayError as error:
            raise Unavailable("Ray") from error
        return [
            Node(
                node["NodeID"],
                node["NodeManagerHostname"],
                node["NodeManagerAddress"],
                node.get("NodeName", ""),
                HEAD in node["Resources"],
                node["NodeID"] in leaving,
            )
            for node in found
            if node["Alive"]
        ]
