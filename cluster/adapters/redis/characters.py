"""Characters in Redis.

Hash `{ns}:character:{id}`, name index `{ns}:character-name:{name_key}` -> id, set `{ns}:user:{id}:characters`. A session
is alive as long as `{ns}:session:{id}` exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import batched
from typing import NoReturn

from redis.asyncio import Redis

from cluster.adapters.redis.connection import Script, guard
from cluster.errors import Conflict, NotFound
from cluster.ports.accounts import Character, name_key

_CREATE = Script(__file__, "character_create.lua")
_DELETE = Script(__file__, "character_delete.lua")
_CLAIM = Script(__file__, "character_claim.lua")
_RELEASE = Script(__file__, "character_release.lua")
_SAVE_PLACE = Script(__file__, "character_save_place.lua")
