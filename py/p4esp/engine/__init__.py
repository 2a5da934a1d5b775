"""Crypto engine: a look-aside AEAD accelerator on one switch port (docs/crypto-port.md)."""

from p4esp.engine.core import Engine, EngineStats, KeyStats
from p4esp.engine.datapath import SealEvent
from p4esp.engine.descriptor import CryptoFrame, Descriptor, DescriptorError, Flag, Op, Status
from p4esp.engine.errors import EngineUnavailableError, KeyStoreError, TransformError
from p4esp.engine.keyservice import EngineHealth, KeyService, LocalKeys
from p4esp.engine.keystore import Direction, KeySpec

__all__ = [
    "CryptoFrame",
    "Descriptor",
    "DescriptorError",
    "Direction",
    "Engine",
    "EngineHealth",
    "EngineStats",
    "EngineUnavailableError",
    "Flag",
    "KeyService",
    "KeySpec",
    "KeyStats",
    "KeyStoreError",
    "LocalKeys",
    "Op",
    "SealEvent",
    "Status",
    "TransformError",
]
