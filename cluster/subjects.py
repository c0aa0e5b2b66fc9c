"""Names of NATS subjects. The realm's namespace comes first, so that realms can share a server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Subjects:
    namespace: str

    def zone_input(self, zone_id: str) -> str:
        """ZoneInput, from gateways. Whoever is the zone subscribes here, so a restarted zone is found without telling anyone."""
        return f"{self.namespace}.zone.{zone_id}.input"

    def zone_border(self, zone_id: str) -> str:
        """BorderOutput, from the zones near it."""
        return f"{self.namespace}.zone.{zone_id}.border"

    def zone_replica(self, zone_id: str) -> str:
        """ZoneReplica, from a zone to its standby."""
        return f"{self.namespace}.zone.{zone_id}.replica"

    def zone_follower(self, zone_id: str) -> str:
        """ZoneFollower, from a zone's standby to the zone and to itself."""
        return f"{self.namespace}.zone.{zone_id}.follower"

    def world_map(self) -> str:
        """The world's map as JSON (cluster/worldmap.py), when it changes and every few seconds."""
        return f"{self.namespace}.world.map"

    def world_control(self) -> str:
        """Requests of the operator's commands to the supervisor (cluster/world_control.py)."""
        return f"{self.namespace}.world.control"

    def sessions_moved(self) -> str:
        """SessionsMoved, from zones to all session actors."""
        return f"{self.namespace}.world.moved"

    def gateway_output(self, gateway_id: str) -> str:
        """ZoneOutput, from zones to one gateway."""
        return f"{self.namespace}.gateway.{gateway_id}.output"

    def gateway_control(self, gateway_id: str) -> str:
        """GatewayControl, to one gateway."""
        return f"{self.namespace}.gateway.{gateway_id}.control"

    def gateways_control(self) -> str:
        """GatewayControl, to all gateways."""
        return f"{self.namespace}.gateways.control"

    def gateway_reliable(self, gateway_id: str) -> str:
        """ReliableBatch, from session actors to one gateway."""
        return f"{self.namespace}.gateway.{gateway_id}.reliable"

    def gateway_session(self, gateway_id: str, session_id: str) -> str:
        """A request about one session, to the gateway that has its socket (cluster/session_route.py); `*` for any session."""
        return f"{self.namespace}.gateway.{gateway_id}.session.{session_id}"

    def session_reports(self, actor: str) -> str:
        """SessionReports, from gateways to one session actor (`sessions/0`)."""
        return f"{self.namespace}.actor.{actor.replace('/', '-')}.reports"

    def session_roster(self, actor: str) -> str:
        """SessionRoster, from gateways to one session actor."""
        return f"{self.namespace}.actor.{actor.replace('/', '-')}.roster"

    def gateway_alive(self) -> str:
        """GatewayAlive, every `heartbeat_s`."""
        return f"{self.namespace}.alive.gateway"

    def topic(self, topic: str) -> str:
        """TopicMessage. Topics may hold characters that subjects may not, hence the hex."""
        return f"{self.namespace}.topic.{topic.encode().hex()}"

    def party_positions(self, party_id: str) -> str:
        """PartyPositions, from gateways to gateways: where a party's members are."""
        return f"{self.namespace}.party.{party_id}.positions"

    def protection(self) -> str:
        """Empty: bans of networks, revocations or keys have changed (cluster/guarding.py)."""
        return f"{self.namespace}.protection"

    def accounts(self) -> str:
        """Requests to the web process: refreshing tokens, rotating keys (serve_apps/accounts/desk.py)."""
        return f"{self.namespace}.accounts"

    def abuse_reports(self) -> str:
        """AbuseReport, from gateways to the watch (actors/watch)."""
        return f"{self.namespace}.abuse.reports"

    def abuse_control(self) -> str:
        """AbuseLift, from the operator's commands to the watch."""
        return f"{self.namespace}.abuse.control"

    def metrics(self) -> str:
        """A request that every process answers with its Prometheus text."""
        return f"{self.namespace}.metrics"

    def metrics_of(self, process: str) -> str:
        """The same, of the process of that name alone. Hex, as with topics."""
        return f"{self.namespace}.metrics.{process.encode().hex()}"

    def beats(self) -> str:
        """Beat (cluster/beats.py), from every process every `telemetry.beat_s`."""
        return f"{self.namespace}.beat"

    def process_control(self) -> str:
        """A request to every process, answered by those that are meant (cluster/process_control.py): log levels, newest log
        lines.
        """
        return f"{self.namespace}.process.control"

    def process_logs(self) -> str:
        """Log lines as JSON, from every process (cluster/telemetry/log_tap.py)."""
        return f"{self.namespace}.process.logs"

    def actor_control(self, actor: str) -> str:
        """Requests of the operators' operations to one session actor or presence index (cluster/world_control.py has their
        form).
        """
        return f"{self.namespace}.actor.{actor.replace('/', '-')}.control"

    def console_control(self) -> str:
        """Requests to the console (cluster/world_control.py has their form): its history."""
        return f"{self.namespace}.console.control"
