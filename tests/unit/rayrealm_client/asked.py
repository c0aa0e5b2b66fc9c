"""A realm that answers what a test says, and remembers what it was asked."""

from __future__ import annotations

from typing import Any

Params = dict[str, Any]


class Asked:
    """Implements `rayrealm_client.asking.Asking`. `answers`: the next ones, by method; the last one stays."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Params]] = []
        self.repeated: list[str] = []
        self.answers: dict[str, list[Any]] = {}

    def answer(self, method: str, *answers: Any) -> None:
        self.answers[method] = list(answers)

    async def request(self, method: str, params: Any = None, timeout_s: float | None = None) -> Any:
        self.calls.append((method, dict(params or {})))
        waiting = self.answers.get(method, [{}])
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    async def repeat(self, method: str, params: Params) -> Any:
        self.repeated.append(method)
        return await self.request(method, params)
