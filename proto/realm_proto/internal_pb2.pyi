from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ZoneInput(_message.Message):
    __slots__ = ("gateway_id", "rows", "probe", "resync", "calls", "shown")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    RESYNC_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    SHOWN_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    rows: bytes
    probe: int
    resync: bool
    calls: _containers.RepeatedCompositeFieldContainer[ZoneCall]
    shown: bytes
    def __init__(self, gateway_id: _Optional[str] = ..., rows: _Optional[bytes] = ..., probe: _Optional[int] = ..., resync: _Optional[bool] = ..., calls: _Optional[_Iterable[_Union[ZoneCall, _Mapping]]] = ..., shown: _Optional[bytes] = ...) -> None: ...

class ZoneCall(_message.Message):
    __slots__ = ("id", "session_id", "attach_epoch", "method", "params_json", "epoch")
    ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACH_EPOCH_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_JSON_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    id: int
    session_id: str
    attach_epoch: int
    method: str
    params_json: bytes
    epoch: int
    def __init__(self, id: _Optional[int] = ..., session_id: _Optional[str] = ..., attach_epoch: _Optional[int] = ..., method: _Optional[str] = ..., params_json: _Optional[bytes] = ..., epoch: _Optional[int] = ...) -> None: ...

class ZoneAnswer(_message.Message):
    __slots__ = ("id", "result_json", "refusal", "elsewhere", "result_zlib")
    ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_JSON_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    ELSEWHERE_FIELD_NUMBER: _ClassVar[int]
    RESULT_ZLIB_FIELD_NUMBER: _ClassVar[int]
    id: int
    result_json: bytes
    refusal: ZoneRefusal
    elsewhere: str
    result_zlib: bytes
    def __init__(self, id: _Optional[int] = ..., result_json: _Optional[bytes] = ..., refusal: _Optional[_Union[ZoneRefusal, _Mapping]] = ..., elsewhere: _Optional[str] = ..., result_zlib: _Optional[bytes] = ...) -> None: ...

class ZoneRefusal(_message.Message):
    __slots__ = ("kind", "args_json")
    KIND_FIELD_NUMBER: _ClassVar[int]
    ARGS_JSON_FIELD_NUMBER: _ClassVar[int]
    kind: str
    args_json: bytes
    def __init__(self, kind: _Optional[str] = ..., args_json: _Optional[bytes] = ...) -> None: ...

class ZoneAnswers(_message.Message):
    __slots__ = ("zone_id", "epoch", "answers")
    ZONE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    zone_id: str
    epoch: int
    answers: _containers.RepeatedCompositeFieldContainer[ZoneAnswer]
    def __init__(self, zone_id: _Optional[str] = ..., epoch: _Optional[int] = ..., answers: _Optional[_Iterable[_Union[ZoneAnswer, _Mapping]]] = ...) -> None: ...

class BorderOutput(_message.Message):
    __slots__ = ("zone_id", "epoch", "number", "rows", "entities", "leaves", "room", "arrivals", "resync", "departed", "whole")
    ZONE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    ENTITIES_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    ROOM_FIELD_NUMBER: _ClassVar[int]
    ARRIVALS_FIELD_NUMBER: _ClassVar[int]
    RESYNC_FIELD_NUMBER: _ClassVar[int]
    DEPARTED_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    zone_id: str
    epoch: int
    number: int
    rows: bytes
    entities: _containers.RepeatedCompositeFieldContainer[BorderEntity]
    leaves: _containers.RepeatedScalarFieldContainer[int]
    room: int
    arrivals: bool
    resync: bool
    departed: _containers.RepeatedScalarFieldContainer[int]
    whole: bool
    def __init__(self, zone_id: _Optional[str] = ..., epoch: _Optional[int] = ..., number: _Optional[int] = ..., rows: _Optional[bytes] = ..., entities: _Optional[_Iterable[_Union[BorderEntity, _Mapping]]] = ..., leaves: _Optional[_Iterable[int]] = ..., room: _Optional[int] = ..., arrivals: _Optional[bool] = ..., resync: _Optional[bool] = ..., departed: _Optional[_Iterable[int]] = ..., whole: _Optional[bool] = ...) -> None: ...

