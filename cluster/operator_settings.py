"""Settings for operators (rows 4.4, 5.4, 7.8): the console, what the realm tells of itself, and how it treats servers that fail."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, SecretStr, model_validator

from cluster.section import Metres, Seconds, Section

TemplateName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


class ZoneTemplate(Section):
    """A zone that an operator can add beside another one: its sides, and whether a standby follows it (None: as the world's)."""

    name: str = Field(default="Annex", min_length=1, max_length=40)
    width: Metres = 200.0  # along x
    depth: Metres = 200.0  # along z
    standby: bool | None = None


class ConsoleSettings(Section):
    """The operators' page at /console/ and its HTTP API, for addresses in `edge.console_from`.

    `chaos`: whether admins may kill the realm's processes from there. `samples_s` is how often figures are kept for `history_s`;
    `log_lines` of the newest log lines are kept. `jobs`: so many finished actions are remembered.
    """

    enabled: bool = True  # whether there is a console
    session_s: Seconds = 8 * 3_600.0  # seconds after which a login ends in any case
    idle_s: Seconds = 1_800.0  # seconds without a request after which it ends
    invitation_s: Seconds = 86_400.0  # seconds that an invitation counts
    mfa_needed: bool = True  # whether operators need a second factor
    chaos: bool = False  # whether admins may kill processes from the console
    push_s: Seconds = 1.0  # seconds between two news of the live feed, at least
    samples_s: Seconds = 5.0  # seconds between two kept figures
    history_s: Seconds = 3_600.0  # seconds that they are kept
    log_lines: int = Field(default=5_000, ge=100, le=1_000_000)  # newest log lines that are kept
    jobs: int = Field(default=200, ge=10, le=10_000)  # finished actions that are remembered
    # zones that operators can add, by name
    templates: dict[TemplateName, ZoneTemplate] = Field(default={"meadow": ZoneTemplate()}, max_length=100)

    @model_validator(mode="after")
    def _history_has_samples(self) -> Self:
        if self.samples_s > self.history_s:
            raise ValueError("samples_s must not be more than history_s")
        return self


class TracingSettings(Section):
    """OpenTelemetry. `otlp`: where spans go (OTLP over HTTP, as http://127.0.0.1:4318); empty: nowhere, and nothing is traced.

    `ratio` of the requests that come without a trace context are sampled; one that comes with one decides by itself, at most
    `forced_per_s` times a second at a gateway.
    """

    # where spans go, as http://127.0.0.1:4318; empty: nothing is traced
    otlp: str = Field(default="", pattern=r"^(https?://\S+)?$")
    headers: dict[str, SecretStr] = Field(default={})  # sent along, as for a login there
    # share of the requests that is traced; 0: none but those that ask for it
    ratio: float = Field(default=0.001, ge=0.0, le=1.0)
    # traced each second because they ask for it, at one gateway
    forced_per_s: float = Field(default=10.0, gt=0.0, le=10_000.0)
    queue: int = Field(default=2_048, ge=16, le=100_000)  # spans that wait to be sent; more are dropped


class TelemetrySettings(Section):
    """`beat_s`: how often each process says how it is (cluster/beats.py)."""

    beat_s: Seconds = 2.0  # seconds between a process's words on how it is
    tracing: TracingSettings = TracingSettings()


class BreakerSettings(Section):
    """A circuit breaker: after `failures` in a row nothing is asked for `open_s`; then one call tries."""

    failures: int = Field(default=10, ge=1, le=10_000)  # in a row that open it
    open_s: float = Field(default=1.0, gt=0.0, le=10.0)  # nothing is asked meanwhile, fencing included


class MeshSettings(Section):
    """How the realm treats the servers and actors that it calls (row 4.4)."""

    redis: BreakerSettings = BreakerSettings()
    nats: BreakerSettings = BreakerSettings()
    actors: BreakerSettings = BreakerSettings()
