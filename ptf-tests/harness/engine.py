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

from harness import engine_formats as formats
from harness.engine_formats import FLAG_ESN, FLAG_FILL, FLAG_TIH, FLAG_TRAILER, FLAG_TRIM, NH_NONE
from harness.esp import Key
from harness.frames import internet_checksum
from harness.ids import ETHERTYPE_CRYPTO, EngineFaultError, Status

ETHERNET_LEN = 14
LAYOUT = struct.Struct("!BBBBIQIIBBBBHBB")
BASE = ETHERNET_LEN + LAYOUT.size

SEAL = 0x01
OPEN = 0x02
REPLY = 0x80

ICV_LENGTHS = (8, 12, 16, 24, 32)
NH_IPV4 = 4
NH_IPV6 = 41

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
        nature = (request.flags, payload, request.align, request.next_header)
        plaintext, pad_len = formats.plaintext(*nature)
        iv = _iv(request, head)
        if key.nonce:
            self._watch.sealed(request.key, key, request.space, iv)
        else:
            iv = os.urandom(request.iv_len)
            head = head[: len(head) - request.iv_len] + iv
        sealed = _sealed(request, head, key, iv, plaintext)
        packet = _with_udp_checksum(head + sealed, request.pad_len)
        space_pad = request.space << 8 | pad_len
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


def _iv(request: Descriptor, head: bytes) -> bytes:
    if request.iv_len == 0:
        return request.seq.to_bytes(8)
    header_end = request.aad_off + request.aad_len
    places = (request.flags, header_end, request.ct_off, request.iv_len)
    start = formats.iv_at(*places)
    return head[start : start + request.iv_len]


def _aad(request: Descriptor, head: bytes) -> bytes | None:
    """What is authenticated beside the text; None: what RFC 4303 has."""
    if request.aad_len == formats.AAD_LEN and not request.flags & formats.FLAG_SHOWN:
        return None
    shown = bool(request.flags & formats.FLAG_SHOWN)
    length = request.ct_off - request.aad_off if shown else request.aad_len
    return formats.additional_data(request.flags, head, request.aad_off, length, request.seq)


def _sealed(request: Descriptor, head: bytes, key: Key, iv: bytes, plaintext: bytes) -> bytes:
    aad, spi = _aad(request, head), _spi(request, head)
    if aad is not None:
        return key.aead().encrypt(key.salt + iv, plaintext, aad)
    esn = bool(request.flags & FLAG_ESN)
    return key.seal(spi, request.seq, iv, plaintext, esn=esn)


def _opened(request: Descriptor, head: bytes, key: Key, sealed: bytes) -> bytes:
    aad, spi, iv = _aad(request, head), _spi(request, head), _iv(request, head)
    if aad is not None:
        return key.aead().decrypt(key.salt + iv, sealed, aad)
    esn = bool(request.flags & FLAG_ESN)
    return key.open(spi, request.seq, iv, sealed, esn=esn)


def _spi(request: Descriptor, head: bytes) -> int:
    return int.from_bytes(head[request.aad_off : request.aad_off + 4])


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
    try:
        plaintext = _opened(request, head, key, sealed)
    except InvalidTag:
        raise EngineFaultError(Status.BAD_ICV) from None
    payload, pad_len, next_header = _stripped(request, head, plaintext)
    descriptor = request.answer(
        Status.DONE,
        next_header=next_header,
        plain_len=len(payload),
        space_pad=request.space << 8 | pad_len,
    )
    return frame[:ETHERNET_LEN] + descriptor.pack() + head + payload


def _stripped(request: Descriptor, head: bytes, text: bytes) -> tuple[bytes, int, int]:
    """Text without padding and trailer, pad length and next header."""
    if not request.flags & (FLAG_TRAILER | FLAG_TIH | FLAG_TRIM):
        return text, 0, request.next_header
    if not request.flags & (FLAG_TRAILER | FLAG_TIH):
        packet, next_header = formats.by_own_length(
            text, request.align, filled=bool(request.flags & FLAG_FILL)
        )
        return packet, 0, next_header
    shown = _shown(request, head)
    if request.flags & FLAG_TRAILER:
        payload, pad_len, next_header = strip_trailer(text, nothing=bool(shown))
        inside = 0
    else:
        at = formats.information(
            *(request.flags, request.aad_off, request.aad_len, request.ct_off, request.iv_len)
        )
        inside = formats.TIH_LEN if at == request.ct_off else 0
        tih = text[:inside] or head[at : at + formats.TIH_LEN]
        payload, pad_len, next_header = formats.without_padding(
            tih, text, inside, nothing=bool(shown)
        )
    if request.flags & FLAG_TRIM:
        whole = _trim(shown + payload[inside:], next_header)
        payload = payload[:inside] + whole[len(shown) :]
    return payload, pad_len, next_header


def _shown(request: Descriptor, head: bytes) -> bytes:
    """What of the payload stands in clear in front of the text."""
    if not request.flags & formats.FLAG_SHOWN:
        return b""
    start = request.aad_off + request.aad_len + request.iv_len
    return head[start + (formats.TIH_LEN if request.flags & FLAG_TIH else 0) :]


def strip_trailer(plaintext: bytes, *, nothing: bool = False) -> tuple[bytes, int, int]:
    """Payload, pad length and next header (RFC 4303 2.4 to 2.6); checks the padding.

    ``nothing``: no payload is a payload.
    """
    pad_len, next_header = plaintext[-2:]
    end = len(plaintext) - 2 - pad_len
    if end < 0 or (end == 0 and next_header != NH_NONE and not nothing):
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