class BorderEntity(_message.Message):
    __slots__ = ("number", "record")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    RECORD_FIELD_NUMBER: _ClassVar[int]
    number: int
    record: bytes
    def __init__(self, number: _Optional[int] = ..., record: _Optional[bytes] = ...) -> None: ...

class ZoneReplica(_message.Message):
    __slots__ = ("zone_id", "epoch", "tick", "places", "whole", "slot")
    ZONE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    WHOLE_FIELD_NUMBER: _ClassVar[int]
    SLOT_FIELD_NUMBER: _ClassVar[int]
    zone_id: str
    epoch: int
    tick: int
    places: bytes
    whole: bool
    slot: int
    def __init__(self, zone_id: _Optional[str] = ..., epoch: _Optional[int] = ..., tick: _Optional[int] = ..., places: _Optional[bytes] = ..., whole: _Optional[bool] = ..., slot: _Optional[int] = ...) -> None: ...

class ZoneFollower(_message.Message):
    __slots__ = ("follower", "sent_at")
    FOLLOWER_FIELD_NUMBER: _ClassVar[int]
    SENT_AT_FIELD_NUMBER: _ClassVar[int]
    follower: bytes
    sent_at: float
    def __init__(self, follower: _Optional[bytes] = ..., sent_at: _Optional[float] = ...) -> None: ...

class SessionsMoved(_message.Message):
    __slots__ = ("zone_id", "session_ids")
    ZONE_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    zone_id: str
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, zone_id: _Optional[str] = ..., session_ids: _Optional[_Iterable[str]] = ...) -> None: ...

class ZoneOutput(_message.Message):
    __slots__ = ("zone_id", "epoch", "tick", "moves", "viewers", "acks", "move_end", "move_index", "states", "events", "places", "place_end", "place_index", "number")
    ZONE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TICK_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    VIEWERS_FIELD_NUMBER: _ClassVar[int]
    ACKS_FIELD_NUMBER: _ClassVar[int]
    MOVE_END_FIELD_NUMBER: _ClassVar[int]
    MOVE_INDEX_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    PLACE_END_FIELD_NUMBER: _ClassVar[int]
    PLACE_INDEX_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    zone_id: str
    epoch: int
    tick: int
    moves: bytes
    viewers: bytes
    acks: bytes
    move_end: bytes
    move_index: bytes
    states: _containers.RepeatedScalarFieldContainer[bytes]
    events: _containers.RepeatedCompositeFieldContainer[ViewerEvents]
    places: bytes
    place_end: bytes
    place_index: bytes
    number: int
    def __init__(self, zone_id: _Optional[str] = ..., epoch: _Optional[int] = ..., tick: _Optional[int] = ..., moves: _Optional[bytes] = ..., viewers: _Optional[bytes] = ..., acks: _Optional[bytes] = ..., move_end: _Optional[bytes] = ..., move_index: _Optional[bytes] = ..., states: _Optional[_Iterable[bytes]] = ..., events: _Optional[_Iterable[_Union[ViewerEvents, _Mapping]]] = ..., places: _Optional[bytes] = ..., place_end: _Optional[bytes] = ..., place_index: _Optional[bytes] = ..., number: _Optional[int] = ...) -> None: ...

class ViewerEvents(_message.Message):
    __slots__ = ("viewer", "states", "leaves", "reset", "correction", "attach_epoch", "session_id", "transfer")
    VIEWER_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    ATTACH_EPOCH_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TRANSFER_FIELD_NUMBER: _ClassVar[int]
    viewer: int
    states: _containers.RepeatedScalarFieldContainer[int]
    leaves: _containers.RepeatedScalarFieldContainer[int]
    reset: bool
    correction: bytes
    attach_epoch: int
    session_id: str
    transfer: int
    def __init__(self, viewer: _Optional[int] = ..., states: _Optional[_Iterable[int]] = ..., leaves: _Optional[_Iterable[int]] = ..., reset: _Optional[bool] = ..., correction: _Optional[bytes] = ..., attach_epoch: _Optional[int] = ..., session_id: _Optional[str] = ..., transfer: _Optional[int] = ...) -> None: ...

