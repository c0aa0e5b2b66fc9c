"""The newest map of the world that a process has heard of. Plain Python; whoever has a bus hands it what comes."""

from __future__ import annotations

import structlog

from cluster.worldmap import WorldMap

log = structlog.get_logger(__name__)


class MapWatch:
    """`map` changes as a whole; an older one than the present is ignored."""

    def __init__(self, first: WorldMap) -> None:
        self.map = first

    def take(self, data: bytes) -> None:
        """A map as JSON, from the bus or the store; empty: there is none yet."""
        if not data:
            return
        try:
            told = WorldMap.load(data)
        except ValueError:
            log.exception("map_unreadable")
            return
        if told.version > self.map.version:
            self.map = told
