import datetime

from google.protobuf import any_pb2 as _any_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PresenceStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    PRESENCE_STATUS_UNSPECIFIED: _ClassVar[PresenceStatus]
    PRESENCE_STATUS_ONLINE: _ClassVar[PresenceStatus]
    PRESENCE_STATUS_AWAY: _ClassVar[PresenceStatus]
    PRESENCE_STATUS_BUSY: _ClassVar[PresenceStatus]
    PRESENCE_STATUS_OFFLINE: _ClassVar[PresenceStatus]
    PRESENCE_STATUS_INVISIBLE: _ClassVar[PresenceStatus]
PRESENCE_STATUS_UNSPECIFIED: PresenceStatus
PRESENCE_STATUS_ONLINE: PresenceStatus
PRESENCE_STATUS_AWAY: PresenceStatus
PRESENCE_STATUS_BUSY: PresenceStatus
PRESENCE_STATUS_OFFLINE: PresenceStatus
PRESENCE_STATUS_INVISIBLE: PresenceStatus

class WebSocketMessage(_message.Message):
    __slots__ = ("jsonrpc", "id_string", "id_number", "request", "response", "notification", "move", "view", "batch", "traceparent")
    JSONRPC_FIELD_NUMBER: _ClassVar[int]
    ID_STRING_FIELD_NUMBER: _ClassVar[int]
    ID_NUMBER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    NOTIFICATION_FIELD_NUMBER: _ClassVar[int]
    MOVE_FIELD_NUMBER: _ClassVar[int]
    VIEW_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    TRACEPARENT_FIELD_NUMBER: _ClassVar[int]
    jsonrpc: str
    id_string: str
    id_number: int
    request: Request
    response: Response
    notification: Notification
    move: PositionUpdate
    view: ViewFrame
    batch: BatchMessage
    traceparent: str
    def __init__(self, jsonrpc: _Optional[str] = ..., id_string: _Optional[str] = ..., id_number: _Optional[int] = ..., request: _Optional[_Union[Request, _Mapping]] = ..., response: _Optional[_Union[Response, _Mapping]] = ..., notification: _Optional[_Union[Notification, _Mapping]] = ..., move: _Optional[_Union[PositionUpdate, _Mapping]] = ..., view: _Optional[_Union[ViewFrame, _Mapping]] = ..., batch: _Optional[_Union[BatchMessage, _Mapping]] = ..., traceparent: _Optional[str] = ...) -> None: ...