class GatewayNotice(_message.Message):
    __slots__ = ("session_ids", "method", "params_json")
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_JSON_FIELD_NUMBER: _ClassVar[int]
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    method: str
    params_json: bytes
    def __init__(self, session_ids: _Optional[_Iterable[str]] = ..., method: _Optional[str] = ..., params_json: _Optional[bytes] = ...) -> None: ...

class GatewayClose(_message.Message):
    __slots__ = ("session_id", "attach_epoch", "code", "reason")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACH_EPOCH_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    attach_epoch: int
    code: int
    reason: str
    def __init__(self, session_id: _Optional[str] = ..., attach_epoch: _Optional[int] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class GatewayDrain(_message.Message):
    __slots__ = ("deadline_s",)
    DEADLINE_S_FIELD_NUMBER: _ClassVar[int]
    deadline_s: float
    def __init__(self, deadline_s: _Optional[float] = ...) -> None: ...

class GatewayStay(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GatewayProbe(_message.Message):
    __slots__ = ("number", "part", "epoch", "outputs")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    PART_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    part: str
    epoch: int
    outputs: int
    def __init__(self, number: _Optional[int] = ..., part: _Optional[str] = ..., epoch: _Optional[int] = ..., outputs: _Optional[int] = ...) -> None: ...

class GatewayControl(_message.Message):
    __slots__ = ("notice", "close", "drain", "probe", "answers", "slow", "expel", "stay")
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    DRAIN_FIELD_NUMBER: _ClassVar[int]
    PROBE_FIELD_NUMBER: _ClassVar[int]
    ANSWERS_FIELD_NUMBER: _ClassVar[int]
    SLOW_FIELD_NUMBER: _ClassVar[int]
    EXPEL_FIELD_NUMBER: _ClassVar[int]
    STAY_FIELD_NUMBER: _ClassVar[int]
    notice: GatewayNotice
    close: GatewayClose
    drain: GatewayDrain
    probe: GatewayProbe
    answers: ZoneAnswers
    slow: GatewaySlow
    expel: GatewayExpel
    stay: GatewayStay
    def __init__(self, notice: _Optional[_Union[GatewayNotice, _Mapping]] = ..., close: _Optional[_Union[GatewayClose, _Mapping]] = ..., drain: _Optional[_Union[GatewayDrain, _Mapping]] = ..., probe: _Optional[_Union[GatewayProbe, _Mapping]] = ..., answers: _Optional[_Union[ZoneAnswers, _Mapping]] = ..., slow: _Optional[_Union[GatewaySlow, _Mapping]] = ..., expel: _Optional[_Union[GatewayExpel, _Mapping]] = ..., stay: _Optional[_Union[GatewayStay, _Mapping]] = ...) -> None: ...

class GatewaySlow(_message.Message):
    __slots__ = ("user_id", "factor", "for_s")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    FACTOR_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    factor: float
    for_s: float
    def __init__(self, user_id: _Optional[str] = ..., factor: _Optional[float] = ..., for_s: _Optional[float] = ...) -> None: ...

class GatewayAlive(_message.Message):
    __slots__ = ("gateway_id", "sockets", "capacity", "draining", "degraded")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    SOCKETS_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    DRAINING_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    sockets: int
    capacity: int
    draining: bool
    degraded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, gateway_id: _Optional[str] = ..., sockets: _Optional[int] = ..., capacity: _Optional[int] = ..., draining: _Optional[bool] = ..., degraded: _Optional[_Iterable[str]] = ...) -> None: ...

class TopicMessage(_message.Message):
    __slots__ = ("topic", "method", "params_json", "id", "previous", "sender", "refresh", "trace")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_JSON_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    SENDER_FIELD_NUMBER: _ClassVar[int]
    REFRESH_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    topic: str
    method: str
    params_json: bytes
    id: str
    previous: str
    sender: str
    refresh: str
    trace: str
    def __init__(self, topic: _Optional[str] = ..., method: _Optional[str] = ..., params_json: _Optional[bytes] = ..., id: _Optional[str] = ..., previous: _Optional[str] = ..., sender: _Optional[str] = ..., refresh: _Optional[str] = ..., trace: _Optional[str] = ...) -> None: ...

class ReliableBody(_message.Message):
    __slots__ = ("method", "params_json", "trace")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_JSON_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    method: str
    params_json: bytes
    trace: str
    def __init__(self, method: _Optional[str] = ..., params_json: _Optional[bytes] = ..., trace: _Optional[str] = ...) -> None: ...

class ReliableTarget(_message.Message):
    __slots__ = ("session_id", "attach_epoch", "first_seq", "bodies")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACH_EPOCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    BODIES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    attach_epoch: int
    first_seq: int
    bodies: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, session_id: _Optional[str] = ..., attach_epoch: _Optional[int] = ..., first_seq: _Optional[int] = ..., bodies: _Optional[_Iterable[int]] = ...) -> None: ...

