"""`rayrealm up`: a realm in the foreground."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from cluster import settings as realm_settings
from cluster.cli.operators import first_invitation
from cluster.cli.signals import Signals
from cluster.errors import SettingsError, Unavailable
from cluster.game_class import load_class
from cluster.launch import Launch
from cluster.settings import Settings
from cluster.telemetry.logs import configure

CHECK_EVERY_S = 0.5
STOP_DEADLINE_S = 45
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


def up(
    gateways: Annotated[int | None, typer.Option(help="Gateways: processes that hold the players' sockets.")] = None,
    bots: Annotated[int | None, typer.Option(help="Simulated players that walk around.")] = None,
    port: Annotated[int | None, typer.Option(help="The one port for the page, the API and the sockets.")] = None,
    tls: Annotated[bool, typer.Option("--tls", help="HTTPS, with a certificate made for this machine.")] = False,
    data: Annotated[Path | None, typer.Option(help="The folder that outlives the realm.")] = None,
    redis: Annotated[str | None, typer.Option(help="Use this Redis or Valkey: redis://HOST:PORT/0")] = None,
    nats: Annotated[str | None, typer.Option(help="Use this NATS: nats://HOST:PORT")] = None,
    ray_address: Annotated[str | None, typer.Option(help="Join this Ray cluster: HOST:PORT")] = None,
) -> None:
    """Start a realm and keep it until Ctrl-C. Prints `READY http://...` (or https) when a client can play."""
    _refuse_passwords({"redis": redis, "nats": nats})
    overrides: dict[str, Any] = {"gateways": gateways, "bots": bots, "port": port, "data": data}
    overrides |= {"redis": redis and {"url": redis}, "nats": nats and {"url": nats}}
    overrides |= {"ray": ray_address and {"address": ray_address}}
    overrides |= {"edge": {"tls": {"local": True}} if tls else None}
    settings = realm_settings.load(**{name: value for name, value in overrides.items() if value is not None})
    load_class(settings.world.game)  # in every zone it would be too late to say so
    load_class(settings.chat.filter, "chat.filter")
    code = run(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nothing of ours is left; Ray's exit handlers would look for a Ray that was killed


def _refuse_passwords(urls: dict[str, str | None]) -> None:
    """A command line can be read by every user of the machine, for as long as the realm runs."""
    why = "everybody on this machine sees arguments: put a URL with a password into RAYREALM_{}__URL or a file of RAYREALM_SECRETS"
    if problems := [(f"--{name}", why.format(name.upper())) for name, url in urls.items() if url and "@" in url]:
        raise SettingsError(problems)


def run(settings: Settings) -> int:
    """The exit code."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:7.1f} s  {line}", file=sys.stderr, flush=True)

    def force(why: str) -> NoReturn:
        os.write(2, f"{why}\n".encode())
        launch.kill()
        os._exit(EXIT_INTERRUPTED)

    # What happens is told by `say`; only what goes wrong in the libraries is of interest beside it.
    configure("warning" if settings.log_level == "info" else settings.log_level)
    with Signals(force, STOP_DEADLINE_S) as signals:
        launch = Launch(settings, say, signals.raise_if_asked)
        ready = False
        try:
            launch.start()
            ready = True
            _tell(launch)
            if settings.bots:
                launch.start_bots(settings.bots)
                say(f"{settings.bots} bots are on their way")
            while launch.failure is None:
                signals.raise_if_asked()
                time.sleep(CHECK_EVERY_S)
                launch.check()
            say(launch.failure)
        except KeyboardInterrupt:
            return 0 if ready else EXIT_INTERRUPTED
        finally:
            signals.stopping()
            launch.stop()
            say("stopped")
    return EXIT_FAILED


def _tell(launch: Launch) -> None:
    print(f"READY {launch.url}")
    print(f"  play     {launch.url}/play/")
    print(f"  API      {launch.url}/v1/docs")
    print(f"  metrics  {launch.url}/metrics")
    if launch.settings.console.enabled:
        _tell_operators(launch)
    if launch.authority is not None:
        print(f"  trust    {launch.authority}")
    print(f"Ctrl-C or `rayrealm down` stops it. Logs: {launch.logs}", flush=True)


def _tell_operators(launch: Launch) -> None:
    """The console's address. A realm without an operator is given its first one here: on the terminal, and nowhere else."""
    print(f"  console  {launch.url}/console/")
    try:
        link = first_invitation(launch.settings, launch.url)
    except Unavailable as error:
        print(f"           no operator yet, perhaps ({error}): rayrealm operators invite NAME --role admin")
        return
    if link is not None:
        hours = launch.settings.console.invitation_s / 3_600.0
        print(f"  Nobody is an operator yet. This makes one, once, within {hours:g} h:\n  {link}")
