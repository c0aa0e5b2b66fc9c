"""What the mock console is made of: looks, actions and topics of its live feed (`Part`), and how it refuses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Params = dict[str, Any]


class Refusal(Exception):
    """Answered as problem details."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.reason, self.detail = status, reason, detail


@dataclass(frozen=True, slots=True)
class MockAction:
    """`steps(params)`: its plan, each told while it runs; `run(params)`: what it changes, at its end, and its result."""

    steps: Callable[[Params], list[str]]
    run: Callable[[Params], Params]
    target: Callable[[Params], str]
    warnings: Callable[[Params], list[str]] = lambda params: []
    summary: str = ""
    role: str = "operator"
    dangerous: bool = False
    cancellable: bool = True
    secrets: tuple[str, ...] = ()


class Part(Protocol):
    """`looks`: name -> (its role, how it answers). `topics`: a topic of the feed -> its whole state now."""

    looks: Mapping[str, tuple[str, Callable[[Params], Any]]]
    actions: Mapping[str, MockAction]
    topics: Mapping[str, Callable[[], Any]]
