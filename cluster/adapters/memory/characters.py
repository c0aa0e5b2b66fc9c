"""Characters in this process's memory: for tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cluster.errors import Conflict, NotFound
from cluster.ports.accounts import Character, name_key


class MemoryCharacters:
    """CharacterStore. `session_exists` says whether the record of a session is still there."""

    def __init__(self, session_exists: Callable[[str], bool]) -> None:
        self._session_exists = session_exists
        self._characters: dict[str, Character] = {}
        self._by_name: dict[str, str] = {}

    async def get(self, character_id: str) -> Character | None:
        return self._characters.get(character_id)

    async def by_name(self, name: str) -> Character | None:
        return self._characters.get(self._by_name.get(name_key(name), ""))

    async def list(self, user_id: str) -> list[Character]:
        mine = [character for character in self._characters.values() if character.user_id == user_id]
        return sorted(mine, key=lambda character: (character.created_at, character.character_id))

    async def create(self, character: Character, limit: int) -> None:
        holder = self._by_name.get(name_key(character.name))
        if holder == character.character_id:
            return
        if holder is not None:
            raise Conflict("name_taken")
        if len(await self.list(character.user_id)) >= limit:
            raise Conflict("too_many_characters")
        self._by_name[name_key(character.name)] = character.character_id
        self._characters[character.character_id] = character

    async def delete(self, user_id: str, character_id: str) -> None:
        character = self._theirs(user_id, character_id)
        if character.session and self._session_exists(character.session):
            raise Conflict("in_world")
        del self._by_name[name_key(character.name)]
        del self._characters[character_id]

    async def claim(self, character_id: str, user_id: str, session_id: str) -> Character:
        character = self._theirs(user_id, character_id)
        if character.session != session_id:
            if character.session and self._session_exists(character.session):
                raise Conflict("in_world")
            character = replace(character, session=session_id, session_epoch=character.session_epoch + 1)
            self._characters[character_id] = character
        return character

    async def release(self, character_id: str, session_id: str) -> None:
        character = self._characters.get(character_id)
        if character is not None and character.session == session_id:
            self._characters[character_id] = replace(character, session="")

    async def save_place(self, character_id: str, zone: str, x: float, y: float, z: float, yaw: float) -> None:
        character = self._characters.get(character_id)
        if character is None:
            raise NotFound("not_found")
        self._characters[character_id] = replace(character, zone=zone, x=x, y=y, z=z, yaw=yaw)

    def _theirs(self, user_id: str, character_id: str) -> Character:
        character = self._characters.get(character_id)
        if character is None or character.user_id != user_id:
            raise NotFound("not_found")
        return character
