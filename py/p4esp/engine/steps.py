"""Steps before and after seal and open that few SAs need, so that the others need not pay for them.

Each step wraps a handler, and looks only at requests of the handler's shape: others go back
untouched, because another step may be theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from p4esp.engine.checksum import udp_length, with_udp_checksum
from p4esp.engine.ciphers import KeyGoneError, OwnKey
from p4esp.engine.descriptor import BASE, Status
from p4esp.engine.keystore import KeyEntry
from p4esp.engine.shape import Shape

#: A frame cut by ``descriptor.FRAME_PARTS``: start, key, seq, middle, plain_len, tail.
Parts = tuple[bytes, bytes, bytes, bytes, int, bytes]
#: Takes a frame and its parts; returns the reply, None when the frame is no request.
Handler = Callable[[bytes, Parts], bytes | None]
#: Takes a frame, its key and a status (None: find out which); returns the error reply.
Refuse = Callable[[bytes, KeyEntry | None, Status | None], bytes | None]

_IPV6: Final = 6
_DONE: Final = int(Status.DONE)


class Job(NamedTuple):
    """A key, a shape of its requests, and where to go with what is refused or of another shape."""

    entry: KeyEntry
    shape: Shape
    refuse: Refuse
    other_shape: Handler

    def bad_descriptor(self, frame: bytes) -> bytes | None:
        """Refuse a request of this shape whose lengths do not fit."""
        return self.refuse(frame, self.entry, Status.BAD_DESCRIPTOR)


#: Wraps the handler of a job.
Step = Callable[[Job, Handler], Handler]


def with_seal_steps(job: Job, seal: Handler) -> Handler:
    """Wrap a sealer in the steps that its key and its shape ask for."""
    transform, shape = job.entry.transform, job.shape
    return _wrapped(
        job,
        seal,
        (isinstance(job.entry.aead, OwnKey), _unless_key_is_gone),
        (transform.block > 1 and not shape.pad_mask, partial(_in_whole_blocks, 0)),
        (shape.udp_at > 0, _with_udp_checksum),
        (shape.fill, _filled),
    )


def with_open_steps(job: Job, open_: Handler) -> Handler:
    """Wrap an opener in the steps that its key asks for."""
    transform = job.entry.transform
    return _wrapped(
        job,
        open_,
        (isinstance(job.entry.aead, OwnKey), _unless_key_is_gone),
        (transform.block > 1, partial(_in_whole_blocks, transform.icv_len)),
    )


def _wrapped(job: Job, handler: Handler, *steps: tuple[bool, Step]) -> Handler:
    wanted = [step for is_wanted, step in steps if is_wanted]
    if not wanted:
        return handler
    for step in wanted:
        handler = step(job, handler)
    return _of_one_shape(job, handler)


def _of_one_shape(job: Job, handler: Handler) -> Handler:
    start, middle, tail = job.shape.constant
    other_shape = job.other_shape

    def serve(frame: bytes, parts: Parts) -> bytes | None:
        if parts[3] != middle or parts[0] != start or parts[5] != tail:
            return other_shape(frame, parts)
        return handler(frame, parts)

    return serve


def _unless_key_is_gone(job: Job, handler: Handler) -> Handler:
    def serve(frame: bytes, parts: Parts) -> bytes | None:
        try:
            return handler(frame, parts)
        except KeyGoneError:
            return job.refuse(frame, job.entry, Status.NO_KEY)

    return serve


def _in_whole_blocks(icv_len: int, job: Job, handler: Handler) -> Handler:
    block = job.entry.transform.block

    def serve(frame: bytes, parts: Parts) -> bytes | None:
        if (parts[4] - icv_len) % block:
            return job.bad_descriptor(frame)
        return handler(frame, parts)

    return serve


def _filled(job: Job, seal: Handler) -> Handler:
    """TFC padding (RFC 4303 section 2.7): zeros for what the frame lacks of the payload."""
    text = job.shape.text_at

    def serve(frame: bytes, parts: Parts) -> bytes | None:
        if len(frame) < text:
            return job.bad_descriptor(frame)
        missing = text + parts[4] - len(frame)
        return seal(frame + bytes(missing) if missing > 0 else frame, parts)

    return serve


def _with_udp_checksum(job: Job, seal: Handler) -> Handler:
    """ESP in UDP over IPv6: the checksum covers the sealed packet (RFC 8200 section 8.1)."""
    shape, udp_at, mask = job.shape, job.shape.udp_at, job.shape.pad_mask
    tail_len = shape.tail_len
    fixed = shape.text_at - udp_at + tail_len + job.entry.transform.icv_len

    def serve(frame: bytes, parts: Parts) -> bytes | None:
        length = fixed + parts[4] + (-(parts[4] + tail_len) & mask)
        if udp_length(frame, udp_at) != length or frame[BASE] >> 4 != _IPV6:
            return job.bad_descriptor(frame)
        reply = seal(frame, parts)
        sealed = reply is not None and reply[16] == _DONE
        return with_udp_checksum(reply, BASE, udp_at) if reply and sealed else reply

    return serve
