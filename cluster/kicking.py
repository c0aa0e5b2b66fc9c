"""Orders to gateways to close sockets. Plain values."""

from __future__ import annotations

from cluster.ports.bus import Bus
from cluster.ports.sessions import SessionRecord
from cluster.subjects import Subjects
from realm_proto import internal_pb2


def order_close(bus: Bus, subjects: Subjects, record: SessionRecord, code: int, reason: str) -> None:
    """To the gateway that has the session's socket, if any. The bus promises no delivery: look again, and repeat."""
    if not record.gateway_id:
        return
    close = internal_pb2.GatewayClose(
        session_id=record.session_id, attach_epoch=record.attach_epoch, code=code, reason=reason
    )
    message = internal_pb2.GatewayControl(close=close).SerializeToString()
    bus.publish(subjects.gateway_control(record.gateway_id), message)
