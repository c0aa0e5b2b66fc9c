"""Operators of the mock console (see console_server.py)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.e2e.console_parts import MockAction, Params

DAY = 86_400.0


class Operators:
    def __init__(self) -> None:
        now = time.time()
        self.known: dict[str, Params] = {
            "ada": _operator("ada", "admin", now - 90 * DAY, last_login_at=now - 120),
            "olga": _operator("olga", "operator", now - 30 * DAY, last_login_at=now - 7_200),
            "vera": _operator("vera", "viewer", now - 9 * DAY, last_login_at=now - 3 * DAY, recovery_left=2),
            "pim": _operator("pim", "viewer", now - 600, state="invited", invitation_expires_at=now + DAY, mfa=False),
        }
        token = {"id": "otk_00112233aabbccdd", "label": "nightly report", "role": "viewer"}
        self.known["ada"]["tokens"].append(token | {"created_at": now - DAY, "expires_at": now + 60 * DAY})
        self._ids = itertools.count(1)
        self.looks: Mapping[str, tuple[str, Callable[[Params], Any]]] = {
            "operators.list": ("admin", lambda _: {"total": len(self.known), "operators": list(self.known.values())}),
        }

        def act(step: str, run: Callable[[Params], Params], *, dangerous: bool = False) -> MockAction:
            return MockAction(
                steps=lambda p: [step.format(**p)],
                run=run,
                target=lambda p: str(p["name"]),
                role="admin",
                dangerous=dangerous,
                secrets=("token",) if run in (self._invite, self._token) else (),
            )

        self.actions: Mapping[str, MockAction] = {
            "operators.invite": act("{name} gets an invitation as {role}, for 24 h.", self._invite),
            "operators.role": act("{name} becomes {role}.", self._role),
            "operators.reset": act("{name} gets a new invitation.", self._invite, dangerous=True),
            "operators.remove": act("{name} is no operator any more.", self._remove, dangerous=True),
            "operators.token": act("{name} gets a token as {role}.", self._token),
            "operators.revoke": act("The token {token} of {name} counts no more.", self._revoke),
        }

    def _invite(self, params: Params) -> Params:
        name, until = params["name"], time.time() + DAY
        role = params.get("role") or self.known[name]["role"]
        made = _operator(name, role, time.time(), state="invited", invitation_expires_at=until, mfa=False)
        self.known[name] = made
        return {"name": name, "role": role, "token": f"rrin.{name}.secret-{next(self._ids)}", "expires_at": until}

    def _role(self, params: Params) -> Params:
        self.known[params["name"]]["role"] = params["role"]
        return {"name": params["name"], "outcome": f"is {params['role']}"}

    def _remove(self, params: Params) -> Params:
        del self.known[params["name"]]
        return {"name": params["name"], "outcome": "removed"}

    def _token(self, params: Params) -> Params:
        made = {"id": f"otk_{next(self._ids):016x}", "label": params.get("label", ""), "role": params["role"]}
        until = time.time() + params["for_s"]
        self.known[params["name"]]["tokens"].append(made | {"created_at": time.time(), "expires_at": until})
        secret = f"rrop.{params['name']}.secret"
        return {"name": params["name"], "id": made["id"], "role": made["role"], "token": secret, "expires_at": until}

    def _revoke(self, params: Params) -> Params:
        kept = self.known[params["name"]]
        kept["tokens"] = [token for token in kept["tokens"] if token["id"] != params["token"]]
        return {"name": params["name"], "outcome": "token ended"}


def _operator(name: str, role: str, created_at: float, **more: Any) -> Params:
    return {
        "name": name,
        "role": role,
        "state": "active",
        "mfa": True,
        "recovery_left": 10,
        "created_at": created_at,
        "by": "operator:ada",
        "last_login_at": 0.0,
        "invitation_expires_at": 0.0,
        "tokens": [],
        **more,
    }
