"""What a practice cluster is, kept in a file while it stands, so that later commands find it and end exactly what was started."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from cluster.edge.orders import private
from cluster.embedded import answers
from scripts.practice.places import Bridge, Failed, Loopback, Namespace, Place, ip, namespaces_work

STORE = "store"
HEAD = "head"
NETWORKS = range(1, 255)
NETWORK = "10.213.{}"
FILE = "cluster.json"


@dataclass
class Standing:
    """`folder` has a short path, because Unix sockets are made below it. `nodes`: by name, in the order they came; head first.

    Written down before each thing is made, so that what was begun can be removed.
    """

    mark: str
    folder: str
    port: int
    network: str
    """Of the bridge; empty where nodes are addresses of loopback."""
    gateways: int = 2
    bots: int = 0
    nodes: dict[str, int] = field(default_factory=dict)
    store_ports: tuple[int, int] = (6390, 4222)
    environment: dict[str, str] = field(default_factory=dict)
    """What every process of it is started with, beside the caller's own."""
    launcher: int = 0
    """The process of `rayrealm up`."""
    guard: int = 0
    edges: list[str] = field(default_factory=list)
    """The nodes that clients could connect to when it was ready."""
    ready: bool = False
    numbers: int = 0
    """So many nodes there were ever: names and addresses are not used again."""

    @classmethod
    def planned(cls, folder: Path, port: int, gateways: int, bots: int) -> Self:
        network = _free_network() if namespaces_work() else ""
        return cls(secrets.token_hex(2), str(folder), port, network, gateways, bots)

    @classmethod
    def load(cls, where: Path) -> Self | None:
        """None: nothing stands. Raises Failed."""
        try:
            said: dict[str, Any] = json.loads((where / FILE).read_text(encoding="utf-8"))
            return cls(**{**said, "store_ports": tuple(said["store_ports"])})
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError) as error:
            raise Failed(f"{where / FILE} is not what was written there: {error}") from None

    def save(self, where: Path) -> None:
        """Readable by this user alone: it has passwords."""
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        private(where / FILE, json.dumps(asdict(self), indent=1))

    @property
    def bridge(self) -> Bridge | None:
        return Bridge(self.mark, self.network) if self.network else None

    @property
    def store(self) -> Place:
        """Where Valkey and NATS run: no node of Ray, as in a cluster that has them elsewhere."""
        return self._place(STORE, 0)

    @property
    def head(self) -> Place:
        return self.place(HEAD)

    def place(self, name: str) -> Place:
        """Raises Failed if there is no such node."""
        if name not in self.nodes:
            raise Failed(f"there is no node {name}: {', '.join(self.nodes)}")
        return self._place(name, self.nodes[name])

    def places(self) -> list[Place]:
        """Of Ray's nodes."""
        return [self.place(name) for name in self.nodes]

    def next_node(self) -> Place:
        """It belongs to it from now on."""
        name = f"node{self.numbers}" if self.numbers else HEAD
        self.numbers += 1
        self.nodes[name] = self.numbers
        return self.place(name)

    def _place(self, name: str, number: int) -> Place:
        bridge = self.bridge
        return Namespace(name, number, bridge) if bridge is not None else Loopback(name, number, self.mark)

    @property
    def url(self) -> str:
        return self.url_at(self.head)

    def url_at(self, place: Place) -> str:
        """Each node has an edge."""
        return f"http://{place.address}:{self.port}"

    @property
    def store_answers(self) -> bool:
        return all(answers(f"{self.store.address}:{port}") for port in self.store_ports)


def _free_network() -> str:
    """Of 10.213.0.0/16, one that no device of this machine has."""
    taken = ip("-brief", "-4", "addr")
    free = [NETWORK.format(number) for number in NETWORKS if f"{NETWORK.format(number)}." not in taken]
    if not free:
        raise Failed("all networks of 10.213.0.0/16 are taken: scripts/cluster down ends what stands")
    return secrets.choice(free)
