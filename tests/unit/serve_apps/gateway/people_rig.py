"""A gateway with all its methods and several users, who have to do with each other; stores are in memory."""

from __future__ import annotations

from typing import Any

import orjson

from cluster.errors import Unavailable
from cluster.ports.accounts import Character
from cluster.ports.calls import presence_actor
from cluster.publishing import user_topic
from serve_apps.gateway.client import Client
from serve_apps.gateway.gateway_app import build_router
from tests.unit.serve_apps.gateway.fakes import WALL, Gateway, Wire, a_world


class PresenceActor:
    """Everybody is online, for everybody; remembers whose ties it was told to look up."""

    def __init__(self) -> None:
        self.refreshed: list[list[str]] = []
        self.away = False

    async def get(self, viewer: str, user_ids: list[str]) -> list[dict[str, Any]]:
        return [{"user_id": user_id, "status": "online", "version": 1, "for": viewer} for user_id in user_ids]

    async def refresh_users(self, user_ids: list[str]) -> None:
        if self.away:
            raise Unavailable("presence")
        self.refreshed.append(user_ids)


class People:
    def __init__(self) -> None:
        self.gateway = Gateway(build_router())
        self.services = self.gateway.services
        self.presence = self.gateway.actors[presence_actor()] = PresenceActor()
        self.clients: dict[str, tuple[Client, Wire]] = {}
        self._read: dict[str, str] = {}

    def come(self, user_id: str, name: str = "", **world: Any) -> Client:
        """A device of the user's; with a name it is in the world as that character."""
        number = len(self.clients) + 1
        at = {**a_world(number), "name": name, **world} if name else None
        client, wire = self.gateway.connect(session_id=f"ses_{number}", user_id=user_id, world=at)
        self.clients[user_id] = client, wire
        return client

    async def character(self, user_id: str, name: str) -> None:
        made = Character(f"chr_{user_id}", user_id, name, "", 0.0, 0.0, 0.0, 0.0, WALL)
        await self.services.characters.create(made, 1)

    async def ask(self, user_id: str, method: str, /, **params: Any) -> Any:
        """The result, or the whole error."""
        client, wire = self.clients[user_id]
        wire.frames.clear()
        await self.gateway.say(client, {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        (answer,) = [said for said in wire.json() if isinstance(said, dict) and said.get("id") == 1]
        return answer.get("result", answer.get("error"))

    async def refused(self, user_id: str, method: str, /, **params: Any) -> tuple[int, str]:
        """The error's code, and its reason."""
        error = await self.ask(user_id, method, **params)
        data = error["data"]
        return error["code"], data.get("reason") or data["errors"][0]["reason"]

    async def told(self, user_id: str) -> list[dict[str, Any]]:
        """What was said on the user's own topic since the last call: params, with the method, the sender and what is refreshed."""
        topic = user_topic(user_id)
        found = await self.services.topics.after({topic: self._read.get(topic, "")}, 1_000)
        if found:
            self._read[topic] = found[-1].id
        return [
            {**orjson.loads(m.params_json), "method": m.method, "sender": m.sender, "refresh": m.refresh} for m in found
        ]

    async def kinds(self, user_id: str) -> list[tuple[str, str, str]]:
        """(kind, user, name) of each friends.changed since the last call; ("", "", "") of what only makes sessions look ties up."""
        told = await self.told(user_id)
        assert all(said["method"] in ("friends.changed", "") and said["refresh"] == "ties" for said in told)
        silent = {"kind": "", "user_id": "", "name": ""}
        found = [silent | said if said["method"] else silent for said in told]
        return [(said["kind"], said["user_id"], said["name"]) for said in found]
