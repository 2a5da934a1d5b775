from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DIRECTION_UNSPECIFIED: _ClassVar[Direction]
    DIRECTION_SEAL: _ClassVar[Direction]
    DIRECTION_OPEN: _ClassVar[Direction]
DIRECTION_UNSPECIFIED: Direction
DIRECTION_SEAL: Direction
DIRECTION_OPEN: Direction

class InstallRequest(_message.Message):
    __slots__ = ("direction", "transform", "key", "salt", "generation", "sa_index", "integrity_key", "subs", "kdf")
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    SALT_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SA_INDEX_FIELD_NUMBER: _ClassVar[int]
    INTEGRITY_KEY_FIELD_NUMBER: _ClassVar[int]
    SUBS_FIELD_NUMBER: _ClassVar[int]
    KDF_FIELD_NUMBER: _ClassVar[int]
    direction: Direction
    transform: str
    key: bytes
    salt: bytes
    generation: int
    sa_index: int
    integrity_key: bytes
    subs: int
    kdf: str
    def __init__(self, direction: _Optional[_Union[Direction, str]] = ..., transform: _Optional[str] = ..., key: _Optional[bytes] = ..., salt: _Optional[bytes] = ..., generation: _Optional[int] = ..., sa_index: _Optional[int] = ..., integrity_key: _Optional[bytes] = ..., subs: _Optional[int] = ..., kdf: _Optional[str] = ...) -> None: ...

class InstallResponse(_message.Message):
    __slots__ = ("handle",)
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    def __init__(self, handle: _Optional[int] = ...) -> None: ...

class RemoveRequest(_message.Message):
    __slots__ = ("handle",)
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    handle: int
    def __init__(self, handle: _Optional[int] = ...) -> None: ...

class RemoveResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveAllRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RemoveAllResponse(_message.Message):
    __slots__ = ("removed",)
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    removed: int
    def __init__(self, removed: _Optional[int] = ...) -> None: ...

class DeriveRequest(_message.Message):
    __slots__ = ("handle", "spi")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SPI_FIELD_NUMBER: _ClassVar[int]
    handle: int
    spi: int
    def __init__(self, handle: _Optional[int] = ..., spi: _Optional[int] = ...) -> None: ...

class DeriveResponse(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: bytes
    def __init__(self, key: _Optional[bytes] = ...) -> None: ...

class RenewRequest(_message.Message):
    __slots__ = ("handle", "second", "key")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    SECOND_FIELD_NUMBER: _ClassVar[int]
    KEY_FIELD_NUMBER: _ClassVar[int]
    handle: int
    second: bool
    key: bytes
    def __init__(self, handle: _Optional[int] = ..., second: bool = ..., key: _Optional[bytes] = ...) -> None: ...

class RenewResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatsResponse(_message.Message):
    __slots__ = ("epoch", "replies", "not_a_request", "guards_forgotten", "keys")
    class RepliesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REPLIES_FIELD_NUMBER: _ClassVar[int]
    NOT_A_REQUEST_FIELD_NUMBER: _ClassVar[int]
    GUARDS_FORGOTTEN_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    replies: _containers.ScalarMap[str, int]
    not_a_request: int
    guards_forgotten: int
    keys: _containers.RepeatedCompositeFieldContainer[KeyStats]
    def __init__(self, epoch: _Optional[str] = ..., replies: _Optional[_Mapping[str, int]] = ..., not_a_request: _Optional[int] = ..., guards_forgotten: _Optional[int] = ..., keys: _Optional[_Iterable[_Union[KeyStats, _Mapping]]] = ...) -> None: ...

class KeyStats(_message.Message):
    __slots__ = ("handle", "direction", "transform", "generation", "sa_index", "packets", "octets", "subs")
    HANDLE_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    SA_INDEX_FIELD_NUMBER: _ClassVar[int]
    PACKETS_FIELD_NUMBER: _ClassVar[int]
    OCTETS_FIELD_NUMBER: _ClassVar[int]
    SUBS_FIELD_NUMBER: _ClassVar[int]
    handle: int
    direction: Direction
    transform: str
    generation: int
    sa_index: int
    packets: int
    octets: int
    subs: int
    def __init__(self, handle: _Optional[int] = ..., direction: _Optional[_Union[Direction, str]] = ..., transform: _Optional[str] = ..., generation: _Optional[int] = ..., sa_index: _Optional[int] = ..., packets: _Optional[int] = ..., octets: _Optional[int] = ..., subs: _Optional[int] = ...) -> None: ...

class GetHealthRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetHealthResponse(_message.Message):
    __slots__ = ("epoch", "ready", "detail", "transforms", "keys", "features")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    TRANSFORMS_FIELD_NUMBER: _ClassVar[int]
    KEYS_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    ready: bool
    detail: str
    transforms: _containers.RepeatedScalarFieldContainer[str]
    keys: int
    features: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, epoch: _Optional[str] = ..., ready: bool = ..., detail: _Optional[str] = ..., transforms: _Optional[_Iterable[str]] = ..., keys: _Optional[int] = ..., features: _Optional[_Iterable[str]] = ...) -> None: ...
