"""`rayrealm export`: what other programs need to work with this realm, made from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from cluster import settings as realm_settings
from cluster.errors import StartRefused
from cluster.export import envoy as envoys
from cluster.export import grafana as dashboards
from cluster.export import haproxy as haproxies
from cluster.export import istio as meshes
from cluster.export import prometheus as monitoring

app = typer.Typer(help="Configuration for other programs, from the settings.", no_args_is_help=True)

Out = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Write the files there, instead of printing the first of them.")
]
Nodes = Annotated[list[str], typer.Argument(help="HOST or HOST:PORT of each node's edge.")]
ServerName = Annotated[
    str, typer.Option(help="Where edge.tls is on: what the edges' certificates say, and is checked.")
]
AdminPort = Annotated[int, typer.Option(min=0, max=65_535, help="Envoy's own pages, on loopback; 0: none.")]
At = Annotated[
    str, typer.Option(metavar="URL", help="Where Prometheus reaches the realm. Default: host and port of the settings.")
]


@app.command()
def prometheus(
    address: At = "",
    every: Annotated[int, typer.Option(min=1, max=300, help="Seconds between two scrapes.")] = monitoring.EVERY_S,
    out: Out = None,
) -> None:
    """prometheus.yml, which finds every process of the realm; with --out also recording and alert rules."""
    settings = realm_settings.load()
    put(monitoring.files(address or monitoring.address_of(settings), every, settings.realm), out)


@app.command()
def envoy(
    nodes: Nodes, server_name: ServerName = "", admin_port: AdminPort = envoys.ADMIN_PORT, out: Out = None
) -> None:
    """envoy.json: an Envoy before the edges of several nodes."""
    put({"envoy.json": envoys.render(realm_settings.load(), nodes, server_name, admin_port)}, out)


@app.command()
def haproxy(
    nodes: Nodes,
    certificate: Annotated[
        str, typer.Option(help="Chain and key in one file, where edge.tls is on.")
    ] = haproxies.CERTIFICATE,
    server_name: ServerName = "",
    out: Out = None,
) -> None:
    """haproxy.cfg: an HAProxy before the edges of several nodes."""
    put({"haproxy.cfg": haproxies.render(realm_settings.load(), nodes, certificate, server_name)}, out)


@app.command()
def istio(
    host: Annotated[str, typer.Argument(help="What players type.")],
    namespace: Annotated[str, typer.Option(help="Of the realm's pods.")] = "rayrealm",
    service: Annotated[str, typer.Option(help="Of the edges.")] = "rayrealm-edge",
    credential: Annotated[
        str, typer.Option(help="The Secret with the certificate; empty: plain HTTP.")
    ] = "rayrealm-tls",
    out: Out = None,
) -> None:
    """istio.yaml: Gateway, VirtualService, DestinationRule and PeerAuthentication."""
    put({"istio.yaml": meshes.render(realm_settings.load(), host, namespace, service, credential)}, out)


@app.command()
def grafana(out: Out = None) -> None:
    """The dashboards, a file each; without --out all of them as one JSON object by file name."""
    made = dashboards.files()
    if out is None:
        print(dashboards.together(made))
    else:
        put(made, out)


def put(files: Mapping[str, str], out: Path | None) -> None:
    """Print the first file, or write all below `out` and print their names. Raises StartRefused."""
    if out is None:
        print(next(iter(files.values())), end="")
        return
    for name, text in files.items():
        path = out / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise StartRefused(f"cannot write {path} ({error.strerror})") from None
        print(path)