class ReliableBatch(_message.Message):
    __slots__ = ("actor", "epoch", "bodies", "targets")
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BODIES_FIELD_NUMBER: _ClassVar[int]
    TARGETS_FIELD_NUMBER: _ClassVar[int]
    actor: str
    epoch: int
    bodies: _containers.RepeatedCompositeFieldContainer[ReliableBody]
    targets: _containers.RepeatedCompositeFieldContainer[ReliableTarget]
    def __init__(self, actor: _Optional[str] = ..., epoch: _Optional[int] = ..., bodies: _Optional[_Iterable[_Union[ReliableBody, _Mapping]]] = ..., targets: _Optional[_Iterable[_Union[ReliableTarget, _Mapping]]] = ...) -> None: ...

class SessionReport(_message.Message):
    __slots__ = ("session_id", "attach_epoch", "delivered", "acked", "missing", "heard")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    ATTACH_EPOCH_FIELD_NUMBER: _ClassVar[int]
    DELIVERED_FIELD_NUMBER: _ClassVar[int]
    ACKED_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    HEARD_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    attach_epoch: int
    delivered: int
    acked: int
    missing: bool
    heard: bool
    def __init__(self, session_id: _Optional[str] = ..., attach_epoch: _Optional[int] = ..., delivered: _Optional[int] = ..., acked: _Optional[int] = ..., missing: _Optional[bool] = ..., heard: _Optional[bool] = ...) -> None: ...

class SessionReports(_message.Message):
    __slots__ = ("gateway_id", "reports")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    REPORTS_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    reports: _containers.RepeatedCompositeFieldContainer[SessionReport]
    def __init__(self, gateway_id: _Optional[str] = ..., reports: _Optional[_Iterable[_Union[SessionReport, _Mapping]]] = ...) -> None: ...

class SessionRoster(_message.Message):
    __slots__ = ("gateway_id", "session_ids", "attach_epochs")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    ATTACH_EPOCHS_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    attach_epochs: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, gateway_id: _Optional[str] = ..., session_ids: _Optional[_Iterable[str]] = ..., attach_epochs: _Optional[_Iterable[int]] = ...) -> None: ...

class PartyPosition(_message.Message):
    __slots__ = ("session_id", "user_id", "name", "zone", "x", "z", "gone")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    ZONE_FIELD_NUMBER: _ClassVar[int]
    X_FIELD_NUMBER: _ClassVar[int]
    Z_FIELD_NUMBER: _ClassVar[int]
    GONE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    user_id: str
    name: str
    zone: str
    x: float
    z: float
    gone: bool
    def __init__(self, session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., name: _Optional[str] = ..., zone: _Optional[str] = ..., x: _Optional[float] = ..., z: _Optional[float] = ..., gone: _Optional[bool] = ...) -> None: ...

class PartyPositions(_message.Message):
    __slots__ = ("gateway_id", "members", "ties_changed")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    TIES_CHANGED_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    members: _containers.RepeatedCompositeFieldContainer[PartyPosition]
    ties_changed: bool
    def __init__(self, gateway_id: _Optional[str] = ..., members: _Optional[_Iterable[_Union[PartyPosition, _Mapping]]] = ..., ties_changed: _Optional[bool] = ...) -> None: ...

