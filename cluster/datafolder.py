"""What a realm keeps on disk, in `--data`: one realm at a time, nobody else's eyes.

lock  keys.json  realm.json (while it runs)  ray-token  valkey/  nats/  logs/
"""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from pathlib import Path
from typing import Self

from cluster.errors import StartRefused
from cluster.telemetry.logs import hide

SECRET_BYTES = 24
LOCK_PAUSE_S = 0.1


class DataFolder:
    """Locked from `open` until it is closed and every process that was given `fileno` has ended.

    So a realm cannot start on the files that a server of a killed realm is still writing.
    """

    def __init__(self, root: Path, descriptor: int) -> None:
        self.root = root
        self._descriptor = descriptor

    @classmethod
    def open(cls, root: Path, wait_s: float = 5.0) -> Self:
        """Make the folder if it is missing, and lock it (flock(2)). Raises StartRefused."""
        root = root.resolve()
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StartRefused(
                f"cannot write to the data folder {root} ({error.strerror}): choose another with --data"
            ) from None
        until = time.monotonic() + wait_s
        while not _locked(descriptor):
            if time.monotonic() >= until:
                os.close(descriptor)
                raise StartRefused(
                    f"another realm uses the data folder {root}: stop it (rayrealm down) or choose another with --data"
                )
            time.sleep(LOCK_PAUSE_S)
        return cls(root, descriptor)

    def fileno(self) -> int:
        """For `pass_fds` of the servers that write here."""
        return self._descriptor

    def close(self) -> None:
        """Twice is fine."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def secret(self, name: str) -> str:
        """The random text in the file `name`, mode 0600; made once, or put there by the operator. No log shows it.

        Raises StartRefused if others may read it.
        """
        text = self._secret(name)
        hide(text)
        return text

    def _secret(self, name: str) -> str:
        path = self.root / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.stat().st_mode & 0o077:
                raise StartRefused(f"{path} is a secret and others may read it: chmod 600 {path}") from None
            text = path.read_text().strip()
            if text:
                return text
            path.unlink()  # the start that made it ended before it wrote
            return self._secret(name)
        with os.fdopen(descriptor, "w") as file:
            text = secrets.token_urlsafe(SECRET_BYTES)
            file.write(text)
        return text

    @property
    def keys(self) -> Path:
        return self.root / "keys.json"

    @property
    def logs(self) -> Path:
        return self.root / "logs"


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
