"""The 32-byte crypto descriptor that switch and engine exchange (docs/crypto-port.md, section 3).

A frame on the crypto port is ``Ethernet (14) | descriptor (32) | packet``. Offsets in the
descriptor count from the first byte of the packet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag
from typing import Final

ETHERTYPE: Final = 0x88B5
ETHERNET_LEN: Final = 14
DESCRIPTOR_LEN: Final = 32
BASE: Final = ETHERNET_LEN + DESCRIPTOR_LEN
REPLY_BIT: Final = 0x80
AUTHENTIC_BIT: Final = 0x40

_DESCRIPTOR: Final = struct.Struct(">BBBBIQIIBBBBHBB")
#: A whole frame for the fast path, in six pieces: ethertype to nh, key, seq, sa to ct_off,
#: plain_len (a number), icv and align.
FRAME_PARTS: Final = struct.Struct(">12x6s4s8s12sH2s")


class Op(IntEnum):
    """What the engine is asked to do; a reply carries ``op | REPLY_BIT``."""

    SEAL = 1
    OPEN = 2


class Flag(IntFlag):
    """Descriptor flags.

    MODE is two bits of the pipeline's own, which the engine returns as they came.
    """

    ESN = 0x01
    TRAILER = 0x02
    TRIM = 0x04
    FILL = 0x08
    MODE = 0x30
    SHOWN = 0x40
    TIH = 0x80


class Status(IntEnum):
    """Result of a request. With bit 0x40 the packet was authentic: its number is consumed."""

    DONE = 0x00
    BAD_ICV = 0x01
    NO_KEY = 0x02
    STALE_GEN = 0x03
    NONCE_REFUSED = 0x04
    BAD_DESCRIPTOR = 0x05
    OVERLOAD = 0x06
    BAD_PADLEN = 0x41
    BAD_PAD = 0x42
    BAD_INNER = 0x43
    REQUEST = 0xFF


class DescriptorError(ValueError):
    """Bytes or values that are no crypto descriptor."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One descriptor, field by field in wire order; lengths and offsets are in bytes.

    ``key`` is the engine's handle, ``sa`` (24 bits) and ``gen`` (8 bits) name the SA entry,
    ``space`` (24 bits) its sequence space, ``seq`` the full 64-bit sequence number. ``pad`` is in
    a seal request the offset of a UDP header or 0, in replies the number of padding bytes.
    """

    op: int
    key: int
    seq: int
    plain_len: int
    ct_off: int
    flags: int = Flag.TRAILER
    status: int = Status.REQUEST
    nh: int = 0
    sa: int = 0
    gen: int = 0
    space: int = 0
    pad: int = 0
    aad_off: int = 0
    aad_len: int = 8
    iv_len: int = 8
    icv: int = 16
    align: int = 4

    def encode(self) -> bytes:
        """The 32 bytes on the wire.

        Raises DescriptorError when a value does not fit its field.
        """
        if not 0 <= self.sa < 1 << 24 or not 0 <= self.space < 1 << 24:
            raise DescriptorError(
                f"sa {self.sa} and space {self.space} must fit 24 bits (0..16777215)"
            )
        try:
            return self._pack()
        except struct.error as error:
            raise DescriptorError(f"value outside its field ({error}): {self}") from error

    def _pack(self) -> bytes:
        if not 0 <= self.gen <= 0xFF or not 0 <= self.pad <= 0xFF:
            raise DescriptorError(f"gen {self.gen} and pad {self.pad} must fit 8 bits (0..255)")
        return _DESCRIPTOR.pack(
            *(self.op, self.flags, self.status, self.nh, self.key, self.seq),
            *(self.sa << 8 | self.gen, self.space << 8 | self.pad),
            *(self.aad_off, self.aad_len, self.iv_len, self.ct_off),
            *(self.plain_len, self.icv, self.align),
        )

    @classmethod
    def decode(cls, data: bytes) -> Descriptor:
        """Read the first 32 bytes of ``data``; DescriptorError when there are fewer."""
        if len(data) < DESCRIPTOR_LEN:
            raise DescriptorError(
                f"descriptor of {len(data)} bytes, {DESCRIPTOR_LEN} bytes are needed"
            )
        (op, flags, status, nh, key, seq, sa_gen, space_pad) = (words := _unpack(data))[:8]
        (aad_off, aad_len, iv_len, ct_off, plain_len, icv, align) = words[8:]
        return cls(
            *(op, key, seq, plain_len, ct_off, flags, status, nh),
            *(sa_gen >> 8, sa_gen & 0xFF, space_pad >> 8, space_pad & 0xFF),
            *(aad_off, aad_len, iv_len, icv, align),
        )

    def reply(self, status: Status) -> Descriptor:
        """This request answered with ``status``, everything else unchanged."""
        return replace(self, op=self.op | REPLY_BIT, status=status)


def _unpack(data: bytes) -> tuple[int, ...]:
    return _DESCRIPTOR.unpack_from(data)


@dataclass(frozen=True, slots=True)
class CryptoFrame:
    """A whole frame on the crypto port: 14 bytes of Ethernet, descriptor, packet."""

    ethernet: bytes
    descriptor: Descriptor
    packet: bytes

    def encode(self) -> bytes:
        """The frame on the wire."""
        return self.ethernet + self.descriptor.encode() + self.packet

    @classmethod
    def decode(cls, frame: bytes) -> CryptoFrame:
        """Split a frame; DescriptorError when it is short or of another ethertype."""
        if len(frame) < BASE:
            raise DescriptorError(f"frame of {len(frame)} bytes, at least {BASE} are needed")
        ethertype = int.from_bytes(frame[12:14], "big")
        if ethertype != ETHERTYPE:
            raise DescriptorError(f"ethertype {ethertype:#06x}, the crypto port has {ETHERTYPE:#x}")
        descriptor = Descriptor.decode(frame[ETHERNET_LEN:BASE])
        return cls(frame[:ETHERNET_LEN], descriptor, frame[BASE:])
