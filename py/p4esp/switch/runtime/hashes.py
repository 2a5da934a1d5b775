"""Hash and checksum algorithms of v1model.

Every function takes the concatenated input as an integer of ``width`` bits, and an optional
payload that follows it; a last partial byte is filled up with zero bits, as bmv2 does.
"""

from __future__ import annotations

import binascii
import zlib

_CRC16_POLYNOMIAL = 0xA001  # 0x8005 reflected


def _octets(bits: int, width: int, payload: bytes) -> bytes:
    size = (width + 7) // 8
    return (bits << (8 * size - width)).to_bytes(size, "big") + payload


def _crc16_table() -> tuple[int, ...]:
    table = []
    for octet in range(256):
        remainder = octet
        for _ in range(8):
            remainder = remainder >> 1 ^ (_CRC16_POLYNOMIAL if remainder & 1 else 0)
        table.append(remainder)
    return tuple(table)


_CRC16 = _crc16_table()


def crc16(bits: int, width: int, payload: bytes = b"") -> int:
    """CRC-16/ARC: polynomial 0x8005, reflected, starts at 0."""
    remainder = 0
    for octet in _octets(bits, width, payload):
        remainder = remainder >> 8 ^ _CRC16[(remainder ^ octet) & 0xFF]
    return remainder


def crc32(bits: int, width: int, payload: bytes = b"") -> int:
    """CRC-32 of Ethernet (ISO-HDLC)."""
    return zlib.crc32(_octets(bits, width, payload))


def crc_ccitt(bits: int, width: int, payload: bytes = b"") -> int:
    """CRC-16/CCITT-FALSE: polynomial 0x1021, starts at 0xFFFF."""
    return binascii.crc_hqx(_octets(bits, width, payload), 0xFFFF)


def csum16(bits: int, width: int, payload: bytes = b"") -> int:
    """The Internet checksum (RFC 1071)."""
    octets = _octets(bits, width, payload)
    total = int.from_bytes(octets + b"\0" * (len(octets) % 2), "big")
    return 65534 - (total - 1) % 65535 if total else 65535


def identity(bits: int, width: int, payload: bytes = b"") -> int:
    """The first 8 bytes as an integer."""
    return int.from_bytes(_octets(bits, width, payload)[:8], "big")


def xor16(bits: int, width: int, payload: bytes = b"") -> int:
    """The exclusive or of all 16-bit words."""
    return _xor_words(_octets(bits, width, payload), 2)


def xor32(bits: int, width: int, payload: bytes = b"") -> int:
    """The exclusive or of all 32-bit words."""
    return _xor_words(_octets(bits, width, payload), 4)


def _xor_words(octets: bytes, size: int) -> int:
    result = 0
    for start in range(0, len(octets), size):
        result ^= int.from_bytes(octets[start : start + size].ljust(size, b"\0"), "big")
    return result


BY_NAME = {
    "crc16": crc16,
    "crc16_custom": crc16,
    "crc32": crc32,
    "crc32_custom": crc32,
    "crcCCITT": crc_ccitt,
    "csum16": csum16,
    "cksum16": csum16,
    "identity": identity,
    "xor16": xor16,
    "xor32": xor32,
}
"""Algorithms by the JSON's names; the custom CRCs have bmv2's start configuration."""
