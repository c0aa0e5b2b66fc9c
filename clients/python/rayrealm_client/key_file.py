"""What sealed messages need to be kept over restarts: one's own keys, whom one knows, and what has been read."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from rayrealm_client.sealing import MOST_AGE_S, OwnKeys, Pin

MOST_READ = 10_000
"""Messages remembered as read; older ones are refused for their age."""


@dataclass(slots=True)
class Keyring:
    """`pins`: user -> who that is. `read`: keys of messages (Opened.key) -> when they were said, Unix seconds."""

    keys: OwnKeys
    pins: dict[str, Pin] = field(default_factory=dict)
    read: dict[str, float] = field(default_factory=dict)

    def mark_read(self, messages: dict[str, float], now: float) -> None:
        self.read |= messages
        young = [(each, at) for each, at in self.read.items() if at >= now - MOST_AGE_S]
        self.read = dict(young[-MOST_READ:])

    def to_json(self) -> dict[str, Any]:
        return {
            "keys": self.keys.to_json(),
            "pins": {user_id: asdict(pin) for user_id, pin in self.pins.items()},
            "read": self.read,
        }

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Self:
        """Raises ValueError, KeyError, TypeError for what `to_json` has not made."""
        pins = {user_id: Pin(**pin) for user_id, pin in body["pins"].items()}
        return cls(OwnKeys.from_json(body["keys"]), pins, dict(body["read"]))


class KeyFile:
    """A keyring in a file of mode 0600. It holds private keys: whoever reads it is its user."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Keyring | None:
        """None: there is none yet."""
        try:
            body = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return Keyring.from_json(body)

    def save(self, keyring: Keyring) -> None:
        """All of it or nothing: a file that was begun never takes the place of a whole one."""
        begun = self._path.with_name(f".{self._path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(begun, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(keyring.to_json(), file)
            file.flush()
            os.fsync(file.fileno())
        begun.replace(self._path)
