"""The realm's alert rules, as data. Each is explained in docs/how-to/alerts.md under its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cluster.export.rules import OURS, quantile

Severity = Literal["critical", "warning"]

PREFIX = "Rayrealm"
RUNBOOK = "docs/how-to/alerts.md"


@dataclass(frozen=True, slots=True)
class Alert:
    """`critical`: players are hurt now, somebody has to come. `warning`: they will be, or something is not as it should be.

    `held`: so long it must be true. `description` may use Prometheus's templates.
    """

    name: str
    expr: str
    held: str
    severity: Severity
    summary: str
    description: str

    @property
    def runbook(self) -> str:
        """The heading on the page, as GitHub makes an anchor of it."""
        return f"{RUNBOOK}#{self.name.lower()}"


def named(group: str, *alerts: Alert) -> tuple[str, tuple[Alert, ...]]:
    return group, alerts


def warning(name: str, expr: str, held: str, summary: str, description: str) -> Alert:
    return Alert(PREFIX + name, expr, held, "warning", summary, description)


def critical(name: str, expr: str, held: str, summary: str, description: str) -> Alert:
    return Alert(PREFIX + name, expr, held, "critical", summary, description)


PROCESSES = named(
    "processes",
    critical(
        "Down",
        '(count(up{job="rayrealm"} == 1) or vector(0)) == 0',
        "1m",
        "No process of the realm answers",
        "Prometheus can scrape nothing of the realm: it is down, or cannot be reached from here.",
    ),
    warning(
        "ProcessDown",
        'up{job="rayrealm"} == 0',
        "20s",
        "{{ $labels.process }} does not answer",
        "The {{ $labels.kind }} process {{ $labels.process }} on {{ $labels.host }} was there a moment ago.",
    ),
    warning(
        "ProcessRestarts",
        "changes(process_start_time_seconds[15m]) > 3",
        "0s",
        "{{ $labels.process }} starts again and again",
        "It was started {{ $value | humanize }} times within 15 minutes.",
    ),
    warning(
        "FileDescriptors",
        "process_open_fds / process_max_fds > 0.8",
        "2m",
        "{{ $labels.process }} runs out of file descriptors",
        "{{ $value | humanizePercentage }} are in use. Without one, no socket is accepted.",
    ),
    warning(
        "VersionsMixed",
        "count(count by (version) (rayrealm_build_info)) > 1",
        "1h",
        "Processes of {{ $value | humanize }} versions run beside each other",
        "A rolling upgrade began and has not ended.",
    ),
    warning(
        "GameErrors",
        "sum by (zone_id, hook) (rate(rayrealm_game_errors_total[5m])) > 0.1",
        "2m",
        "The game's {{ $labels.hook }} fails in {{ $labels.zone_id }}",
        "{{ $value | humanize }} times a second. The zone goes on without it.",
    ),
)

ZONES = named(
    "zones",
    critical(
        "ZoneAway",
        "rayrealm_zone_owned == 0",
        "15s",
        "Zone {{ $labels.zone_id }} has no owner that answers",
        "Players in it see nothing move. A killed zone is back within 2 s.",
    ),
    warning(
        "SupervisorAway",
        "absent(rayrealm_zone_owned)",
        "2m",
        "The world supervisor tells nothing",
        "The realm plays on, but nothing that dies now is started again by it, and no plan is carried out.",
    ),
    warning(
        "TickOverruns",
        "sum by (zone_id) (rate(rayrealm_zone_tick_overruns_total[2m])) "
        "/ sum by (zone_id) (rate(rayrealm_zone_ticks_total[2m])) > 0.05",
        "2m",
        "Zone {{ $labels.zone_id }} is too slow",
        "{{ $value | humanizePercentage }} of its ticks take longer than a tick may.",
    ),
    critical(
        "TicksSkipped",
        "sum by (zone_id) (rate(rayrealm_zone_ticks_skipped_total[2m])) > 1",
        "1m",
        "Zone {{ $labels.zone_id }} leaves out ticks",
        "{{ $value | humanize }} a second: players see the world jump.",
    ),
    critical(
        "TickFailures",
        "sum by (zone_id) (increase(rayrealm_zone_tick_failures_total[5m])) > 0",
        "0s",
        "Ticks of zone {{ $labels.zone_id }} raise",
        "A bug: what a failed tick would have done is missing. The log has `tick_failed`.",
    ),
    warning(
        "CheckpointsFail",
        "sum by (zone_id) (increase(rayrealm_zone_checkpoint_failures_total[2m])) > 3",
        "0s",
        "Zone {{ $labels.zone_id }} cannot store where everybody stands",
        "If it is killed now, players are put back by more than a second.",
    ),
    warning(
        "ZoneQueueGrows",
        'rayrealm_zone_queue{queue="writes"} > 1000 or rayrealm_zone_queue{queue="announcements"} > 500 '
        'or rayrealm_zone_queue{queue="calls"} > 2000',
        "1m",
        "{{ $labels.queue }} pile up in zone {{ $labels.zone_id }}",
        "{{ $value | humanize }} wait.",
    ),
    warning(
        "MovesDropped",
        "sum by (zone_id, reason) "
        '(rate(rayrealm_zone_inputs_dropped_total{reason=~"overflow|torn|too_many|unknown_gateway"}[5m])) > 1',
        "2m",
        "Moves are lost on their way into zone {{ $labels.zone_id }}: {{ $labels.reason }}",
        "{{ $value | humanize }} a second were never judged.",
    ),
    warning(
        "CallsDropped",
        "sum by (zone_id, reason) (rate(rayrealm_zone_calls_dropped_total[5m])) > 0.1",
        "2m",
        "Zone {{ $labels.zone_id }} refuses requests: {{ $labels.reason }}",
        "{{ $value | humanize }} a second: too many waited for its ticks.",
    ),
    warning(
        "AnnouncementsLost",
        "sum by (zone_id) (increase(rayrealm_zone_announcements_lost_total[10m])) > 0",
        "0s",
        "Messages of the game in zone {{ $labels.zone_id }} were lost",
        "Subscribers of server topics will not get them.",
    ),
    warning(
        "PlanRolledBack",
        'increase(rayrealm_plans_total{outcome="rolled back"}[15m]) > 0',
        "0s",
        "A split, merge or move was undone",
        "`rayrealm zones plan` says why.",
    ),
    warning(
        "PlanStuck",
        "rayrealm_plan_running == 1",
        "10m",
        "A plan takes longer than ten minutes",
        "While it runs, no other can begin. `rayrealm zones plan` shows its step.",
    ),
)

GATEWAYS = named(
    "gateways",
    critical(
        "AnswersSlow",
        f"{quantile(0.99, 'websocket_message_latency_seconds')} > 0.25",
        "5m",
        "Requests of players are answered late",
        "Of 100 requests one takes {{ $value | humanizeDuration }} or longer.",
    ),
    warning(
        "GatewayFull",
        "websocket_active_connections / rayrealm_gateway_capacity > 0.9",
        "2m",
        "Gateway {{ $labels.process }} is nearly full",
        "{{ $value | humanizePercentage }} of its sockets are taken.",
    ),
    critical(
        "GatewaysFull",
        "sum(websocket_active_connections) / sum(rayrealm_gateway_capacity) > 0.85",
        "2m",
        "All gateways together are nearly full",
        "{{ $value | humanizePercentage }} of all sockets are taken: if one gateway is lost, there is no room for its players.",
    ),
    critical(
        "UpgradesRefused",
        f'sum by (reason) (rate(rayrealm_gateway_upgrades_refused_total{{reason=~"{OURS}"}}[2m])) > 1',
        "2m",
        "Players are turned away: {{ $labels.reason }}",
        "{{ $value | humanize }} upgrades a second are refused.",
    ),
    warning(
        "ClientQueuesGrow",
        "websocket_queue_depth > 16777216 and deriv(websocket_queue_depth[5m]) > 0",
        "2m",
        "What waits for the clients of {{ $labels.process }} grows",
        "{{ $value | humanize1024 }}B wait.",
    ),
    warning(
        "SlowConsumers",
        "sum by (process) (rate(rayrealm_gateway_slow_consumers_total[5m])) > 0.5",
        "2m",
        "Clients of {{ $labels.process }} are closed because they do not read",
        "{{ $value | humanize }} a second: their network, or that of the gateway.",
    ),
    warning(
        "SocketsLost",
        "sum by (reason) (rate(websocket_connection_errors_total[5m])) > 5",
        "2m",
        "Many sockets end by an error: {{ $labels.reason }}",
        "{{ $value | humanize }} a second.",
    ),
    warning(
        "ConsequencesLost",
        "sum by (reason) (increase(rayrealm_gateway_consequences_lost_total[10m])) > 0",
        "0s",
        "Changes among users were not told to others: {{ $labels.reason }}",
        "They are stored; sessions see them at the latest when they look again.",
    ),
    warning(
        "OldIncarnationSpeaks",
        'sum by (kind) (rate(rayrealm_epoch_refusals_total{kind=~"zone_output|reliable_batch"}[2m])) > 0',
        "1m",
        "An incarnation that was replaced goes on talking: {{ $labels.kind }}",
        "Gateways do not believe it. It should have ended.",
    ),
    warning(
        "Fenced",
        'sum by (kind) (increase(rayrealm_epoch_refusals_total{kind!~"zone_output|reliable_batch"}[15m])) > 0',
        "0s",
        "A {{ $labels.kind }} process was fenced",
        "It was believed dead and was not, wanted to write, and ended. Nothing is lost.",
    ),
)

SESSIONS = named(
    "sessions",
    warning(
        "RecoveriesFail",
        'sum(rate(rayrealm_gateway_attaches_total{outcome="resumed"}[5m])) / clamp_min('
        'sum(rate(rayrealm_gateway_attaches_total{outcome=~"recovered|resumed"}[5m])), 0.01) > 0.05',
        "2m",
        "Players who come back have missed messages",
        "{{ $value | humanizePercentage }} of those who came back got their session, but not all they had missed.",
    ),
    warning(
        "SessionGaps",
        "sum(increase(rayrealm_session_gaps_total[10m])) > 0",
        "0s",
        "Members of topics were told of a gap",
        "A session actor was away for longer than a topic's log reaches back.",
    ),
    critical(
        "SessionCallsFail",
        'sum(rate(rayrealm_session_calls_total{outcome="failed"}[5m])) '
        "/ clamp_min(sum(rate(rayrealm_session_calls_total[5m])), 0.01) > 0.02",
        "2m",
        "Calls of session actors fail",
        "{{ $value | humanizePercentage }} of them, by our fault.",
    ),
    warning(
        "LaneWaits",
        "rayrealm_session_lane_waiting > 1000",
        "1m",
        "Reliable notifications wait in {{ $labels.actor }}",
        "{{ $value | humanize }} wait for the log in Redis.",
    ),
    warning(
        "OutboxesGrow",
        "rayrealm_session_outbox_bytes / clamp_min(rayrealm_sessions, 1) > 131072",
        "5m",
        "Clients of {{ $labels.actor }} acknowledge nothing",
        "An outbox has {{ $value | humanize1024 }}B on average; at 256 KiB the oldest is dropped.",
    ),
)

GROUPS = (PROCESSES, ZONES, GATEWAYS, SESSIONS)
