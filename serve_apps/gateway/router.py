"""Methods and their handlers (row 2.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from actors.session.states import SessionState
from cluster.errors import InvalidState

if TYPE_CHECKING:
    from serve_apps.gateway.client import Client
    from serve_apps.gateway.services import Services


MAX_BYTES = 4 * 1024  # of a method's params, if it says nothing else


def _whole(value: object) -> object:
    """JSON knows one kind of number: 5.0 is the integer 5, as it is in protobuf framing, where all are doubles."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# For integers in params.
Int = Annotated[int, BeforeValidator(_whole)]
# Any JSON. Its bytes are bounded by the route, its depth and values by the framing (messages.py), before it is made.
Json = Annotated[JsonValue, Field(json_schema_extra={"bounded": "by the framing"})]


class Params(BaseModel):
    """A method's params, and the one place of its rules, whichever framing they came in (row 6.2).

    What is missing, of another type or out of its bounds is an error of the caller's; what is not known is ignored, so that older
    gateways understand newer clients. Every text, list, object and number has a bound: a test looks through all of them.
    """

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class NoParams(Params):
    """For methods that take none."""


Handler = Callable[["Services", "Client", Any], Awaitable[dict[str, Any]]]

CONNECTED = frozenset({SessionState.AUTHENTICATED, SessionState.IN_WORLD})
IN_WORLD = frozenset({SessionState.IN_WORLD})


@dataclass(frozen=True, slots=True)
class Route:
    """`states`: the session states in which the method may be called. `max_bytes`: what its params may have in the framing they
    come in, which looks at that before it makes anything of them. `at_once`: its handler never waits for anything.
    """

    method: str
    params: type[Params]
    handler: Handler
    states: frozenset[SessionState]
    max_bytes: int = MAX_BYTES
    at_once: bool = False


class MethodNotFound(Exception):
    """No handler for the method."""


class Router:
    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}
        self._sizes: dict[str, int] = {}
        self._at_once: set[str] = set()

    def add(
        self,
        method: str,
        params: type[Params],
        handler: Handler,
        states: frozenset[SessionState] = CONNECTED,
        max_bytes: int = MAX_BYTES,
        at_once: bool = False,
    ) -> None:
        """Raises ValueError when the method has a handler already."""
        if method in self._routes:
            raise ValueError(f"{method} has a handler already")
        self._routes[method] = Route(method, params, handler, states, max_bytes, at_once)
        self._sizes[method] = max_bytes
        if at_once:
            self._at_once.add(method)

    @property
    def methods(self) -> frozenset[str]:
        return frozenset(self._routes)

    @property
    def at_once(self) -> Set[str]:
        """The methods whose handlers never wait. Grows with the routes."""
        return self._at_once

    @property
    def sizes(self) -> Mapping[str, int]:
        """The methods there are, and the most bytes that the params of each may have. Grows with the routes."""
        return self._sizes

    async def dispatch(self, services: Services, client: Client, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Run the method's handler. Raises MethodNotFound, pydantic.ValidationError, InvalidState, and what the handler raises."""
        route = self._routes.get(method)
        if route is None:
            raise MethodNotFound
        checked = route.params.model_validate(params)
        if client.state not in route.states:
            raise InvalidState("wrong_state", client.state.value)
        return await route.handler(services, client, checked)
