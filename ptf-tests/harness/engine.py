"""A small crypto engine for the tests, written from the descriptor's description alone, so that
the pipeline is not judged by the engine of this project.  Frames in and out are whole frames of
the crypto port: Ethernet, descriptor, packet."""

from __future__ import annotations

import dataclasses
import os
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidTag

from harness.esp import Key, padding
from harness.frames import internet_checksum
from harness.ids import ETHERTYPE_CRYPTO, Status

ETHERNET_LEN = 14
LAYOUT = struct.Struct("!BBBBIQIIBBBBHBB")
BASE = ETHERNET_LEN + LAYOUT.size

SEAL = 0x01
OPEN = 0x02
REPLY = 0x80
FLAG_ESN = 0x01
FLAG_TRAILER = 0x02
FLAG_TRIM = 0x04
FLAG_FILL = 0x08

ICV_LENGTHS = (8, 12, 16, 24, 32)
NH_IPV4 = 4
NH_IPV6 = 41
NH_NONE = 59

Hook = Callable[[bytes], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The 32 octets in front of a packet on the crypto port; offsets count from behind them."""

    op: int
    flags: int
    status: int
    next_header: int
    key: int
    seq: int
    sa_generation: int
    space_pad: int
    aad_off: int
    aad_len: int
    iv_len: int
    ct_off: int
    plain_len: int
    icv_len: int
    align: int

    @classmethod
    def of(cls, frame: bytes) -> Descriptor:
        """The descriptor of a frame of the crypto port."""
        return cls(*LAYOUT.unpack_from(frame, ETHERNET_LEN))

    def pack(self) -> bytes:
        """The 32 octets."""
        return LAYOUT.pack(*dataclasses.astuple(self))

    @property
    def sa(self) -> int:
        """SA index."""
        return self.sa_generation >> 8

    @property
    def generation(self) -> int:
        """Generation of the SA."""
        return self.sa_generation & 0xFF

    @property
    def space(self) -> int:
        """Sequence space."""
        return self.space_pad >> 8

    @property
    def pad_len(self) -> int:
        """Pad length that the engine wrote or found."""
        return self.space_pad & 0xFF

    def answer(self, status: Status, **changes: int) -> Descriptor:
        """The same request, answered."""
        return dataclasses.replace(self, op=self.op | REPLY, status=status, **changes)


def frame_with(frame: bytes, **changes: int) -> bytes:
    """The same frame with other descriptor fields."""
    descriptor = dataclasses.replace(Descriptor.of(frame), **changes)
    return frame[:ETHERNET_LEN] + descriptor.pack() + frame[BASE:]


class EngineFaultError(Exception):
    """A packet the engine refuses, with the status to report."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.name)
        self.status = status


class EngineWatch(Protocol):
    """Who is told what the engine does."""

    def exchanged(self, request: bytes, reply: bytes | None) -> None:
        """A request and its answer."""

    def sealed(self, handle: int, key: Key, space: int, iv: bytes) -> None:
        """A nonce that was used."""


class TestEngine:
    """Keys by handle, and one answer for each request.

    It has no IV guard: what it seals is what the pipeline asked for, and ``watch`` is told so.
    """

    __test__ = False  # not a test class

    def __init__(self, watch: EngineWatch) -> None:
        self.keys: dict[int, Key] = {}
        self._watch = watch

    def answer(self, frame: bytes) -> list[bytes]:
        """The answer to one frame of the crypto port; none to what is no request."""
        reply = self._answer(frame)
        self._watch.exchanged(frame, reply)
        return [] if reply is None else [reply]

    def _answer(self, frame: bytes) -> bytes | None:
        if len(frame) < BASE or frame[12:14] != struct.pack("!H", ETHERTYPE_CRYPTO):
            return None
        request = Descriptor.of(frame)
        if request.op & REPLY or request.status != Status.REQUEST:
            return None
        try:
            return self._process(request, frame)
        except EngineFaultError as fault:
            return refusal(frame, fault.status)

    def _process(self, request: Descriptor, frame: bytes) -> bytes:
        key = self.keys.get(request.key)
        if key is None:
            raise EngineFaultError(Status.NO_KEY)
        if request.op == SEAL:
            return self._seal(request, frame, key)
        if request.op == OPEN:
            return _open(request, frame, key)
        raise EngineFaultError(Status.BAD_DESCRIPTOR)

    def _seal(self, request: Descriptor, frame: bytes, key: Key) -> bytes:
        head, payload = _split(request, frame)
        payload += bytes(request.plain_len - len(payload))  # TFC padding, RFC 4303 2.7
        pad = padding(request.plain_len, request.align)
        plaintext = payload + pad + bytes([len(pad), request.next_header])
        iv = request.seq.to_bytes(8) if request.iv_len == 0 else head[-request.iv_len :]
        if key.nonce:
            self._watch.sealed(request.key, key, request.space, iv)
        else:
            iv = os.urandom(request.iv_len)
            head = head[: len(head) - request.iv_len] + iv
        esn = bool(request.flags & FLAG_ESN)
        sealed = key.seal(_spi(request, frame), request.seq, iv, plaintext, esn=esn)
        packet = _with_udp_checksum(head + sealed, request.pad_len)
        space_pad = request.space << 8 | len(pad)
        descriptor = request.answer(Status.DONE, space_pad=space_pad)
        return frame[:ETHERNET_LEN] + descriptor.pack() + packet


def _split(request: Descriptor, frame: bytes) -> tuple[bytes, bytes]:
    """What stands before ``ct_off``, and the ``plain_len`` octets from there on."""
    start = BASE + request.ct_off
    payload = frame[start : start + request.plain_len]
    short = len(payload) != request.plain_len and not request.flags & FLAG_FILL
    if short or request.icv_len not in ICV_LENGTHS:
        raise EngineFaultError(Status.BAD_DESCRIPTOR)
    return frame[BASE:start], payload


def _spi(request: Descriptor, frame: bytes) -> int:
    return int.from_bytes(frame[BASE + request.aad_off : BASE + request.aad_off + 4])


def _with_udp_checksum(packet: bytes, udp: int) -> bytes:
    """RFC 8200 8.1: over IPv6 the UDP header at ``udp`` has a checksum; 0 is sent as FFFF."""
    if not udp:
        return packet
    datagram = packet[udp:]
    pseudo = packet[8:40] + struct.pack("!II", len(datagram), 17)
    octets = pseudo + datagram[:6] + b"\0\0" + datagram[8:]
    value = internet_checksum(octets + b"\0" * (len(octets) % 2)) or 0xFFFF
    return packet[: udp + 6] + struct.pack("!H", value) + packet[udp + 8 :]


def _open(request: Descriptor, frame: bytes, key: Key) -> bytes:
    head, sealed = _split(request, frame)
    iv = request.seq.to_bytes(8) if request.iv_len == 0 else head[-request.iv_len :]
    esn = bool(request.flags & FLAG_ESN)
    try:
        plaintext = key.open(_spi(request, frame), request.seq, iv, sealed, esn=esn)
    except InvalidTag:
        raise EngineFaultError(Status.BAD_ICV) from None
    payload, pad_len, next_header = strip_trailer(plaintext)
    if request.flags & FLAG_TRIM:
        payload = _trim(payload, next_header)
    descriptor = request.answer(
        Status.DONE,
        next_header=next_header,
        plain_len=len(payload),
        space_pad=request.space << 8 | pad_len,
    )
    return frame[:ETHERNET_LEN] + descriptor.pack() + head + payload


def strip_trailer(plaintext: bytes) -> tuple[bytes, int, int]:
    """Payload, pad length and next header (RFC 4303 2.4 to 2.6); checks the padding."""
    pad_len, next_header = plaintext[-2:]
    end = len(plaintext) - 2 - pad_len
    if end < 0 or (end == 0 and next_header != NH_NONE):
        raise EngineFaultError(Status.BAD_PADLEN)
    if plaintext[end:-2] != bytes(range(1, pad_len + 1)):
        raise EngineFaultError(Status.BAD_PAD)
    return plaintext[:end], pad_len, next_header


def _trim(payload: bytes, next_header: int) -> bytes:
    """Cuts TFC padding (RFC 4303 2.7) by the inner packet's own length."""
    if next_header == NH_IPV4:
        header_len, version, offset, extra = 20, 4, 2, 0
    elif next_header == NH_IPV6:
        header_len, version, offset, extra = 40, 6, 4, 40
    else:
        return payload
    if len(payload) < header_len or payload[0] >> 4 != version:
        raise EngineFaultError(Status.BAD_INNER)
    length = int.from_bytes(payload[offset : offset + 2]) + extra
    if not header_len <= length <= len(payload):
        raise EngineFaultError(Status.BAD_INNER)
    return payload[:length]


def refusal(frame: bytes, status: Status) -> bytes:
    """An error answer: no octet from ``ct_off`` on travels in it."""
    request = Descriptor.of(frame)
    head = frame[BASE : BASE + request.ct_off]
    return frame[:ETHERNET_LEN] + request.answer(status).pack() + head
