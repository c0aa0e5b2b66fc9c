"""People of the mock console: 50,000 sessions, their users, bans, the watch's measures, the audit log (see console_server.py)."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from fastapi import FastAPI

from cluster.operations.all import registry
from serve_apps.console.operation_routes import build
from tests.e2e.console_folk import FIRST, HOSTILE, bans, measures, present, processes, session
from tests.e2e.console_log import Log
from tests.e2e.console_operators import Operators
from tests.e2e.console_parts import MockAction, Params, Refusal
from tests.e2e.console_world import ConsoleWorld

SESSIONS = 50_000


class ConsolePeople:
    """One `Part` of a `ConsoleServer`, before `world`. `chaos`: whether the server lets admins kill processes."""

    def __init__(self, world: ConsoleWorld, sessions: int = SESSIONS, *, chaos: bool = True) -> None:
        self.world = world
        self.began = time.time()
        self.back_after_s, self.stays_away = 1.4, False  # how processes that are killed come back
        self.sessions = {row["session"]: row for row in (session(n, self.began) for n in range(sessions))}
        self.log, self.operators = Log(), Operators()
        self.bans: dict[str, Params] = {each["subject"]: each for each in bans(self.began)}
        self.measures: dict[str, Params] = {each["subject"]: each for each in measures(self.began)}
        self.entries: list[Params] = []  # of the audit log, the oldest first
        self.processes = processes(self.began)
        self._ids = itertools.count(1)
        self._views = itertools.count()
        for n in range(260):
            at = self.began - 60 * (260 - n)
            actor = ("operator:ada", "operator:olga", "watch", "usr_000007")[n % 4]
            action = ("session.kick", "user.ban", "slow", "zones.split", "realm.broadcast")[n % 5]
            self.note(actor, action, f"usr_{n:06d}", f"reason {n}", at=at)
        self.note("operator:olga", "session.message", self.nth(0), "", {"text": HOSTILE})
        self.looks: Mapping[str, tuple[str, Callable[[Params], Any]]] = {
            "sessions.search": ("viewer", self._search),
            "sessions.show": ("viewer", self._show),
            "sessions.view": ("operator", self._view),
            "sessions.export": ("operator", self._export),
            "users.show": ("viewer", self._user),
            "presence.list": ("viewer", self._presence),
            "bans.list": ("viewer", self._bans_list),
            "abuse.list": ("viewer", lambda _: {"measures": list(self.measures.values())}),
            "abuse.show": ("viewer", self._abuse),
            "audit.list": ("viewer", self._audit),
            "logs.tail": ("viewer", self.log.tail),
            "processes.list": ("viewer", lambda _: {"processes": list(self.processes)}),
            "openapi.json": ("viewer", lambda _: described()),
            **self.operators.looks,
        }
        self.actions: Mapping[str, MockAction] = self._actions(chaos)
        self.topics: Mapping[str, Callable[[], Any]] = self.log.topics

    def note(
        self, actor: str, action: str, target: str, reason: str, details: Params | None = None, at: float | None = None
    ) -> None:
        said = {"job": f"job_{len(self.entries):016x}", "via": "console", **(details or {})}
        at = time.time() if at is None else at
        entry = {"id": f"{len(self.entries) + 1:08d}-0", "at": at, "actor": actor, "action": action, "target": target}
        self.entries.append({**entry, "reason": reason, "result": "done", "details": said})

    def nth(self, n: int) -> str:
        """The id of the one with that number."""
        return str(session(n, 0.0)["session"])

    # --- looks ---------------------------------------------------------------------------------------------------

    def _search(self, params: Params) -> Params:
        rows = list(self.sessions.values())
        for name in ("zone", "gateway", "state"):
            wanted = params.get(name, "")
            if wanted:
                rows = [row for row in rows if fits(row, name, wanted)]
        return _page(rows, "sessions", params, "username", "user", "character", "session")

    def _of(self, params: Params) -> Params:
        row = self.sessions.get(params.get("session", ""))
        if row is None:
            raise Refusal(404, "no_such_session", "There is no such session.")
        return row

    def _show(self, params: Params) -> Params:
        row = self._of(params)
        audit = [entry for entry in self.entries if entry["target"] in (row["session"], row["user"])]
        said = row | {
            "attributes": {"locale": "en", "client": "web 0.4.1", "motto": HOSTILE},
            "topics": ["chat:global", "chat:zone", "news"],
            "watching": ["usr_000002", "usr_000003"],
            "stream": row["session"],
            "seq": 18_204,
            "outbox": {"count": 3, "bytes": 912, "acked": 18_201},
            "attach_epoch": 4,
            "latency_ms": 23.4,
            "place": {"x": 12.5, "y": 0.0, "z": -48.25},
            "audit": audit[::-1],
        }
        return {"session": said, "live": True}

    def _view(self, params: Params) -> Params:
        row, tick = self._of(params), next(self._views)
        self.note("operator:ada", "sessions.view", row["user"], "")
        entities = [
            {
                "number": n,
                "name": HOSTILE if n == 3 else f"{FIRST[n % len(FIRST)]} {n}",
                "type": ("player", "player", "player", "tree", "campfire")[n % 5],
                "kind": ("player", "player", "player", "prop", "prop")[n % 5],
                "x": 12.5 + (6 + 2.1 * n) * math.cos(n * 1.9 + tick * 0.05),
                "y": 0.0,
                "z": -48.25 + (6 + 2.1 * n) * math.sin(n * 1.9 + tick * 0.05),
                "yaw": n * 0.7,
                "properties": {"health": 100 - n},
            }
            for n in range(1, 22)
        ]
        me = {
            "number": 0,
            "name": row["character"],
            "type": "player",
            "kind": "player",
            "x": 12.5,
            "y": 0.0,
            "z": -48.25,
        }
        return {
            "character": row["character"],
            "zone": row["zone"],
            "number": 0,
            "place": {"x": 12.5, "y": 0.0, "z": -48.25},
            "radius": 60.0,
            "entities": [me | {"yaw": 0.6, "properties": {}}, *entities],
            "party": {
                "party": "pty_1",
                "leader": "usr_000002",
                "members": [{"user": "usr_000002", "name": "Briony 2"}],
            },
            "friends_online": [{"user": "usr_000003", "name": "Corvin 3", "status": "busy"}],
            "channels": ["global", "zone"],
        }

    def _export(self, params: Params) -> Params:
        user = params.get("user") or self._of(params)["user"]
        self.note("operator:ada", "sessions.export", user, "")
        return {"user": user, "account": {"username": user}, "characters": [], "friends": [], "messages": [HOSTILE]}

    def _user(self, params: Params) -> Params:
        whom = params.get("user", "")
        rows = [row for row in self.sessions.values() if whom in (row["user"], row["username"])]
        if not rows:
            raise Refusal(404, "no_such_user", "There is no such user.")
        first = rows[0]
        ban = self.bans.get(first["user"])
        return {
            "user": first["user"],
            "username": first["username"],
            "account": {"user": first["user"], "username": first["username"], "created_at": self.began - 86_400 * 40},
            "last_online_at": self.began - 30,
            "characters": [{"character_id": first["character_id"], "name": first["character"], "zone": first["zone"]}],
            "ban": ban and {"reason": ban["reason"], "until_at": ban["until_at"]},
            "sessions": rows,
            "audit": [entry for entry in reversed(self.entries) if entry["target"] == first["user"]],
        }

    def _presence(self, params: Params) -> Params:
        rows = [row for row in self.sessions.values() if row["gateway"]]
        if params.get("status"):
            rows = [row for row in rows if row["status"] == params["status"]]
        if params.get("zone"):
            rows = [row for row in rows if row["zone"] == params["zone"]]
        found = _page(rows, "users", params, "username", "user", "character")
        users = [present(row) for row in found["users"]]
        return {"total": found["total"], "users": users}

    def _bans_list(self, params: Params) -> Params:
        rows = [ban for ban in self.bans.values() if params.get("kind", "") in ("", ban["kind"])]
        return _page(rows, "bans", params, "subject", "name", "reason")

    def _abuse(self, params: Params) -> Params:
        subject = params.get("subject", "")
        measure = self.measures.get(subject)
        if measure is None:
            return {"kind": "user", "subject": subject, "level": "none", "last_minute": {}}
        counts = {"moves": 4_812.0, "chat": 96.0, "refused_moves": 41.0}
        return {"kind": measure["kind"], "subject": subject, "level": measure["level"], "last_minute": counts}

    def _audit(self, params: Params) -> Params:
        before, limit, q = params.get("before", ""), int(params.get("limit", 50)), params.get("q", "").casefold()
        found = [
            entry
            for entry in reversed(self.entries)
            if (not before or entry["id"] < before)
            and all(not params.get(name) or params[name] == entry[name] for name in ("actor", "target"))
            and entry["action"].startswith(params.get("action", ""))
            and (not q or q in str(entry).casefold())
        ]
        return {"entries": found[:limit], "next": found[limit - 1]["id"] if len(found) > limit else ""}

    # --- actions -------------------------------------------------------------------------------------------------

    def _actions(self, chaos: bool) -> dict[str, MockAction]:
        def act(
            steps: str,
            run: Callable[[Params], Params],
            target: str,
            warning: str = "",
            role: str = "operator",
            dangerous: bool = False,
        ) -> MockAction:
            return MockAction(
                steps=lambda p: [each.format(**p) for each in steps.split("; ")],
                run=run,
                target=lambda p: named(p, target),
                warnings=lambda p: [warning] if warning else [],
                role=role,
                dangerous=dangerous,
            )

        made = {
            "session.kick": act(
                "Close the socket of {session}", self._kick, "session", "They may come back.", dangerous=True
            ),
            "session.message": act("Tell the player", lambda p: {"told": 1}, "session"),
            "user.ban": act("Ban {user}; Close their sockets", self._ban_user, "user"),
            "user.unban": act("Lift the ban of {user}", lambda p: self._lift(p["user"]), "user"),
            "network.ban": act(
                "Ban {network}; Close its sockets", self._ban_network, "network", "2 players are there."
            ),
            "network.unban": act("Lift the ban of {network}", lambda p: self._lift(p["network"]), "network"),
            "token.revoke": act("No token of {user} counts any more", lambda p: {"revoked": 1}, "user"),
            "abuse.lift": act("Forget what is held against {subject}", self._lift_measure, "subject"),
            "logs.level": act("Log {level} and above", self.log.set_level, "level"),
            "realm.broadcast": act("Tell everybody: {text}", lambda p: {"told": len(self.sessions)}, "zone"),
            "realm.maintenance": act("Close the doors; Tell the players", self._maintain, "on", dangerous=True),
            **self.operators.actions,
        }
        if chaos:
            made["processes.kill"] = act("Send SIGKILL to {name}", self._kill, "name", "Players notice.", "admin", True)
        return made

    def _kick(self, params: Params) -> Params:
        self.sessions.pop(params["session"], None)
        self.note("operator:ada", "session.kick", params["session"], params.get("reason", ""))
        return {"outcome": "kicked", "closed": 1}

    def _ban_user(self, params: Params) -> Params:
        return self._ban("user", params["user"], params)

    def _ban_network(self, params: Params) -> Params:
        return self._ban("network", params["network"], params)

    def _ban(self, kind: str, subject: str, params: Params) -> Params:
        until = None if params.get("for_s") is None else time.time() + float(params["for_s"])
        said = {"kind": kind, "subject": subject, "name": "", "by": "operator:ada", "at": time.time()}
        self.bans[subject] = {**said, "until_at": until, "reason": params.get("reason", "")}
        self.note("operator:ada", f"{kind}.ban", subject, params.get("reason", ""))
        return {"outcome": "banned", "closed": 2}

    def _lift(self, subject: str) -> Params:
        return {"outcome": "lifted" if self.bans.pop(subject, None) else "there was nothing"}

    def _lift_measure(self, params: Params) -> Params:
        self.measures.pop(params["subject"], None)
        return {"outcome": "lifted"}

    def _maintain(self, params: Params) -> Params:
        if not params["on"]:
            self.world.maintenance = {"on": False, "since": None, "by": None, "reason": "", "until": None}
            return {"on": False, "told": 12, "left": None, "silent": []}
        now, close, for_s = time.time(), params.get("close_after_s"), params.get("for_s")
        self.world.maintenance = {
            "on": True,
            "since": now,
            "by": "operator:ada",
            "reason": params.get("reason", ""),
            "until": None if for_s is None else now + for_s,
            "close_at": None if close is None else now + close,
            "allow": params.get("allow", []),
        }
        return {"on": True, "told": 12, "left": None, "silent": []}

    def _kill(self, params: Params) -> Params:
        killed = next(each for each in self.processes if each["name"] == params["name"])
        self.processes.remove(killed)
        if not self.stays_away:
            back = {"pid": killed["pid"] + 10_000, "started_at": time.time() + self.back_after_s}
            self.processes.append(killed | back)
        return {"outcome": "killed", "pid": killed["pid"], "node": killed["node"]}


def named(params: Params, name: str) -> str:
    """What the audit log would name."""
    value = params.get(name)
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value or params.get("user") or "realm")


def fits(row: Params, name: str, wanted: str) -> bool:
    if name == "state" and wanted in ("attached", "detached"):
        return bool(row["gateway"]) == (wanted == "attached")
    return bool(row[name] == wanted)


@cache
def described() -> Params:
    """The API's description of itself, of the operations that there really are."""
    app = FastAPI(openapi_url=None)
    app.include_router(build(registry()))
    return app.openapi()


def _page(rows: list[Params], name: str, params: Params, *searched: str) -> Params:
    """As the realm answers a list: searched in, sorted, and one page of it."""
    q, sort = str(params.get("q", "")).casefold(), params.get("sort", "")
    if q:
        rows = [row for row in rows if any(q in str(row.get(key, "")).casefold() for key in searched)]
    if sort:
        rows = sorted(rows, key=lambda row: row[sort] or 0, reverse=params.get("descending") == "true")
    offset, limit = int(params.get("offset", 0)), int(params.get("limit", 100))
    if limit > 500:
        raise Refusal(422, "invalid_input", "limit: at most 500")
    return {"total": len(rows), name: rows[offset : offset + limit]}
