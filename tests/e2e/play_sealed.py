"""Sealed messages in the mock realm: keys as users publish them, and what is relayed. The real rules are the gateway's."""

from __future__ import annotations

import itertools
import time
from typing import Any

from rayrealm_client.key_records import read_device, read_identity
from tests.e2e.play_sessions import Params, RpcRefusal

News = tuple[str, str, Params]


class SealedMail:
    """`call` answers a method and puts what others have to be told into `news`. `relayed`: all that was ever said, as it came."""

    def __init__(self) -> None:
        self.keys: dict[str, Params] = {}
        self.inbox: dict[tuple[str, str], list[Params]] = {}
        self.relayed: list[Params] = []
        self._ids = itertools.count(1)

    def call(self, me: str, name: str, method: str, params: Params, news: list[News]) -> Params | None:
        """None for a method of others."""
        match method:
            case "keys.publish":
                return self._publish(me, params, news)
            case "keys.get":
                found = {user: self.keys[user] for user in params["user_ids"] if user in self.keys}
                return {
                    "keys": {u: {n: k[n] for n in ("identity", "devices")} for u, k in found.items()},
                    "left_out": [],
                }
            case "chat.sealed":
                return self._relay(me, name, params, news)
            case "sealed.inbox":
                return {"messages": self.inbox.get((me, params["device"]), []), "more": False, "cursor": None}
            case "sealed.read":
                kept = self.inbox.get((me, params["device"]), [])
                kept[:] = [each for each in kept if each["message_id"] not in params["message_ids"]]
                return {"read": len(params["message_ids"])}
        return None

    def _publish(self, me: str, params: Params, news: list[News]) -> Params:
        identity = read_identity(params["identity"], me)
        device = read_device(params["device"], identity)
        known = self.keys.get(me)
        if known is not None and known["thumbprint"] != identity.thumbprint:
            current: dict[str, Any] = {"version": known["version"]}
            if not params["replace"]:
                raise RpcRefusal(-32005, "conflict", {"reason": "identity_known", "current": current})
            if identity.version <= known["version"]:
                current["what"] = "identity"
                raise RpcRefusal(-32005, "conflict", {"reason": "stale_version", "current": current})
            told = {"user_id": me, "version": identity.version, "thumbprint": identity.thumbprint}
            news += [(user, "keys.changed", told) for user in self.keys]
        self.keys[me] = {
            "identity": identity.record,
            "thumbprint": identity.thumbprint,
            "version": identity.version,
            "devices": [device.record],
            "device": device.device,
        }
        return {"result": "changed", "version": identity.version, "thumbprint": identity.thumbprint}

    def _relay(self, me: str, name: str, params: Params, news: list[News]) -> Params:
        to = params["to"]
        there = self.keys.get(to)
        if there is None or all(item["device"] != there["device"] for item in params["items"]):
            raise RpcRefusal(-32005, "conflict", {"reason": "stale_devices", "current": {"missing": []}})
        said = {
            "message_id": f"msg_{next(self._ids):016x}",
            "from": me,
            "to": to,
            "name": name,
            "device_from": params["device"],
            "client_id": params["client_id"],
            "sent_at": time.time(),
            "items": params["items"],
        }
        self.relayed.append(said)
        self.inbox.setdefault((to, there["device"]), []).append(said)
        news.append((to, "chat.sealed", said))
        return {"message_id": said["message_id"], "missing": []}
