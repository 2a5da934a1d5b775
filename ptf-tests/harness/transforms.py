"""Key material for every transform that the pipeline carries, and the scapy peer that has it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.ipsec import ESP, SecurityAssociation

from harness.esp import CbcKey, GmacKey, ImplicitIvKey, Key, NullKey
from harness.wire import protocol_at, resized

ESP_HEADER_LEN = 8
EXPLICIT_IV_LEN = 8


def _octets(name: str, number: int, size: int) -> bytes:
    return hashlib.shake_256(f"{name} key {number}".encode()).digest(size)


def _aead(name: str, kind: type[Key], size: int) -> Callable[[int], Key]:
    def make(number: int) -> Key:
        octets = _octets(name, number, size + 4)
        return kind(octets[:size], octets[size:], "CHACHA" in name)

    return make


def _plain(name: str, kind: type[Key], size: int) -> Callable[[int], Key]:
    return lambda number: kind(_octets(name, number, size), b"")


_AEADS: tuple[tuple[str, type[Key], int], ...] = (
    ("AES-GCM-128", Key, 16),
    ("AES-GCM-256", Key, 32),
    ("CHACHA20-POLY1305", Key, 32),
    ("AES-GCM-128-IIV", ImplicitIvKey, 16),
    ("CHACHA20-POLY1305-IIV", ImplicitIvKey, 32),
    ("AES-GMAC-128", GmacKey, 16),
)
_WITH_HMAC: tuple[tuple[str, type[Key], int], ...] = (
    ("AES-CBC-128", CbcKey, 48),
    ("AES-CBC-256", CbcKey, 64),
    ("NULL", NullKey, 32),
)

TRANSFORMS: dict[str, Callable[[int], Key]] = {
    **{name: _aead(name, kind, size) for name, kind, size in _AEADS},
    **{name: _plain(name, kind, size) for name, kind, size in _WITH_HMAC},
}
"""By name: a key for each number; no two numbers have the same one."""

VISIBLE = ("AES-GMAC-128", "NULL")
"""The transforms that encrypt nothing."""


@dataclass(frozen=True, slots=True)
class ScapyPeer:
    """The other end of an SA: tunnel mode between two addresses, or transport mode."""

    spi: int
    key: Key
    esn: bool = False
    tunnel: tuple[str, str] | None = None

    def seal(self, packet: bytes, seq: int) -> bytes:
        """The ESP packet around ``packet``; ``seq`` is the full number, its low half not zero."""
        high, low = divmod(seq, 1 << 32)
        iv_len = self.key.iv_len or self._explicit_len
        fields: dict[str, Any] = {"iv": seq.to_bytes(8).rjust(iv_len, b"\0")[:iv_len]}
        sealed = bytes(self._sa().encrypt(parsed(packet), seq_num=low, esn=high, **fields))
        return _without_iv(sealed) if self._implicit else sealed

    def open(self, packet: bytes, *, seq_high: int = 0) -> bytes:
        """What an ESP packet protects, or ``IPSecIntegrityError``."""
        received = _with_iv(packet, seq_high) if self._implicit else packet
        return bytes(self._sa().decrypt(parsed(received), esn=seq_high))

    @property
    def _implicit(self) -> bool:
        return isinstance(self.key, ImplicitIvKey)

    @property
    def _explicit_len(self) -> int:
        return EXPLICIT_IV_LEN if self._implicit else 0

    def _sa(self) -> SecurityAssociation:
        fields = _algorithms(self.key)
        if self.tunnel is not None:
            src, dst = self.tunnel
            fields["tunnel_header"] = (IPv6 if ":" in src else IP)(src=src, dst=dst)
        return SecurityAssociation(ESP, spi=self.spi, esn_en=self.esn, **fields)


def parsed(packet: bytes) -> IP | IPv6:
    """What scapy makes of a packet."""
    return IPv6(packet) if packet[0] >> 4 == 6 else IP(packet)


def _algorithms(key: Key) -> dict[str, Any]:
    if isinstance(key, NullKey):
        integrity = {"auth_algo": "SHA2-256-128", "auth_key": key.integrity}
        if isinstance(key, CbcKey):
            return {"crypt_algo": "AES-CBC", "crypt_key": key.secret[:-32], **integrity}
        return {"crypt_algo": "NULL", "crypt_key": None, **integrity}
    name = "CHACHA20-POLY1305" if key.chacha else "AES-GCM"
    if isinstance(key, GmacKey):
        name = "AES-NULL-GMAC"
    return {"crypt_algo": name, "crypt_key": key.secret + key.salt}


def _with_iv(packet: bytes, seq_high: int) -> bytes:
    """RFC 8750 3: an explicit IV equal to the sequence number gives the same octets."""
    at = _esp_at(packet)
    seq = packet[at + 4 : at + 8]
    iv = seq_high.to_bytes(4) + seq
    at += ESP_HEADER_LEN
    return resized(packet[:at] + iv + packet[at:])


def _without_iv(packet: bytes) -> bytes:
    at = _esp_at(packet) + ESP_HEADER_LEN
    return resized(packet[:at] + packet[at + EXPLICIT_IV_LEN :])


def _esp_at(packet: bytes) -> int:
    return protocol_at(packet)[1]
