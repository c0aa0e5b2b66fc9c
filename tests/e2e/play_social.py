"""People of the mock realm: presences, friends, parties and channels, as PROTOCOL.md has them, but without limits."""

from __future__ import annotations

import itertools
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from tests.e2e.play_sealed import SealedMail
from tests.e2e.play_sessions import Params, RpcRefusal, Session

News = tuple[str, str, Params]  # user id, method, params of a notification


class Refusal(RpcRefusal):
    """With a reason, which is what a page reads."""

    def __init__(self, code: int, reason: str, **data: Any) -> None:
        super().__init__(code, reason, {"reason": reason, **data})


class Social:
    """`call` answers a method and puts what others have to be told into `news`."""

    def __init__(self) -> None:
        self.news: list[News] = []
        self.names: dict[str, str] = {}  # user id -> character
        self.status: dict[str, Params] = {}  # of those who are there
        self.friends: dict[str, set[str]] = defaultdict(set)
        self.asked: dict[str, set[str]] = defaultdict(set)  # by whom -> whom
        self.blocked: dict[str, set[str]] = defaultdict(set)
        self.parties: dict[str, Params] = {}
        self.invited: dict[str, dict[str, Params]] = defaultdict(dict)
        self.history: dict[str, list[Params]] = defaultdict(list)
        self.inbox: dict[str, list[Params]] = defaultdict(list)
        self.read: list[str] = []
        self.sealed = SealedMail()
        self.refusals: dict[str, Refusal] = {}  # of the next call of a method
        self._watching: dict[str, set[str]] = defaultdict(set)
        self._ids, self._versions = itertools.count(1), itertools.count(1)

    def come(self, user: str, name: str, zone: str) -> None:
        self.names[user] = name
        self.set_status(user, zone=zone)

    def set_status(self, user: str, **changes: Any) -> None:
        known = self.status.get(user, {"status": "online", "text": "", "zone": None})
        self.status[user] = known | changes | {"version": next(self._versions)}
        self._tell_watchers(user)

    def go(self, user: str) -> None:
        self.status[user] = {"status": "offline", "version": next(self._versions), "last_online": time.time() - 130}
        self._tell_watchers(user)

    def presence(self, user: str, viewer: str) -> Params:
        known = self.status.get(user, {"status": "offline"})
        if user in self.blocked[viewer] or viewer in self.blocked[user]:
            known = {"status": "offline", "version": known.get("version", 0)}
        return {"user_id": user, "name": self.names.get(user, ""), "zone": None, "character_id": None, **known}

    def call(self, session: Session, method: str, params: Params) -> Params | None:
        """None for a method of others."""
        me = f"usr_{session.user}"
        if method in self.refusals:
            raise self.refusals.pop(method)
        match method.split("."):
            case ["presence", what]:
                return self._presence(me, what, params)
            case ["friends", what]:
                return self._friends(me, what, params)
            case ["party", what]:
                return self._party(me, what, params)
            case ["system", "subscribe"]:
                session.topics |= set(params["topics"])
                return {"topics": sorted(session.topics)}
            case ["chat", "inbox"]:
                return {"messages": self.inbox[me]}
            case ["chat", "read"]:
                self.read += params["message_ids"]
                return {"read": len(params["message_ids"])}
            case ["chat", "history"]:
                kept = self.history[self._place(me, params["channel"])]
                before = int(params.get("cursor", len(kept)))
                first = max(0, before - int(params["limit"]))
                return {"messages": kept[first:before], "cursor": str(first) if first else None}
            case ["chat", "channel", "members"]:
                return {"members": [{"user_id": u, "name": n} for u, n in self.names.items()], "cursor": None}
        return self.sealed.call(me, self.names.get(me, ""), method, params, self.news)

    def say(self, channel: str, user: str, name: str, text: str) -> Params:
        """A message, kept for the channel's history."""
        said = {"message_id": f"msg_{next(self._ids)}", "channel": channel, "from": user, "name": name, "text": text}
        mentions = [{"user_id": u, "name": n} for u, n in self.names.items() if f"@{n}" in text]
        message = {**said, "sent_at": time.time(), "mentions": mentions}
        if channel not in ("say", "shout"):
            self.history[self._place(user, channel)].append(message)
        return message

    def hearers(self, message: Params, members: Iterable[str]) -> list[str]:
        """`members`: those who have joined the channel."""
        channel, sender = message["channel"], message["from"]
        if channel.startswith("direct:"):
            heard = [channel.removeprefix("direct:"), sender]
        elif channel == "party":
            heard = [m["user_id"] for m in (self._party_of(sender) or {"members": []})["members"]]
        else:
            heard = list(self.status if channel in ("say", "shout") else members)
        return [user for user in heard if sender not in self.blocked[user]]

    def _place(self, user: str, channel: str) -> str:
        if not channel.startswith("direct:"):
            return channel
        return ":".join(["direct", *sorted([user, channel.removeprefix("direct:")])])

    def _presence(self, me: str, what: str, params: Params) -> Params:
        if what == "update":
            self.set_status(me, **params)
            return {"status": self.status[me]["status"], "text": self.status[me]["text"], "metadata": {}}
        if what == "subscribe":
            self._watching[me] |= set(params["user_ids"])
            return {"presences": [self.presence(user, me) for user in params["user_ids"]]}
        self._watching[me] -= set(params["user_ids"])
        return {"watching": len(self._watching[me])}

    def _tell_watchers(self, user: str) -> None:
        for watcher, watched in self._watching.items():
            if user in watched:
                self.news.append((watcher, "presence.changed", self.presence(user, watcher)))

    def _whom(self, params: Params) -> str:
        if "user_id" in params:
            return str(params["user_id"])
        found = [user for user, name in self.names.items() if name == params["name"]]
        if not found:
            raise Refusal(-32602, "no_such_player")
        return found[0]

    def _friends(self, me: str, what: str, params: Params) -> Params:
        if what == "list":
            return {
                "friends": [self._known(u) | {"presence": self.presence(u, me)} for u in sorted(self.friends[me])],
                "incoming": [self._known(u) for u, asked in list(self.asked.items()) if me in asked],
                "outgoing": [self._known(u) for u in sorted(self.asked[me])],
                "blocked": [self._known(u) for u in sorted(self.blocked[me])],
            }
        other = self._whom(params)
        match what:
            case "request":
                self.asked[me].add(other)
                self._tell_both(me, other, "asked", "request")
                return {"user_id": other, "result": "requested"}
            case "accept":
                self.friends[me].add(other)
                self.friends[other].add(me)
                self._tell_both(me, other, "friends", "friends")
            case "remove":
                self.friends[me].discard(other)
                self.friends[other].discard(me)
                self._tell_both(me, other, "removed", "removed")
            case "block":
                self.blocked[me].add(other)
                self.friends[me].discard(other)
                self.friends[other].discard(me)
                self._tell_both(me, other, "blocked", "removed")
            case "unblock":
                self.blocked[me].discard(other)
                self.news.append((me, "friends.changed", self._change("unblocked", other)))
            case _:
                self._tell_both(me, other, what, what)
        self.asked[me].discard(other)
        self.asked[other].discard(me)
        return {"user_id": other, "changed": True}

    def _known(self, user: str) -> Params:
        return {"user_id": user, "name": self.names.get(user, ""), "at": 1}

    def _change(self, kind: str, user: str) -> Params:
        return {"kind": kind, "user_id": user, "name": self.names.get(user, ""), "at": time.time()}

    def _tell_both(self, me: str, other: str, mine: str, theirs: str) -> None:
        self.news.append((me, "friends.changed", self._change(mine, other)))
        self.news.append((other, "friends.changed", self._change(theirs, me)))

    def _party_of(self, user: str) -> Params | None:
        return next((p for p in self.parties.values() if user in [m["user_id"] for m in p["members"]]), None)

    def _party(self, me: str, what: str, params: Params) -> Params:
        party = self._party_of(me)
        if what == "get":
            return {"party": party, "invitations": list(self.invited[me].values())}
        if what == "decline":
            del self.invited[me][params["party_id"]]
            return {"declined": True}
        if what == "accept":
            party = self.parties[self.invited[me].pop(params["party_id"])["party_id"]]
            party["members"].append({"user_id": me, "name": self.names[me], "joined_at": time.time()})
            return self._party_changed(party, "joined", me)
        if what == "create":
            member = {"user_id": me, "name": self.names[me], "joined_at": time.time()}
            party = {
                "party_id": f"pty_{next(self._ids)}",
                "leader": me,
                "members": [member],
                "invited": [],
                "version": 0,
            }
            self.parties[party["party_id"]] = party
            return self._party_changed(party, "created", me)
        if party is None:
            raise Refusal(-32003, "not_in_party", state="in_world")
        if what == "leave":
            return self._out(party, "left", me)
        other = self._whom(params)
        if what == "kick":
            return self._out(party, "kicked", other)
        if what == "lead":
            party["leader"] = other
            return self._party_changed(party, "leader", other)
        invitation = {"party_id": party["party_id"], "from": me, "name": self.names[me], "expires_at": time.time() + 60}
        self.invited[other][party["party_id"]] = invitation
        self.news.append((other, "party.invited", invitation))
        return self._party_changed(party, "invited", other)

    def _out(self, party: Params, why: str, user: str) -> Params:
        party["members"] = [member for member in party["members"] if member["user_id"] != user]
        if party["members"] and party["leader"] == user:
            party["leader"] = party["members"][0]["user_id"]
        result = self._party_changed(party, why, user)
        gone = {"party_id": party["party_id"], "version": party["version"], "party": None, "why": why, "user_id": user}
        self.news.append((user, "party.changed", gone))
        return {"party": None} if why == "left" else result

    def _party_changed(self, party: Params, why: str, user: str) -> Params:
        party["version"] += 1
        told = {"party_id": party["party_id"], "version": party["version"], "party": dict(party), "why": why}
        for member in party["members"]:
            self.news.append((member["user_id"], "party.changed", told | {"user_id": user}))
        return {"party": dict(party)}
