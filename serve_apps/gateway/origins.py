"""Which pages may open sockets (row 6.1; RFC 6454, RFC 6455, section 10.2). Browsers tell the truth; nobody else has to."""

from __future__ import annotations

import re
from collections.abc import Iterable

SELF = "self"
ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\\\s\x00-\x20]+)")  # scheme and host, in lower case
PORTS = {"http": ":80", "https": ":443"}


class Origins:
    """Patterns of origins: `*` stands for any characters within one, "*" alone for any origin. "self": the host that was asked."""

    def __init__(self, patterns: Iterable[str], needed: bool) -> None:
        self._needed = needed
        said = {pattern.lower() for pattern in patterns}
        self._any = "*" in said
        self._self = SELF in said
        each = [re.escape(pattern).replace(r"\*", "[^/]*") for pattern in sorted(said - {"*", SELF})]
        self._patterns = re.compile("|".join(each)) if each else None

    def allow(self, origin: str | None, host: str) -> bool:
        """`origin`: the header's value, None if there is none; `host`: that of the Host header."""
        if origin is None:
            return not self._needed
        if self._any:
            return True
        origin = origin.lower()
        parts = ORIGIN.fullmatch(origin)
        if self._patterns is not None and (parts is not None or origin == "null") and self._patterns.fullmatch(origin):
            return True
        if parts is None or not self._self:
            return False
        default = PORTS.get(parts[1], "")
        return parts[2].removesuffix(default) == host.lower().removesuffix(default)
