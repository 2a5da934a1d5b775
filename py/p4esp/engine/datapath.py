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

from p4esp.engine.descriptor import REPLY_BIT, Op, Status
from p4esp.engine.formats import format_opener, format_sealer
from p4esp.engine.guard import NonceGuard
from p4esp.engine.keystore import KeyEntry
from p4esp.engine.replies import seal_reply
from p4esp.engine.shape import Constant, Shape, shape_of
from p4esp.engine.steps import Handler, Job, Parts, Refuse, with_open_steps, with_seal_steps
from p4esp.engine.trailer import BYTE, inner_length, trailer_fault

_NO_HIGH_HALF: Final = bytes(4)


class SealEvent(NamedTuple):
    """One IV that was used: (``key_id``, ``iv``) names it without giving the key away.

    With CBC it is the IV that the engine drew, 128 bits. A NULL cipher has none: no event.
    """

    handle: int
    space: int
    key_id: bytes
    iv: int


OnSealed = Callable[[SealEvent], None]


class KeyPath:
    """The data path of one key; ``handle`` serves the shape seen last.

    ``publish`` is told of a new handler, so that the engine can call it without a detour.
    ``random_bytes`` makes IVs that must be unpredictable.
    """

    #: Shapes kept at a time. An SA has one or two for each of its sequence spaces.
    LIMIT: Final = 1024

    def __init__(
        self,
        entry: KeyEntry,
        refuse: Refuse,
        publish: Callable[[KeyEntry, Handler], None],
        random_bytes: Callable[[int], bytes],
        on_sealed: OnSealed | None,
    ) -> None:
        self._entry, self._refuse, self._publish = entry, refuse, publish
        self._random_bytes, self._on_sealed = random_bytes, on_sealed
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
        job = Job(self._entry, shape, self._refuse, self.handle)
        if shape.op == Op.OPEN:
            open_ = _opener(job) if shape.is_plain else format_opener(job)
            return with_open_steps(job, open_)
        if self._entry.guard is not None:
            make = _sealer if shape.is_plain else format_sealer
            return with_seal_steps(job, make(job, self._take(self._entry.guard, shape.space)))
        return with_seal_steps(job, _iv_writing_sealer(job, self._draw(shape.space)))

    def _take(self, guard: NonceGuard, space: int) -> Callable[[int], bool]:
        if self._on_sealed is None:
            return guard.take
        report = self._reporter(self._on_sealed, space)

        def take_and_report(iv: int) -> bool:
            taken = guard.take(iv)
            if taken:
                report(iv)
            return taken

        return take_and_report

    def _draw(self, space: int) -> Callable[[], bytes]:
        """Draw an IV for the unguarded transforms: unpredictable with CBC, empty with NULL."""
        random_bytes, length = self._random_bytes, self._entry.transform.iv_len
        if self._on_sealed is None or not length:
            return lambda: random_bytes(length)
        report = self._reporter(self._on_sealed, space)

        def draw_and_report() -> bytes:
            iv = random_bytes(length)
            report(int.from_bytes(iv, "big"))
            return iv

        return draw_and_report

    def _reporter(self, on_sealed: OnSealed, space: int) -> Callable[[int], None]:
        handle, key_id = self._entry.handle, self._entry.key_id
        return lambda iv: on_sealed(SealEvent(handle, space, key_id, iv))


def is_request(frame: bytes) -> bool:
    """Tell whether a frame of at least 46 bytes may be answered at all."""
    return frame[12:14] == b"\x88\xb5" and not frame[14] & REPLY_BIT and frame[16] == 0xFF


def _sealer(job: Job, take: Callable[[int], bool]) -> Handler:
    """Seal under an IV of the request or of the sequence number, once the guard let it pass."""
    entry, shape, refuse, other_shape = job
    start, middle, tail = shape.constant
    aad_at, text, esn, mask = shape.aad_at, shape.text_at, shape.esn, shape.pad_mask
    explicit_iv = entry.transform.iv_len != 0
    encrypt, salt, from_bytes, join = entry.aead.encrypt, entry.salt, int.from_bytes, b"".join
    done, trailers, middles = seal_reply(job)

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


def _iv_writing_sealer(job: Job, draw: Callable[[], bytes]) -> Handler:
    """Seal under an IV of the engine's own, which stands in the reply in the place of another."""
    entry, shape, refuse, other_shape = job
    start, middle, tail = shape.constant
    aad_at, text, esn, mask = shape.aad_at, shape.text_at, shape.esn, shape.pad_mask
    iv_at, tail_len = text - entry.transform.iv_len, shape.tail_len
    encrypt, join = entry.aead.encrypt, b"".join
    done, trailers, middles = seal_reply(job)

    def seal(frame: bytes, parts: Parts) -> bytes | None:
        its_start, _, seq, its_middle, plain_len, its_tail = parts
        if its_middle != middle or its_start != start or its_tail != tail:
            return other_shape(frame, parts)
        end = text + plain_len
        if end > len(frame) or (not esn and seq[:4] != _NO_HIGH_HALF):
            return refuse(frame, entry, Status.BAD_DESCRIPTOR)
        aad = frame[aad_at : aad_at + 4] + seq if esn else frame[aad_at : aad_at + 8]
        pad, iv = -(plain_len + tail_len) & mask, draw()
        sealed = encrypt(iv, frame[text:end] + trailers[pad], aad)
        entry.packets += 1
        entry.octets += plain_len
        return join((frame[:14], done, seq, middles[pad], frame[42:iv_at], iv, sealed))

    return seal


def _opener(job: Job) -> Handler:
    entry, shape, refuse, other_shape = job
    start, middle, tail = shape.constant
    aad_at, text, esn = shape.aad_at, shape.text_at, shape.esn
    trailer, trim, iv_len = shape.trailer, shape.trim, entry.transform.iv_len
    iv_at, min_len = text - iv_len, entry.transform.icv_len + (2 if trailer else 0)
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
        iv = frame[iv_at:text] if iv_len else seq
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
