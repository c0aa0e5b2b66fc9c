"""What Serve's HAProxy is started through: corrects the configuration that Ray generated, then becomes HAProxy.

`RAY_SERVE_HAPROXY_BINARY_PATH` is the only way in. It is a program without options, so the launcher writes a two-line
script (`wrapper`) that runs this file. Ray 2.60 offers no setting for any of this:

- the metrics and statistics pages listen on every interface, without a password;
- a client's own X-Forwarded-For is passed on, and uvicorn believes it;
- a client that never finishes its request head holds a connection for an hour;
- replicas listen on the same interface as HAProxy, so a realm open to the network would have its replicas open, too:
  Serve is told loopback, and HAProxy's front is widened here;
- HAProxy outlives the actor that started it, and holds the port.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from pathlib import Path

REQUEST_HEAD_S = 10
HEAD = f"""    timeout http-request {REQUEST_HEAD_S}s
    option http-buffer-request
"""
ADDRESS = """    http-request set-header X-Forwarded-For %[src]
"""


class UnknownConfigError(Exception):
    """Ray's template is not the one this was written for."""


def corrected(config: str, host: str) -> str:
    """Ray's configuration, corrected; once more changes nothing. `host` is the interface players connect to.

    Raises UnknownConfigError: HAProxy then does not start, which is better than starting open.
    """
    if HEAD in config:
        return config
    config = _replaced(config, r"^(\s*bind) \*?:(\d+)$", r"\1 127.0.0.1:\2", times=2)
    config = _replaced(config, r"^defaults\n", f"defaults\n{HEAD}", times=1)
    widened = rf"\g<1>{host}:\2\n{ADDRESS}"
    return _replaced(config, r"^(frontend http_frontend\n\s*bind )127\.0\.0\.1:(\d+)\n", widened, times=1)


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


def main(argv: list[str]) -> None:
    binary, host, *arguments = argv
    path = Path(arguments[arguments.index("-f") + 1])
    path.write_text(corrected(path.read_text(encoding="utf-8"), host), encoding="utf-8")
    os.execv(binary, [binary, *arguments])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
