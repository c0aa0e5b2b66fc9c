"""What `client.sealed` tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from rayrealm_client.models import shape, text


@dataclass(frozen=True, slots=True)
class SealedMessage:
    """`message_id`: the realm's, to be told what was read. `text` is as it was typed: treat it as foreign. `at`: Unix seconds, as
    its sender says. `verified`: whether safety numbers were compared with the other one.
    """

    message_id: str
    sender: str
    to: str
    text: str
    at: float
    verified: bool


@dataclass(frozen=True, slots=True)
class Unopened:
    """A message that was passed over, and why: a reason of BadSeal."""

    message_id: str
    sender: str
    reason: str


@dataclass(frozen=True, slots=True)
class IdentityChange:
    """The realm tells of another identity than the one that is known. Nothing is sealed for it, and nothing of it is opened, until
    it is accepted: it may be a new device of the same person, or somebody in between.
    """

    user_id: str
    thumbprint: str

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        with shape("keys.changed"):
            return cls(text(body["user_id"]), text(body["thumbprint"]))