class GatewayExpel(_message.Message):
    __slots__ = ("user_id", "code", "reason")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    code: int
    reason: str
    def __init__(self, user_id: _Optional[str] = ..., code: _Optional[int] = ..., reason: _Optional[str] = ...) -> None: ...

class AbuseSession(_message.Message):
    __slots__ = ("session_id", "user_id", "address", "role", "span_s", "messages", "bytes", "moves", "calls", "chats", "malformed", "unknown", "invalid", "refused", "limited", "pending", "replays", "bad_signatures", "corrections", "addressees", "same_text", "metres", "close_code")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    SPAN_S_FIELD_NUMBER: _ClassVar[int]
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    BYTES_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    CHATS_FIELD_NUMBER: _ClassVar[int]
    MALFORMED_FIELD_NUMBER: _ClassVar[int]
    UNKNOWN_FIELD_NUMBER: _ClassVar[int]
    INVALID_FIELD_NUMBER: _ClassVar[int]
    REFUSED_FIELD_NUMBER: _ClassVar[int]
    LIMITED_FIELD_NUMBER: _ClassVar[int]
    PENDING_FIELD_NUMBER: _ClassVar[int]
    REPLAYS_FIELD_NUMBER: _ClassVar[int]
    BAD_SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSEES_FIELD_NUMBER: _ClassVar[int]
    SAME_TEXT_FIELD_NUMBER: _ClassVar[int]
    METRES_FIELD_NUMBER: _ClassVar[int]
    CLOSE_CODE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    user_id: str
    address: str
    role: str
    span_s: float
    messages: int
    bytes: int
    moves: int
    calls: int
    chats: int
    malformed: int
    unknown: int
    invalid: int
    refused: int
    limited: int
    pending: int
    replays: int
    bad_signatures: int
    corrections: int
    addressees: int
    same_text: int
    metres: float
    close_code: int
    def __init__(self, session_id: _Optional[str] = ..., user_id: _Optional[str] = ..., address: _Optional[str] = ..., role: _Optional[str] = ..., span_s: _Optional[float] = ..., messages: _Optional[int] = ..., bytes: _Optional[int] = ..., moves: _Optional[int] = ..., calls: _Optional[int] = ..., chats: _Optional[int] = ..., malformed: _Optional[int] = ..., unknown: _Optional[int] = ..., invalid: _Optional[int] = ..., refused: _Optional[int] = ..., limited: _Optional[int] = ..., pending: _Optional[int] = ..., replays: _Optional[int] = ..., bad_signatures: _Optional[int] = ..., corrections: _Optional[int] = ..., addressees: _Optional[int] = ..., same_text: _Optional[int] = ..., metres: _Optional[float] = ..., close_code: _Optional[int] = ...) -> None: ...

class AbuseAddress(_message.Message):
    __slots__ = ("address", "sockets", "opened", "refusals")
    class RefusalsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ADDRESS_FIELD_NUMBER: _ClassVar[int]
    SOCKETS_FIELD_NUMBER: _ClassVar[int]
    OPENED_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    address: str
    sockets: int
    opened: int
    refusals: _containers.ScalarMap[str, int]
    def __init__(self, address: _Optional[str] = ..., sockets: _Optional[int] = ..., opened: _Optional[int] = ..., refusals: _Optional[_Mapping[str, int]] = ...) -> None: ...

class AbuseReport(_message.Message):
    __slots__ = ("gateway_id", "sessions", "addresses")
    GATEWAY_ID_FIELD_NUMBER: _ClassVar[int]
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    ADDRESSES_FIELD_NUMBER: _ClassVar[int]
    gateway_id: str
    sessions: _containers.RepeatedCompositeFieldContainer[AbuseSession]
    addresses: _containers.RepeatedCompositeFieldContainer[AbuseAddress]
    def __init__(self, gateway_id: _Optional[str] = ..., sessions: _Optional[_Iterable[_Union[AbuseSession, _Mapping]]] = ..., addresses: _Optional[_Iterable[_Union[AbuseAddress, _Mapping]]] = ...) -> None: ...
