"""New certificates without lost sockets (row 6.4): HAProxy takes them through its admin socket (its management guide, 9.3).

Processes that Ray starts later read the files themselves (`cluster/haproxy.py`). HAProxy ones that only see off their last
sockets get none: they take no handshakes any more.
"""

from __future__ import annotations

import hashlib
import ssl
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from cluster.edge.admin import ANSWER_DEADLINE_S, ask
from cluster.edge.orders import private
from cluster.edge.pem import BadPairError, combined
from cluster.haproxy import PEM

SOCKET = "admin.sock"
END = "-----END CERTIFICATE-----"


class RefusedError(Exception):
    """HAProxy did not take what it was given."""


class CertificateWatch:
    """Looks every `every_s` seconds. `prepare` makes the files current, if they are the realm's own; `say` gets a line for people.

    `sockets`: the admin sockets of the HAProxy processes that there are now.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        sockets: Callable[[], Iterable[Path]],
        every_s: float,
        say: Callable[[str], None],
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        self._certificate, self._key = certificate, key
        self._sockets = sockets
        self._every_s = every_s
        self._say = say
        self._prepare = prepare
        self._stamp: tuple[tuple[int, int, int], ...] = ()
        self._pem = ""
        self._complaint = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="certificates", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Twice is fine, and so is before the start."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(ANSWER_DEADLINE_S + 1.0)

    def _run(self) -> None:
        while not self._stopping.wait(self._every_s):
            self.step()

    def step(self) -> None:
        """One look. A pair that is no good, or that a HAProxy refuses, is told once, and the old one stays in use."""
        try:
            self._prepare()
            stamp = self._look()
            if stamp != self._stamp:
                self._pem = combined(self._certificate, self._key)
                self._stamp = stamp
            self._give()
            self._complaint = ""
        except (BadPairError, RefusedError, OSError) as error:
            if str(error) != self._complaint:
                self._complaint = str(error)
                self._say(f"the former certificate stays in use: {error}")

    def _give(self) -> None:
        """Asked each time: Ray may have started a process a moment before the files changed."""
        wanted = fingerprint(self._pem)
        for admin in list(self._sockets()):
            if wanted not in ask(admin, f"show ssl cert {admin.with_name(PEM)}\n"):
                hand_over(admin, self._pem)
                self._say(f"HAProxy uses the new certificate {self._certificate}")

    def _look(self) -> tuple[tuple[int, int, int], ...]:
        """What changes with the files, without reading them."""
        stamps = []
        for path in (self._certificate, self._key):
            try:
                status = path.stat()
            except OSError:  # being replaced
                stamps.append((0, 0, 0))
                continue
            stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(stamps)


def fingerprint(pem: str) -> str:
    """Of the first certificate, as HAProxy shows it."""
    first = pem[: pem.index(END) + len(END)]
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(first)).hexdigest().upper()  # noqa: S324 - HAProxy shows no other


def hand_over(admin: Path, pem: str) -> None:
    """Give HAProxy a new certificate for new handshakes, and write it to its file. Raises RefusedError, OSError."""
    target = admin.with_name(PEM)
    body = "\n".join(line for line in pem.splitlines() if line.strip())
    said = ask(admin, f"set ssl cert {target} <<\n{body}\n\n")
    if "Transaction created" not in said and "Transaction updated" not in said:
        ask(admin, f"abort ssl cert {target}\n")
        raise RefusedError(f"HAProxy refuses the certificate: {' '.join(said.split())}")
    said = ask(admin, f"commit ssl cert {target}\n")
    if "Success!" not in said:
        ask(admin, f"abort ssl cert {target}\n")
        raise RefusedError(f"HAProxy refuses the certificate: {' '.join(said.split())}")
    private(target, pem)
