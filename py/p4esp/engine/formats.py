"""Seal and open for the formats that are not RFC 4303's (docs/crypto-port.md, section 3).

Header and AAD may be longer than SPI and sequence number, clear bytes of the packet may stand
between header and text, and the text may end otherwise. ``datapath`` serves plain ESP, which pays
for none of that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag

from p4esp.engine.descriptor import REPLY_BIT, Status
from p4esp.engine.endings import reader_of
from p4esp.engine.replies import seal_reply
from p4esp.engine.steps import Handler, Job, Parts
from p4esp.engine.trailer import BYTE

_NO_HIGH_HALF: Final = bytes(4)


def format_sealer(job: Job, take: Callable[[int], bool]) -> Handler:
    """Seal under an IV of the request or of the sequence number, once the guard let it pass."""
    entry, shape, refuse, other_shape = job
    start, middle, tail = shape.constant
    text, iv_at, iv_end = shape.text_at, shape.iv_at, shape.iv_at + shape.iv_len
    mask, tail_len, least = shape.pad_mask, shape.tail_len, shape.least_text
    explicit_iv, any_number, aad_of = shape.iv_len != 0, shape.any_number, _aad_of(job)
    encrypt, salt, from_bytes, join = entry.aead.encrypt, entry.salt, int.from_bytes, b"".join
    done, endings, middles = seal_reply(job)

    def seal(frame: bytes, parts: Parts) -> bytes | None:
        its_start, _, seq, its_middle, plain_len, its_tail = parts
        if its_middle != middle or its_start != start or its_tail != tail:
            return other_shape(frame, parts)
        end = text + plain_len
        too_long = end > len(frame) or not (any_number or seq[:4] == _NO_HIGH_HALF)
        if too_long or plain_len < least:
            return refuse(frame, entry, Status.BAD_DESCRIPTOR)
        iv = frame[iv_at:iv_end] if explicit_iv else seq
        if not take(from_bytes(iv, "big")):
            return refuse(frame, entry, Status.NONCE_REFUSED)
        pad = -(plain_len + tail_len) & mask
        sealed = encrypt(salt + iv, frame[text:end] + endings[pad], aad_of(frame, seq))
        entry.packets += 1
        entry.octets += plain_len
        return join((frame[:14], done, seq, middles[pad], frame[42:text], sealed))

    return seal


def format_opener(job: Job) -> Handler:
    """Open, and read how the text ends."""
    entry, shape, refuse, other_shape = job
    start, middle, tail = shape.constant
    text, iv_at, iv_end = shape.text_at, shape.iv_at, shape.iv_at + shape.iv_len
    least = entry.transform.icv_len + shape.least_text
    any_number = shape.any_number or entry.transform.masters
    explicit_iv, aad_of = shape.iv_len != 0, _aad_of(job)
    decrypt, salt, join, read = entry.aead.decrypt, entry.salt, b"".join, reader_of(shape)
    done = bytes((shape.op | REPLY_BIT, shape.flags, Status.DONE))

    def open_(frame: bytes, parts: Parts) -> bytes | None:
        its_start, _, seq, its_middle, sealed_len, its_tail = parts
        if its_middle != middle or its_start != start or its_tail != tail:
            return other_shape(frame, parts)
        end = text + sealed_len
        too_long = end > len(frame) or not (any_number or seq[:4] == _NO_HIGH_HALF)
        if too_long or sealed_len < least:
            return refuse(frame, entry, Status.BAD_DESCRIPTOR)
        iv = frame[iv_at:iv_end] if explicit_iv else seq
        try:
            plain = decrypt(salt + iv, frame[text:end], aad_of(frame, seq))
        except InvalidTag:
            return refuse(frame, entry, Status.BAD_ICV)
        found = read(frame, plain)
        if isinstance(found, Status):
            return refuse(frame, entry, found)
        size, nh, pad = found
        entry.packets += 1
        entry.octets += size
        head = (frame[:14], done, BYTE[nh], frame[18:37], BYTE[pad], frame[38:42])
        return join((*head, size.to_bytes(2, "big"), frame[44:text], plain[:size]))

    return open_


def _aad_of(job: Job) -> Callable[[bytes, bytes], bytes]:
    """Take frame and sequence number, return the AAD; with ESN the full number stands in it."""
    start, end = job.shape.aad_at, job.shape.aad_end
    if not job.shape.esn:
        return lambda frame, _: frame[start:end]
    return lambda frame, seq: frame[start : start + 4] + seq + frame[start + 8 : end]
