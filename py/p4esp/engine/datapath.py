"""Seal and open: one function for each installed key and shape of its requests.

Everything but sequence number, length and packet is the same for all packets of an SA. So the
first request is checked in full, and a function made for its shape compares the constant pieces
of the following ones with three comparisons. These functions run for every packet, which is why
they are longer than the rest of the package: in Python a call costs as much as three statements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag

from p4esp.engine.descriptor import REPLY_BIT, Status
from p4esp.engine.guard import NonceGuard
from p4esp.engine.keystore import KeyEntry
from p4esp.engine.shape import Constant, Shape, shape_of
from p4esp.engine.trailer import BYTE, TAIL, inner_length, trailer_fault

#: A frame cut by ``descriptor.FRAME_PARTS``: start, key, seq, middle, plain_len, tail.
Parts = tuple[bytes, bytes, bytes, bytes, int, bytes]
#: Takes a frame and its parts; returns the reply, None when the frame is no request.
Handler = Callable[[bytes, Parts], bytes | None]
#: Takes a frame, its key and a status (None: find out which); returns the error reply.
Refuse = Callable[[bytes, KeyEntry | None, Status | None], bytes | None]

_NO_HIGH_HALF: Final = bytes(4)


class SealEvent(NamedTuple):
    """One nonce that was used: (``key_id``, ``iv``) names it without giving the key away."""

    handle: int
    space: int
    key_id: bytes
    iv: int


OnSealed = Callable[[SealEvent], None]


class KeyPath:
    """The data path of one key; ``handle`` serves the shape seen last.

    ``publish`` is told of a new handler, so that the engine can call it without a detour.
    """

    #: Shapes kept at a time. An SA has one or two for each of its sequence spaces.
    LIMIT: Final = 256

    def __init__(
        self,
        entry: KeyEntry,
        refuse: Refuse,
        on_sealed: OnSealed | None,
        publish: Callable[[KeyEntry, Handler], None],
    ) -> None:
        self._entry, self._refuse = entry, refuse
        self._on_sealed, self._publish = on_sealed, publish
        self._handlers: dict[Constant, Handler] = {}

    def handle(self, frame: bytes, parts: Parts) -> bytes | None:
        """Serve a frame whose shape is not the last one's."""
        constant = Constant(parts[0], parts[3], parts[5])
        handler = self._handlers.get(constant) or self._learn(frame, constant)
        if handler is None:
            return self._refuse(frame, self._entry, None)
        self._publish(self._entry, handler)
        return handler(frame, parts)

    def _learn(self, frame: bytes, constant: Constant) -> Handler | None:
        shape = shape_of(self._entry, constant) if is_request(frame) else None
        if shape is None:
            return None
        if len(self._handlers) >= self.LIMIT:
            self._handlers.clear()
        handler = self._handlers[constant] = self._handler_for(shape)
        return handler

    def _handler_for(self, shape: Shape) -> Handler:
        if self._entry.guard is None:
            return _opener(self._entry, shape, self._refuse, self.handle)
        take = self._take(self._entry.guard, shape.space)
        return _sealer(self._entry, shape, take, self._refuse, self.handle)

    def _take(self, guard: NonceGuard, space: int) -> Callable[[int], bool]:
        if (on_sealed := self._on_sealed) is None:
            return guard.take
        handle, key_id = self._entry.handle, guard.key_id

        def take_and_report(iv: int) -> bool:
            taken = guard.take(iv)
            if taken:
                on_sealed(SealEvent(handle, space, key_id, iv))
            return taken

        return take_and_report


def is_request(frame: bytes) -> bool:
    """Tell whether a frame of at least 46 bytes may be answered at all."""
    return frame[12:14] == b"\x88\xb5" and not frame[14] & REPLY_BIT and frame[16] == 0xFF


def _sealer(
    entry: KeyEntry,
    shape: Shape,
    take: Callable[[int], bool],
    refuse: Refuse,
    other_shape: Handler,
) -> Handler:
    start, middle, tail = shape.constant
    aad_at, text, esn = shape.aad_at, shape.text_at, shape.esn
    explicit_iv, mask = entry.transform.iv_len != 0, shape.align - 1 if shape.trailer else 0
    encrypt, salt, from_bytes, join = entry.aead.encrypt, entry.salt, int.from_bytes, b"".join
    done = bytes((shape.op | REPLY_BIT, shape.flags, Status.DONE, shape.nh))
    done += entry.handle.to_bytes(4, "big")
    trailers = [TAIL[pad] + BYTE[shape.nh] if shape.trailer else b"" for pad in range(mask + 1)]
    middles = [middle[:7] + BYTE[pad] + middle[8:] for pad in range(mask + 1)]

    def seal(frame: bytes, parts: Parts) -> bytes | None:
        its_start, _, seq, its_middle, plain_len, its_tail = parts
        if its_middle != middle or its_start != start or its_tail != tail:
            return other_shape(frame, parts)
        end = text + plain_len
        if end > len(frame) or (not esn and seq[:4] != _NO_HIGH_HALF):
            return refuse(frame, entry, Status.BAD_DESCRIPTOR)
        iv = frame[text - 8 : text] if explicit_iv else seq
        if not take(from_bytes(iv, "big")):
            return refuse(frame, entry, Status.NONCE_REFUSED)
        aad = frame[aad_at : aad_at + 4] + seq if esn else frame[aad_at : aad_at + 8]
        pad = -(plain_len + 2) & mask
        sealed = encrypt(salt + iv, frame[text:end] + trailers[pad], aad)
        entry.packets += 1
        entry.octets += plain_len
        return join((frame[:14], done, seq, middles[pad], frame[42:text], sealed))

    return seal


def _opener(entry: KeyEntry, shape: Shape, refuse: Refuse, other_shape: Handler) -> Handler:
    start, middle, tail = shape.constant
    aad_at, text, esn = shape.aad_at, shape.text_at, shape.esn
    trailer, trim, explicit_iv = shape.trailer, shape.trim, entry.transform.iv_len != 0
    min_len = entry.transform.icv_len + (2 if trailer else 0)
    decrypt, salt, join = entry.aead.decrypt, entry.salt, b"".join
    done = bytes((shape.op | REPLY_BIT, shape.flags, Status.DONE))

    def open_(frame: bytes, parts: Parts) -> bytes | None:
        its_start, _, seq, its_middle, sealed_len, its_tail = parts
        if its_middle != middle or its_start != start or its_tail != tail:
            return other_shape(frame, parts)
        end = text + sealed_len
        too_long = end > len(frame) or (not esn and seq[:4] != _NO_HIGH_HALF)
        if too_long or sealed_len < min_len:
            return refuse(frame, entry, Status.BAD_DESCRIPTOR)
        iv = frame[text - 8 : text] if explicit_iv else seq
        aad = frame[aad_at : aad_at + 4] + seq if esn else frame[aad_at : aad_at + 8]
        try:
            plain = decrypt(salt + iv, frame[text:end], aad)
        except InvalidTag:
            return refuse(frame, entry, Status.BAD_ICV)
        size, nh, pad = len(plain), shape.nh, 0
        if trailer:
            if fault := trailer_fault(plain):
                return refuse(frame, entry, fault)
            pad, nh = plain[-2], plain[-1]
            size -= pad + 2
            if trim and (size := inner_length(nh, plain, size)) < 0:
                return refuse(frame, entry, Status.BAD_INNER)
        entry.packets += 1
        entry.octets += size
        head = (frame[:14], done, BYTE[nh], frame[18:37], BYTE[pad], frame[38:42])
        return join((*head, size.to_bytes(2, "big"), frame[44:text], plain[:size]))

    return open_
