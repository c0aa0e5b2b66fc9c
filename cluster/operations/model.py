"""What operators can do to a realm (row 7.8): operations, said once. The console, its HTTP API and `rayrealm` are shells over them.

A *look* answers at once and changes nothing. An *action* can be planned (what would happen, in words), is then carried out by a
job that tells each step, and ends with a result. Whoever carries out a job may die: it is carried out again from the start under
the same job id, and actions bear that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, SecretStr

from cluster.operations.desk import Desk


class Role(IntEnum):
    """Each may do what the one before may. Viewers change nothing; admins also decide who is an operator, and break things."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3


class Params(BaseModel):
    """What an operation is given. A misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Nothing(Params):
    pass


class Result(BaseModel):
    """What an operation answers with; JSON by `model_dump(mode="json")`, which hides secrets (`SecretStr`)."""

    model_config = ConfigDict(frozen=True)

    def revealed(self) -> dict[str, Any]:
        """As JSON with its secrets: for whoever ordered it, and nobody else. Nothing of this is kept."""
        said = self.model_dump(mode="json")
        secrets = {name: value.get_secret_value() for name, value in self if isinstance(value, SecretStr)}
        return said | secrets


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks. `name`: as the audit log has it, `operator:ada`; `via`: console, api or command; `address`: "" for a command."""

    name: str
    role: Role
    via: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """An action's plan in words: what would be done, in order, and what should be known before."""

    steps: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Job(Protocol):
    """An action that is being carried out."""

    @property
    def id(self) -> str:
        """`job_` and 16 hex digits; the idempotency key of all that it does."""

    @property
    def operator(self) -> Operator: ...

    @property
    def began_at(self) -> float:
        """Unix seconds, when it was ordered: the same however often it is begun again."""

    async def tell(self, step: str, done: float = 0.0) -> None:
        """One line for people, and how much is done (0 to 1). Raises Cancelled if the operator has cancelled it and it can be."""


P = TypeVar("P", bound=Params)
R = TypeVar("R", bound=Result)


@dataclass(frozen=True, slots=True)
class Look(Generic[P, R]):
    """`name`: like `zones.list`; `command`: how `rayrealm` has it, like `zones list`. Raises what its `run` says.

    `audited(desk, params)`: the user whom it looks at, if the audit log is to say who looked; the same look of the same operator is
    not written down again for `again_s` seconds. `beats`: so many of each process it needs to have heard: a command, which has only
    begun to listen, waits for them.
    """

    name: str
    summary: str
    params: type[P]
    result: type[R]
    run: Callable[[Desk, P], Awaitable[R]]
    command: str
    role: Role = Role.VIEWER
    audited: Callable[[Desk, P], Awaitable[str]] | None = None
    again_s: float = 0.0
    beats: int = 0


@dataclass(frozen=True, slots=True)
class Action(Generic[P, R]):
    """`cancel(desk, params, job_id)`: stops what runs, if it still can be (InvalidState otherwise); None: it never can.

    `settle(desk, params)`: the same with names made ids, before anything else is done with them: `plan`, `run` and `target` get
    what it returns. `target(params)` is what the audit log names. `dangerous`: players lose something, or the realm does; the
    console asks twice.
    """

    name: str
    summary: str
    params: type[P]
    result: type[R]
    plan: Callable[[Desk, P], Awaitable[Preview]]
    run: Callable[[Desk, P, Job], Awaitable[R]]
    target: Callable[[P], str]
    command: str
    role: Role = Role.OPERATOR
    cancel: Callable[[Desk, P, str], Awaitable[None]] | None = None
    dangerous: bool = False
    settle: Callable[[Desk, P], Awaitable[P]] | None = None
    beats: int = 0  # as of a look


Operation = Look[Any, Any] | Action[Any, Any]


@dataclass(slots=True)
class Registry:
    """Every operation by its name. `cluster/operations/all.py` has the realm's."""

    operations: dict[str, Operation] = field(default_factory=dict)

    def add(self, *operations: Operation) -> None:
        """Raises ValueError if a name is taken."""
        for operation in operations:
            if operation.name in self.operations:
                raise ValueError(f"two operations are called {operation.name}")
            self.operations[operation.name] = operation
