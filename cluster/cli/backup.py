"""`rayrealm backup`, `rayrealm restore`: all that a realm keeps, in one file; and back, also into another Redis."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

import typer

from cluster import running, settings
from cluster.adapters.redis import transfer
from cluster.backup.archive import Archive, Manifest, write
from cluster.cli.down import Url
from cluster.cli.status import AsJson
from cluster.datafolder import DataFolder
from cluster.embedded import EmbeddedServer, valkey
from cluster.errors import Conflict, StartRefused
from cluster.telemetry.logs import configure
from cluster.version import VERSION

# What makes tokens, sessions and sealed values of the realm good again. Passwords of servers are not the realm's.
SECRETS = ("keys.json", "*-secret")

SHOWN = 5  # processes

Source = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.", exists=True, dir_okay=False)]
Target = Annotated[Path, typer.Argument(metavar="FILE", help="Where the backup goes; replaced if it is there.")]
Live = Annotated[
    bool,
    typer.Option("--live", help="Read a server that cannot be followed, key by key: not all is of one moment then."),
]
Without = Annotated[bool, typer.Option("--without-secrets", help="Leave out the keys that sign tokens.")]
Data = Annotated[Path | None, typer.Option(metavar="DIR", help="The data folder of the realm that gets it.")]
Redis_ = Annotated[
    str | None, typer.Option("--redis", metavar="URL", help="A server of yours; else the embedded one's.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Forget what the realm has there now.")]


def backup(
    file: Target, live: Live = False, without_secrets: Without = False, url: Url = None, as_json: AsJson = False
) -> None:
    """Write all that a running realm keeps into FILE (mode 0600): of one moment, while its players play on."""
    configure("warning")
    realm = running.find(running.folder(), url)
    details = realm.details()
    if "redis_url" not in details:
        raise StartRefused(f"{realm.url} is just stopping")
    secrets = {} if without_secrets else _secrets(Path(realm.data))
    manifest = asyncio.run(_backup(file, realm.namespace, details["redis_url"], live, secrets))
    if as_json:
        print(json.dumps(asdict(manifest)))
        return
    size = file.stat().st_size
    moment = "of one moment" if manifest.whole else "NOT of one moment (--live)"
    print(f"{file}: {manifest.entries} keys, {size / 1024:.0f} KiB, {moment}{', without secrets' * without_secrets}")


def restore(
    file: Source, data: Data = None, redis: Redis_ = None, replace: Replace = False, as_json: AsJson = False
) -> None:
    """Bring a backup into a realm that does not run: into its data folder, and its Redis if it has one of its own."""
    configure("warning")
    given = {} if data is None else {"data": data}
    chosen = settings.load(**given)
    url = redis if redis is not None else chosen.redis.url.get_secret_value()
    archive = Archive(file)
    try:
        archive.check()
        if archive.manifest.namespace != chosen.namespace:
            raise StartRefused(
                f"{file} is of the realm {archive.manifest.namespace}, this one is {chosen.namespace}: set RAYREALM_REALM"
            )
        count = _restore(archive, chosen.data, url, replace)
    finally:
        archive.close()
    if as_json:
        print(json.dumps({"keys": count, "namespace": archive.manifest.namespace, "data": str(chosen.data)}))
    else:
        print(f"{count} keys are back; start the realm with `rayrealm up --data {chosen.data}`")


def _secrets(data: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for pattern in SECRETS for path in sorted(data.glob(pattern)) if path.is_file()
    }


@contextmanager
def _server(folder: DataFolder) -> Iterator[str]:
    """A Valkey on files in that folder, as a realm's own. Its address. Raises StartRefused."""
    spec, url_of = valkey(folder)
    server = EmbeddedServer(spec, folder, lambda line: None, lambda why: None)
    server.start()
    try:
        server.wait_ready()
        yield url_of(server.port)
    finally:
        server.stop()


async def _backup(file: Path, namespace: str, url: str, live: bool, secrets: dict[str, bytes]) -> Manifest:
    manifest = Manifest(namespace, VERSION, time.time(), whole=not live)
    async with transfer.opened(url) as source:
        if live:
            return await write(file, manifest, transfer.dump(source, namespace), secrets)
        with tempfile.TemporaryDirectory(prefix="rayrealm-backup-") as place:
            folder = DataFolder.open(Path(place))
            try:
                with _server(folder) as copy_url:
                    async with transfer.opened(copy_url) as copy:
                        await transfer.follow(copy, source, url)
                        return await write(file, manifest, transfer.dump(copy, namespace), secrets)
            finally:
                folder.close()


def _restore(archive: Archive, data: Path, url: str, replace: bool) -> int:
    folder = DataFolder.open(data)  # nobody can start the realm meanwhile
    try:
        secrets = archive.secrets()
        if strange := sorted(name for name in secrets if not any(fnmatchcase(name, each) for each in SECRETS)):
            raise StartRefused(f"the backup has files that no backup has: {', '.join(strange)}")
        _check_secrets(folder.root, secrets, replace)
        if url:
            count = asyncio.run(_load(archive, url, replace))
        else:
            with _server(folder) as own:
                count = asyncio.run(_load(archive, own, replace))
        for name, content in secrets.items():
            path = folder.root / name
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_bytes(content)
    finally:
        folder.close()
    return count


def _check_secrets(root: Path, secrets: dict[str, bytes], replace: bool) -> None:
    """Raises StartRefused rather than lose keys that may be the only ones."""
    different = [
        name for name, content in secrets.items() if (root / name).exists() and (root / name).read_bytes() != content
    ]
    if different and not replace:
        raise StartRefused(
            f"{root} has keys of its own ({', '.join(sorted(different))}): --replace puts the backup's there"
        )


async def _load(archive: Archive, url: str, replace: bool) -> int:
    async with transfer.opened(url) as client:
        namespace = archive.manifest.namespace
        if there := await transfer.users(client, namespace):
            raise StartRefused(
                f"the realm {namespace} runs with that Redis ({', '.join(there[:SHOWN])}): stop it first"
            )
        archive.check_entries()
        if replace:
            await transfer.clear(client, namespace)
        try:
            return await transfer.load(client, namespace, archive.entries())
        except Conflict as error:
            raise StartRefused(f"there is a realm {namespace} in that Redis: --replace forgets it") from error
