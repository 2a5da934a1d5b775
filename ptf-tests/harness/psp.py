"""PSP (google/psp) by hand: the key of an SPI, packets with every header bit under the test's
control, and an engine's key that is a pair of master keys.

Written from the digest alone, with AES-CMAC and AES-GCM of ``cryptography``; it is judged by the
known keys and packets (VH1 to VH3).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import ClassVar

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

from harness.esp import ALIGN, ICV_LEN, Key

UDP_PORT = 1000
UDP_LEN, BASE_LEN, COOKIE_LEN = 8, 16, 8
FLOW_PORTS = range(49152, 49408)
"""Source ports by which our packets tell flows apart."""
KNOWN_MASTERS = tuple(
    bytes.fromhex(octets)
    for octets in (
        "34448a064292601b11a0978f56a2d34cf3fc35ede1a6bc04f8db3e5243a2b0ca",
        "563952565d3a78ae773ec1b779f2f2d99f4a7f53a6fbb9b07d5b71f39364d739",
    )
)
KNOWN_KEYS = {
    (0x1A345678, 0): "3fe9b90602a41ce17e20971810e9a6a0",
    (0x9A345678, 0): "3946da2554eae46ad1ef77a64372edc4",
    (0x1A345678, 1): "184eecc110d0ecfcf85e6f7c9eedab4d21122fb2d2b8c344af3a1c38d0b6adfd",
    (0x9A345678, 1): "fa00f609df6020289a1c93d6027081a637ad45b24a5576b36e6f49dd43114d80",
}
"""By SPI and version."""


def key_of(masters: tuple[bytes, ...], spi: int, version: int = 0) -> Key:
    """What the sender under an SPI has: SP 800-108 with AES-256-CMAC, and the SPI for a salt."""
    bits = 128 << version
    label = b"Pv" + str(version).encode() + b"\0"
    key = b""
    for counter in range(1, bits // 128 + 1):
        mac = CMAC(AES(masters[spi >> 31]))
        mac.update(struct.pack("!I4sII", counter, label, spi, bits))
        key += mac.finalize()
    return Key(key, spi.to_bytes(4))


@dataclass(frozen=True, slots=True)
class Masters(Key):
    """A receiver's pair in an engine: which key opens a packet is for its SPI to say.

    ``secret`` is both, ``salt`` is empty.
    """

    version: int = 0

    iv_len: ClassVar[int] = 8
    icv_len: ClassVar[int] = ICV_LEN
    align: ClassVar[int] = ALIGN

    @classmethod
    def of(cls, masters: tuple[bytes, ...], version: int = 0) -> Masters:
        """From two master keys."""
        return cls(b"".join(masters), b"", version=version)

    def aead(self) -> Masters:  # type: ignore[override]
        """Itself."""
        return self

    def decrypt(self, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
        """As AESGCM does it, with what the SPI in ``aad`` says in front of the IV."""
        pair = self.secret[:32], self.secret[32:]
        key = key_of(pair, int.from_bytes(aad[4:8]), self.version)
        return AESGCM(key.secret).decrypt(aad[4:8] + iv, sealed, aad)


@dataclass(frozen=True, slots=True)
class PspPacket:
    """One packet; ``units`` is the crypt offset.  None: what agrees with the rest."""

    spi: int
    iv: int
    payload: bytes
    next_header: int = 4
    units: int = 0
    cookie: int | None = None
    version: int = 0
    ext_len: int | None = None
    present: int | None = None
    reserved: int = 0
    sample: int = 0
    drop: int = 0
    one: int = 1

    def base(self) -> bytes:
        """The first 16 octets."""
        has = int(self.cookie is not None)
        ext_len = 1 + has if self.ext_len is None else self.ext_len
        present = has if self.present is None else self.present
        flags = self.sample << 7 | self.drop << 6 | self.version << 2 | present << 1 | self.one
        first = bytes([self.next_header, ext_len, self.reserved << 6 | self.units, flags])
        return first + struct.pack("!IQ", self.spi, self.iv)

    def behind(self) -> bytes:
        """What the crypt offset counts: cookie and payload."""
        return (b"" if self.cookie is None else self.cookie.to_bytes(8)) + self.payload

    def sealed(self, key: Key) -> bytes:
        """From the base header to the ICV."""
        shown = 4 * self.units
        head = self.base() + self.behind()[:shown]
        nonce = self.spi.to_bytes(4) + self.iv.to_bytes(8)
        return head + AESGCM(key.secret).encrypt(nonce, self.behind()[shown:], head)


def opened(octets: bytes, key: Key) -> PspPacket:
    """The packet, or InvalidTag; AssertionError for what no sender may send."""
    next_header, ext_len, offset, flags = octets[:4]
    spi, iv = struct.unpack_from("!IQ", octets, 4)
    start = BASE_LEN + 4 * (offset & 0x3F)
    assert start + ICV_LEN <= len(octets), "more is shown than there is"
    text = AESGCM(key.secret).decrypt(octets[4:16], octets[start:], octets[:start])
    whole = octets[BASE_LEN:start] + text
    present = flags >> 1 & 1
    cookie = int.from_bytes(whole[:COOKIE_LEN]) if present else None
    packet = PspPacket(
        *(spi, iv, whole[COOKIE_LEN * present :], next_header, offset & 0x3F, cookie),
        version=flags >> 2 & 0xF,
    )
    assert packet.base() == octets[:BASE_LEN], f"{octets[:16].hex()}: {packet}"
    assert ext_len == 1 + present
    return packet


def in_udp(octets: bytes, sport: int = FLOW_PORTS[0], *, checksum: int = 0) -> bytes:
    """Behind a UDP header."""
    return struct.pack("!HHHH", sport, UDP_PORT, UDP_LEN + len(octets), checksum) + octets


def out_of_udp(datagram: bytes) -> tuple[int, bytes]:
    """Source port and PSP of a datagram that is as it must be."""
    sport, dport, length, checksum = struct.unpack_from("!HHHH", datagram)
    assert (dport, length, checksum) == (UDP_PORT, len(datagram), 0), datagram[:8].hex()
    return sport, datagram[UDP_LEN:]