class Request(_message.Message):
    __slots__ = ("method", "params")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    method: str
    params: _any_pb2.Any
    def __init__(self, method: _Optional[str] = ..., params: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class Response(_message.Message):
    __slots__ = ("result", "error")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    result: _any_pb2.Any
    error: Error
    def __init__(self, result: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Notification(_message.Message):
    __slots__ = ("method", "params", "seq")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    PARAMS_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    method: str
    params: _any_pb2.Any
    seq: int
    def __init__(self, method: _Optional[str] = ..., params: _Optional[_Union[_any_pb2.Any, _Mapping]] = ..., seq: _Optional[int] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("code", "message", "data")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    data: _any_pb2.Any
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., data: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...

class Vector3(_message.Message):
    __slots__ = ("x", "y", "z")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    Z_FIELD_NUMBER: _ClassVar[int]
    x: float
    y: float
    z: float
    def __init__(self, x: _Optional[float] = ..., y: _Optional[float] = ..., z: _Optional[float] = ...) -> None: ...

class Rotation(_message.Message):
    __slots__ = ("yaw", "pitch", "roll")
    YAW_FIELD_NUMBER: _ClassVar[int]
    PITCH_FIELD_NUMBER: _ClassVar[int]
    ROLL_FIELD_NUMBER: _ClassVar[int]
    yaw: float
    pitch: float
    roll: float
    def __init__(self, yaw: _Optional[float] = ..., pitch: _Optional[float] = ..., roll: _Optional[float] = ...) -> None: ...

class PositionUpdate(_message.Message):
    __slots__ = ("character_id", "position", "rotation", "velocity", "timestamp", "sequence")
    CHARACTER_ID_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    VELOCITY_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    character_id: str
    position: Vector3
    rotation: Rotation
    velocity: Vector3
    timestamp: _timestamp_pb2.Timestamp
    sequence: int
    def __init__(self, character_id: _Optional[str] = ..., position: _Optional[_Union[Vector3, _Mapping]] = ..., rotation: _Optional[_Union[Rotation, _Mapping]] = ..., velocity: _Optional[_Union[Vector3, _Mapping]] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ...) -> None: ...

class PositionBatch(_message.Message):
    __slots__ = ("updates",)
    UPDATES_FIELD_NUMBER: _ClassVar[int]
    updates: _containers.RepeatedCompositeFieldContainer[PositionUpdate]
    def __init__(self, updates: _Optional[_Iterable[_Union[PositionUpdate, _Mapping]]] = ...) -> None: ...

class StateSync(_message.Message):
    __slots__ = ("entity_id", "entity_type", "properties", "version", "timestamp")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: _any_pb2.Any
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[_any_pb2.Any, _Mapping]] = ...) -> None: ...
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_TYPE_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_FIELD_NUMBER: _ClassVar[int]
    entity_id: str
    entity_type: str
    properties: _containers.MessageMap[str, _any_pb2.Any]
    version: int
    timestamp: _timestamp_pb2.Timestamp
    def __init__(self, entity_id: _Optional[str] = ..., entity_type: _Optional[str] = ..., properties: _Optional[_Mapping[str, _any_pb2.Any]] = ..., version: _Optional[int] = ..., timestamp: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class PresenceUpdate(_message.Message):
    __slots__ = ("user_id", "character_id", "status", "zone_id", "metadata", "text")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    CHARACTER_ID_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    ZONE_ID_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    character_id: str
    status: PresenceStatus
    zone_id: str
    metadata: _containers.ScalarMap[str, str]
    text: str
    def __init__(self, user_id: _Optional[str] = ..., character_id: _Optional[str] = ..., status: _Optional[_Union[PresenceStatus, str]] = ..., zone_id: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ..., text: _Optional[str] = ...) -> None: ...

class BatchMessage(_message.Message):
    __slots__ = ("messages", "compressed", "original_size", "payload")
    MESSAGES_FIELD_NUMBER: _ClassVar[int]
    COMPRESSED_FIELD_NUMBER: _ClassVar[int]
    ORIGINAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    messages: _containers.RepeatedCompositeFieldContainer[WebSocketMessage]
    compressed: bool
    original_size: int
    payload: bytes
    def __init__(self, messages: _Optional[_Iterable[_Union[WebSocketMessage, _Mapping]]] = ..., compressed: _Optional[bool] = ..., original_size: _Optional[int] = ..., payload: _Optional[bytes] = ...) -> None: ...

class ViewFrame(_message.Message):
    __slots__ = ("tick", "ack", "moves", "states", "leaves", "reset", "correction", "places")
    TICK_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    LEAVES_FIELD_NUMBER: _ClassVar[int]
    RESET_FIELD_NUMBER: _ClassVar[int]
    CORRECTION_FIELD_NUMBER: _ClassVar[int]
    PLACES_FIELD_NUMBER: _ClassVar[int]
    tick: int
    ack: int
    moves: bytes
    states: _containers.RepeatedCompositeFieldContainer[EntityState]
    leaves: _containers.RepeatedScalarFieldContainer[int]
    reset: ViewReset
    correction: Correction
    places: bytes
    def __init__(self, tick: _Optional[int] = ..., ack: _Optional[int] = ..., moves: _Optional[bytes] = ..., states: _Optional[_Iterable[_Union[EntityState, _Mapping]]] = ..., leaves: _Optional[_Iterable[int]] = ..., reset: _Optional[_Union[ViewReset, _Mapping]] = ..., correction: _Optional[_Union[Correction, _Mapping]] = ..., places: _Optional[bytes] = ...) -> None: ...

class EntityState(_message.Message):
    __slots__ = ("number", "entity_id", "entity_type", "name", "version", "properties_json", "link_dead", "change")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ENTITY_ID_FIELD_NUMBER: _ClassVar[int]
    ENTITY_TYPE_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_JSON_FIELD_NUMBER: _ClassVar[int]
    LINK_DEAD_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    number: int
    entity_id: str
    entity_type: str
    name: str
    version: int
    properties_json: str
    link_dead: bool
    change: bool
    def __init__(self, number: _Optional[int] = ..., entity_id: _Optional[str] = ..., entity_type: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[int] = ..., properties_json: _Optional[str] = ..., link_dead: _Optional[bool] = ..., change: _Optional[bool] = ...) -> None: ...

class ViewReset(_message.Message):
    __slots__ = ("zone_id", "epoch", "number")
    ZONE_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    zone_id: str
    epoch: int
    number: int
    def __init__(self, zone_id: _Optional[str] = ..., epoch: _Optional[int] = ..., number: _Optional[int] = ...) -> None: ...

class Correction(_message.Message):
    __slots__ = ("sequence", "position", "reason", "yaw")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    YAW_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    position: Vector3
    reason: str
    yaw: float
    def __init__(self, sequence: _Optional[int] = ..., position: _Optional[_Union[Vector3, _Mapping]] = ..., reason: _Optional[str] = ..., yaw: _Optional[float] = ...) -> None: ...
