"""Named actors and where they run, with Ray played by a dictionary."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
import ray
from ray._private.label_utils import validate_fallback_strategy, validate_label_selector
from ray._private.state import GlobalState
from ray.exceptions import RayError, RaySystemError

from cluster.adapters import ray_actors
from cluster.adapters.ray_actors import NODE, RayActors, options, whereabouts
from cluster.errors import Unavailable
from cluster.ports.actors import ANYWHERE, Node, Place
from cluster.realm import Realm
from cluster.security.keys import KeyRing
from cluster.settings import Settings

HEAD, EAST, WEST = "0" * 56, "e" * 56, "f" * 56


def raw(node_id: str, host: str, alive: bool = True, head: bool = False) -> dict[str, Any]:
    resources = {"node:__internal_head__": 1.0} if head else {"CPU": 4.0}
    return {
        "NodeID": node_id,
        "Alive": alive,
        "NodeManagerHostname": host,
        "NodeManagerAddress": "10.0.0.1",
        "NodeName": "",
        "Resources": resources,
    }


class FakeRay:
    """`actors` by name. A killed one is found for `lingers` looks more. `broken`: everything raises."""

    def __init__(self) -> None:
        self.nodes = [raw(HEAD, "head", head=True), raw(EAST, "east"), raw(WEST, "west", alive=False)]
        self.draining: dict[str, int] = {}
        self.actors: dict[str, int] = {}
        self.made: list[tuple[dict[str, Any], tuple[Any, ...]]] = []
        self.lingers = 0
        self.broken: RayError | None = None

    def _reach(self) -> None:
        if self.broken is not None:
            raise self.broken

    def get_nodes(self) -> list[dict[str, Any]]:
        self._reach()
        return self.nodes

    def get_draining(self) -> dict[str, int]:
        return self.draining

    def get_actor(self, name: str, namespace: str) -> str:
        assert namespace == "rayrealm-realm"
        self._reach()
        if name not in self.actors:
            raise ValueError(f"no actor {name}")
        return name

    def kill(self, actor: str, no_restart: bool) -> None:
        assert no_restart
        self.actors[actor] -= 1
        if self.actors[actor] < 0:
            del self.actors[actor]

    # As an actor class:

    def options(self, **made: Any) -> FakeRay:
        self._reach()
        self.made.append((made, ()))
        return self

    def remote(self, *args: Any) -> None:
        self.made[-1] = (self.made[-1][0], args)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    made = FakeRay()
    monkeypatch.setattr(ray_actors, "PAUSE_S", 0.0)
    monkeypatch.setattr("cluster.adapters.ray_actors.ray.nodes", made.get_nodes)
    monkeypatch.setattr("cluster.adapters.ray_actors.ray.get_actor", made.get_actor)
    monkeypatch.setattr("cluster.adapters.ray_actors.ray.kill", made.kill)
    monkeypatch.setattr("cluster.adapters.ray_actors.ray._private.state.state.get_draining_nodes", made.get_draining)
    return made


@pytest.fixture
def realm() -> Realm:
    return Realm(Settings(), KeyRing.create(time.time()), b"secret")


@pytest.fixture
def actors(fake: FakeRay, realm: Realm) -> RayActors:
    return RayActors(realm, {"zone": fake})


@pytest.mark.parametrize(
    ("place", "heads", "wishes"),
    [
        (ANYWHERE, [], []),
        (ANYWHERE, [HEAD], [f"!{HEAD}"]),
        (Place(EAST), [], [EAST]),
        (Place(EAST), [HEAD], [EAST, f"!{HEAD}"]),
        (Place(HEAD), [HEAD], [HEAD, f"!{HEAD}"]),
        (Place(avoid=(EAST,)), [], [f"!{EAST}"]),
        (Place(avoid=(EAST,)), [HEAD], [f"!in({EAST},{HEAD})", f"!{EAST}"]),
        (Place(avoid=(EAST, WEST)), [HEAD], [f"!in({EAST},{WEST},{HEAD})", f"!in({EAST},{WEST})"]),
        (Place(avoid=(HEAD,)), [HEAD], [f"!{HEAD}"]),
    ],
)
def test_where(place: Place, heads: list[str], wishes: list[str]) -> None:
    made = whereabouts(place, heads)
    if not wishes:
        assert made == {}
        return
    assert made["label_selector"] == {NODE: wishes[0]}
    assert made["fallback_strategy"] == [*({"label_selector": {NODE: w}} for w in wishes[1:]), {"label_selector": {}}]


def test_ray_takes_such_places() -> None:
    """By the checks that it makes itself."""
    places = [Place(EAST), Place(avoid=(EAST,)), Place(avoid=(EAST, WEST)), ANYWHERE]
    for place, heads in itertools.product(places, ([], [HEAD])):
        made = whereabouts(place, heads)
        assert validate_label_selector(made.get("label_selector")) is None
        assert validate_fallback_strategy(made.get("fallback_strategy")) is None
        assert ray.remote(FakeRay).options(**options("ns", "zone/zon_a"), **made)


async def test_an_actor_is_made_with_the_realm_and_its_name(fake: FakeRay, actors: RayActors, realm: Realm) -> None:
    await actors.make("zone", "zone/zon_a/1", Place(EAST))
    ((made, args),) = fake.made
    assert args == (realm, "zone/zon_a/1")
    assert (made["name"], made["namespace"], made["get_if_exists"]) == ("zone/zon_a/1", "rayrealm-realm", True)
    assert made["label_selector"] == {NODE: EAST}


async def test_a_killed_actor_has_left_its_name(fake: FakeRay, actors: RayActors) -> None:
    fake.actors = {"zone/zon_a": 3}
    await actors.kill("zone/zon_a")
    assert fake.actors == {}
    await actors.kill("zone/zon_a")


async def test_one_that_does_not_go(fake: FakeRay, actors: RayActors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_actors, "KILL_DEADLINE_S", 0.05)
    fake.actors = {"zone/zon_a": 1_000_000}
    with pytest.raises(Unavailable, match="zone/zon_a"):
        await actors.kill("zone/zon_a")


async def test_nodes_that_are_alive(fake: FakeRay, actors: RayActors) -> None:
    fake.draining = {EAST: 0}
    assert await actors.nodes() == [
        Node(HEAD, "head", "10.0.0.1", head=True),
        Node(EAST, "east", "10.0.0.1", draining=True),
    ]


async def test_ray_is_away(fake: FakeRay, actors: RayActors) -> None:
    fake.broken = RaySystemError("no head")  # type: ignore[no-untyped-call]
    for step in (actors.make("zone", "zone/zon_a"), actors.kill("zone/zon_a"), actors.nodes()):
        with pytest.raises(Unavailable):
            await step


def test_what_is_private_in_ray_is_there() -> None:
    """Serve's own controller asks the same."""
    assert callable(GlobalState.get_draining_nodes)
    assert isinstance(ray._private.state.state, GlobalState)
