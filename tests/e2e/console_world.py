"""The mock console's world: zones on nodes, gateways, and figures that move by the clock if it is lively."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.e2e.console_actions import actions_of
from tests.e2e.console_parts import MockAction, Params, Refusal

SIDE = 200.0
CELLS = 16
NAMES = ("Meadow", "Harbour", "Old Forest", "Ridge", "Saltmarsh", "Quarry", "Orchard", "Fen", "Causeway", "Beacon")
NODES = 3
AWAY = -1  # players of a zone that nobody owns
HISTORY_POINTS = 720
SAMPLE_S = 5.0
GIB = 2**30
TEMPLATES = [
    {"template": "annex", "name": "Annex", "width": 100.0, "depth": 100.0, "standby": None},
    {"template": "meadow", "name": "Meadow", "width": 200.0, "depth": 200.0, "standby": True},
]


def node_id(n: int) -> str:
    """As Ray calls a node."""
    return f"{n:02x}" * 28


class ConsoleWorld:
    """`zones`, `gateways` and `nodes` may be changed from any thread; the feed tells what has changed."""

    def __init__(self, zones: int = 12, *, seed: int = 7, lively: bool = False) -> None:
        self.random = random.Random(seed)
        self.lively = lively  # whether figures move with the clock
        self.now: Callable[[], float] = time.time
        self.started = self.now() - 90_000
        self.maintenance: Params = {"on": False, "since": None, "by": None, "reason": "", "until": None}
        self.problems: list[Params] = []
        self.draining: list[str] = []
        self.plan: Params | None = None
        self.nodes = {node_id(n): self._new_node(n) for n in range(1, NODES + 1)}
        self.zones: dict[str, Params] = {}
        across = max(1, math.ceil(math.sqrt(zones)))
        for n in range(zones):
            self._add_zone(n, (n % across) * SIDE, (n // across) * SIDE)
        self.gateways = {f"gateway-{n}": self._new_gateway(n) for n in range(1, 5)}
        self.heat = {name: self._new_heat(zone) for name, zone in self.zones.items()}
        self.began = self.now()
        viewer, operator = "viewer", "operator"
        self.looks: Mapping[str, tuple[str, Callable[[Params], Any]]] = {
            "realm.overview": (viewer, lambda params: self.overview()),
            "world.map": (viewer, lambda params: self.map()),
            "world.heat": (viewer, lambda params: self.heat_now()),
            "world.templates": (viewer, lambda params: {"templates": TEMPLATES}),
            "zones.list": (viewer, self._list_zones),
            "zones.show": (viewer, self._show_zone),
            "zones.plan": (viewer, lambda params: self.plan_state()),
            "nodes.list": (viewer, lambda params: self.node_list()),
            "gateways.list": (viewer, lambda params: self.gateway_list()),
            "processes.list": (operator, self._list_processes),
            "history.show": (viewer, self._history),
        }
        self.actions: Mapping[str, MockAction] = actions_of(self)
        self.topics: Mapping[str, Callable[[], Any]] = {
            "overview": self.overview,
            "map": self.map,
            "heat": self.heat_now,
            "gateways": self.gateway_list,
            "nodes": self.node_list,
            "samples": self.samples,
        }

    # What there is

    def _new_node(self, n: int) -> Params:
        return {
            "node": node_id(n),
            "name": f"node-{n}",
            "host": f"host-{n}.example",
            "address": f"10.0.0.{n}",
            "head": n == 1,
            "draining": False,
            "cpu": 22.0 * n,
            "memory_used": 3 * n * GIB,
            "memory_total": 16 * GIB,
        }

    def _add_zone(self, n: int, x: float, z: float, node: str | None = None) -> str:
        name = f"zon_{n:04d}"
        node = node or node_id(n % NODES + 1)
        busy = self.random.random() ** 3
        self.zones[name] = {
            "zone": name,
            "name": NAMES[n % len(NAMES)] + (f" {n // len(NAMES) + 1}" if n >= len(NAMES) else ""),
            "bounds": {"min_x": x, "min_z": z, "max_x": x + SIDE, "max_z": z + SIDE},
            "declared": name if n < 4 else "",
            "template": "",
            "into": "",
            "standby": n % 3 == 0,
            "follows": n % 3 == 0,
            "node": node,
            "host": self.nodes[node]["host"],
            "slot": n % 8,
            "role": "owner",
            "epoch": 1 + n % 5,
            "population": int(240 * busy),
            "ghosts": int(30 * busy),
            "strays": 0,
            "handed_over": 12,
            "admitted": 40,
            "map_version": 3,
            "tick_ms_p50": round(2 + 18 * busy, 2),
            "tick_ms_p95": round(3 + 34 * busy, 2),
            "overruns": int(200 * max(0.0, busy - 0.7)),
            "restarts": 1 if n % 7 == 3 else 0,
            "pid": 4000 + n,
            "version": "0.7.0",
            "started_at": self.started + n,
        }
        return name

    def _new_gateway(self, n: int) -> Params:
        return {
            "gateway": f"gateway-{n}",
            "node": node_id((n - 1) % NODES + 1),
            "host": f"host-{(n - 1) % NODES + 1}.example",
            "pid": 3000 + n,
            "sockets": 120 * n,
            "capacity": 5_000,
            "draining": False,
            "degraded": ["redis"] if n == 4 else [],
            "in_per_s": 1_200.0 * n,
            "out_per_s": 4_800.0 * n,
            "bytes_per_s": 900_000.0 * n,
            "queue_bytes": 40_000 * (n - 1),
            "queue_worst": 9_000 * (n - 1),
            "refusals": n - 1,
            "started_at": self.started + n,
            "version": "0.7.0",
        }

    def _new_heat(self, zone: Params) -> list[list[int]]:
        cells: dict[int, int] = {}
        at = [self.random.uniform(3, 12) for _ in range(4)]
        for n in range(zone["population"]):
            x, z = self.random.gauss(at[n % 2], 1.8), self.random.gauss(at[2 + n % 2], 1.8)
            cell = CELLS * min(15, max(0, int(z))) + min(15, max(0, int(x)))
            cells[cell] = cells.get(cell, 0) + 1
        return [[cell, count] for cell, count in sorted(cells.items())]

    # What is said

    def _wave(self, n: float, period: float = 40.0) -> float:
        return 1.0 + (0.08 * math.sin((self.now() - self.began) / period * 6.28 + n) if self.lively else 0.0)

    def _zone(self, zone: Params) -> Params:
        if not self.lively or zone["role"] != "owner":
            return dict(zone)
        wave = self._wave(zone["pid"])
        return zone | {
            "population": int(zone["population"] * wave),
            "tick_ms_p95": round(zone["tick_ms_p95"] * wave, 2),
        }

    def map(self) -> Params:
        return {
            "version": len(self.zones),
            "zones": [self._zone(zone) for zone in list(self.zones.values())],
            "nodes": self.node_list()["nodes"],
            "plan": self.plan,
            "last": None,
            "policy": ["split above 200 players", "merge below 10"],
            "draining": list(self.draining),
            "maintenance": self.maintenance,
        }

    def heat_now(self) -> Params:
        return {"zones": {name: list(cells) for name, cells in self.heat.items()}, "cells": CELLS}

    def plan_state(self) -> Params:
        draining = sorted(self.draining)
        return {"map_version": 7, "plan": self.plan, "last": None, "draining": draining, "policy": []}

    def node_list(self) -> Params:
        said = []
        for name, node in self.nodes.items():
            zones = sum(zone["node"] == name for zone in list(self.zones.values()))
            gateways = sum(each["node"] == name for each in list(self.gateways.values()))
            counts = {"zones": zones, "gateways": gateways, "processes": zones + gateways + 2}
            said.append(node | counts | {"draining": name in self.draining})
        return {"nodes": said}

    def gateway_list(self) -> Params:
        return {"gateways": [dict(each) for each in list(self.gateways.values())]}

    def overview(self) -> Params:
        zones, gateways = list(self.zones.values()), list(self.gateways.values())
        away = [zone["zone"] for zone in zones if zone["role"] == "away"]
        return {
            "realm": "mock",
            "versions": ["0.7.0"],
            "started_at": self.started,
            "players": sum(max(0, zone["population"]) for zone in zones),
            "sessions": sum(each["sockets"] for each in gateways) + 14,
            "sockets": sum(each["sockets"] for each in gateways),
            "zones": len(zones),
            "zones_away": away,
            "gateways": len(gateways),
            "nodes": len(self.nodes),
            "processes": len(zones) + len(gateways) + 6,
            "messages_per_s": sum(each["in_per_s"] + each["out_per_s"] for each in gateways),
            "bytes_per_s": sum(each["bytes_per_s"] for each in gateways),
            "tick_ms_p95_worst": max((zone["tick_ms_p95"] for zone in zones), default=0.0),
            "degraded": sorted({part for each in gateways for part in each["degraded"]}),
            "maintenance": dict(self.maintenance),
            "problems": list(self.problems),
        }

    def samples(self) -> Params:
        names = {
            "players": 900.0,
            "sockets": 1_200.0,
            "messages_per_s": 60_000.0,
            "bytes_per_s": 9e6,
            "tick_ms_p95": 24.0,
            "queue_bytes": 240_000.0,
            **{f"cpu:{node}": each["cpu"] for node, each in self.nodes.items()},
            **{
                f"memory:{node}": 100.0 * each["memory_used"] / each["memory_total"]
                for node, each in self.nodes.items()
            },
        }
        return {"series": {name: self._points(n, mean) for n, (name, mean) in enumerate(names.items())}}

    def _points(self, n: int, mean: float) -> list[list[float]]:
        now = self.now() if self.lively else self.began
        last = int(now / SAMPLE_S)
        noise = (n * 37 + 11) % 97
        return [
            [at * SAMPLE_S, round(mean * (1 + 0.2 * math.sin(at / 90 + n) + 0.04 * math.sin(at * noise)), 3)]
            for at in range(last - HISTORY_POINTS + 1, last + 1)
        ]

    # What is asked

    def _list_zones(self, params: Params) -> Params:
        q = params.get("q", "").lower()
        found = [z for z in self.map()["zones"] if q in z["zone"] or q in z["name"].lower() or q in z["host"]]
        sort = params.get("sort") or "zone"
        found.sort(key=lambda zone: zone[sort], reverse=params.get("descending") == "true")
        offset, limit = int(params.get("offset", 0)), int(params.get("limit", 100))
        return {"total": len(found), "zones": found[offset : offset + limit]}

    def _show_zone(self, params: Params) -> Params:
        zone = self.zones.get(params["zone"])
        if zone is None:
            raise Refusal(404, "no_such_zone", f"There is no zone {params['zone']}.")
        entry = {"at": zone["started_at"], "actor": "operator:olga", "action": "zones.move", "target": zone["zone"]}
        audit = [entry | {"reason": "", "result": "done", "details": {}}]
        process = {name: zone[name] for name in ("pid", "host", "node", "version", "started_at")}
        about = {"kind": "zone", "name": zone["zone"], "at": self.now(), "cpu_s": 812.4, "rss": 210 * 2**20}
        processes = [] if zone["role"] == "away" else [process | about | {"values": {"role": "owner"}}]
        return {"zone": self._zone(zone), "processes": processes, "heat": self.heat[zone["zone"]], "audit": audit}

    def _list_processes(self, params: Params) -> Params:
        kinds = [("zone", z["zone"], z["node"], z["pid"]) for z in self.zones.values()]
        kinds += [("gateway", g["gateway"], g["node"], g["pid"]) for g in self.gateways.values()]
        return {
            "processes": [
                {"kind": kind, "name": name, "node": node, "pid": pid, "version": "0.7.0", "started_at": self.started}
                for kind, name, node, pid in kinds
                if params.get("kind") in (None, "", kind)
            ]
        }

    def _history(self, params: Params) -> Params:
        n = sum(map(ord, "".join(map(str, params.values()))))
        if "zone" in params:
            zone = self.zones[params["zone"]]
            names = {"population": max(0, zone["population"]), "tick_ms_p95": zone["tick_ms_p95"]}
        elif "gateway" in params:
            gateway = self.gateways[params["gateway"]]
            names = {name: gateway[name] for name in ("sockets", "bytes_per_s", "queue_bytes")}
            names["messages_per_s"] = gateway["in_per_s"] + gateway["out_per_s"]
        else:
            node = self.nodes[params["node"]]
            names = {"cpu": node["cpu"], "memory": 100.0 * node["memory_used"] / node["memory_total"]}
        of = next(iter(params.values()))
        series = {f"{name}:{of}": self._points(n + i, float(mean)) for i, (name, mean) in enumerate(names.items())}
        return {"since": self.began - 3_600, "samples_s": SAMPLE_S, "series": series}

    # What is done

    def split(self, name: str) -> Params:
        parent = self.zones.pop(name)
        west, z = parent["bounds"]["min_x"], parent["bounds"]
        middle = (west + z["max_x"]) / 2
        made = []
        for half, (left, right) in enumerate(((west, middle), (middle, z["max_x"]))):
            zone = f"{name}_{half + 1}"
            self.zones[zone] = parent | {
                "zone": zone,
                "name": f"{parent['name']} {'ab'[half]}",
                "bounds": {"min_x": left, "min_z": z["min_z"], "max_x": right, "max_z": z["max_z"]},
                "population": parent["population"] // 2,
                "epoch": parent["epoch"] + 1,
            }
            self.heat[zone] = self._new_heat(self.zones[zone])
            made.append(zone)
        self.heat.pop(name, None)
        return {"outcome": "done", "why": "", "zones": made}

    def merge(self, name: str, other: str) -> Params:
        one, two = self.zones[name], self.zones.pop(other)
        a, b = one["bounds"], two["bounds"]
        one["bounds"] = {
            "min_x": min(a["min_x"], b["min_x"]),
            "min_z": min(a["min_z"], b["min_z"]),
            "max_x": max(a["max_x"], b["max_x"]),
            "max_z": max(a["max_z"], b["max_z"]),
        }
        one["population"] += two["population"]
        self.heat.pop(other, None)
        return {"outcome": "done", "why": "", "zones": [name]}

    def move(self, name: str, node: str) -> Params:
        self.zones[name].update(node=node, host=self.nodes[node]["host"])
        self.zones[name]["epoch"] += 1
        return {"outcome": "done", "why": "", "zones": [name]}

    def change(self, name: str, **values: Any) -> Params:
        self.zones[name].update(values)
        return {"outcome": "done", "why": "", "zones": [name]}

    def lose(self, name: str) -> None:
        """The zone's process is away."""
        silent = {"population": AWAY, "tick_ms_p50": 0.0, "tick_ms_p95": 0.0, "pid": 0, "started_at": 0.0}
        self.zones[name].update(role="away", node="", host="", version="", follows=False, **silent)

    def add(self, beside: str, side: str, name: str | None) -> Params:
        at = self.zones[beside]["bounds"]
        x, z = {
            "north": (at["min_x"], at["max_z"]),
            "south": (at["min_x"], at["min_z"] - SIDE),
            "east": (at["max_x"], at["min_z"]),
            "west": (at["min_x"] - SIDE, at["min_z"]),
        }[side]
        zone = self._add_zone(9_000 + len(self.zones), x, z)
        self.zones[zone].update(name=name or "Annex", population=0, template="meadow")
        self.heat[zone] = []
        return {"outcome": "done", "why": "", "zones": [zone]}

    def drain_node(self, name: str) -> Params:
        self.draining = [*self.draining, name]
        others = [each for each in self.nodes if each not in self.draining]
        moved = [zone for zone, each in self.zones.items() if each["node"] == name]
        for n, zone in enumerate(moved):
            self.move(zone, others[n % len(others)])
        return {"outcome": "done", "why": "", "zones": moved}

    def undrain_node(self, name: str) -> Params:
        self.draining = [each for each in self.draining if each != name]
        return {"outcome": "done", "why": "", "zones": []}

    def drain_gateways(self, names: list[str]) -> Params:
        for name in names:
            self.gateways[name].update(draining=True, sockets=0)
        done = {"left": 0, "seconds": 1.5}
        return {"gateways": [{"gateway": name, "sockets": 120} | done for name in names]}

    def scale(self, count: int) -> Params:
        for n in range(1, count + 1):
            self.gateways.setdefault(f"gateway-{n}", self._new_gateway(n) | {"sockets": 0, "degraded": []})
        for name in list(self.gateways)[count:]:
            del self.gateways[name]
        return {"asked": count, "gateways": count}
