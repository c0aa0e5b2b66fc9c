"""Methods and their handlers (row 2.3)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from actors.session.states import SessionState
from cluster.errors import InvalidState

if TYPE_CHECKING:
    from serve_apps.gateway.client import Client
    from serve_apps.gateway.services import Services


class Params(BaseModel):
    """A method's params: what is misspelt or missing is an error of the caller's."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParams(Params):
    """For methods that take none."""


Handler = Callable[["Services", "Client", Any], Awaitable[dict[str, Any]]]

CONNECTED = frozenset({SessionState.AUTHENTICATED, SessionState.IN_WORLD})
IN_WORLD = frozenset({SessionState.IN_WORLD})


@dataclass(frozen=True, slots=True)
class Route:
    """`states`: the session states in which the method may be called."""

    method: str
    params: type[Params]
    handler: Handler
    states: frozenset[SessionState]


class MethodNotFound(Exception):
    """No handler for the method."""


class Router:
    def __init__(self) -> None:
        self._routes: dict[str, Route] = {}

    def add(
        self,
        method: str,
        params: type[Params],
        handler: Handler,
        states: frozenset[SessionState] = CONNECTED,
    ) -> None:
        """Raises ValueError when the method has a handler already."""
        if method in self._routes:
            raise ValueError(f"{method} has a handler already")
        self._routes[method] = Route(method, params, handler, states)

    @property
    def methods(self) -> frozenset[str]:
        return frozenset(self._routes)

    async def dispatch(self, services: Services, client: Client, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Run the method's handler. Raises MethodNotFound, pydantic.ValidationError, InvalidState, and what the handler raises."""
        route = self._routes.get(method)
        if route is None:
            raise MethodNotFound
        checked = route.params.model_validate(params)
        if client.state not in route.states:
            raise InvalidState("wrong_state", client.state.value)
        return await route.handler(services, client, checked)
