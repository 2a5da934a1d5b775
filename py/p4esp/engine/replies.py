"""Constant pieces of the replies to one shape of seal requests."""

from __future__ import annotations

from typing import NamedTuple

from p4esp.engine.descriptor import REPLY_BIT, Status
from p4esp.engine.shape import Ending, Shape
from p4esp.engine.steps import Job
from p4esp.engine.trailer import BYTE, TAIL


class SealReply(NamedTuple):
    """``done`` is constant; ``endings`` (of the text) and ``middles`` go by the padding."""

    done: bytes
    endings: list[bytes]
    middles: list[bytes]


def seal_reply(job: Job) -> SealReply:
    """Build the pieces for a job."""
    shape, middle = job.shape, job.shape.constant.middle
    done = bytes((shape.op | REPLY_BIT, shape.flags, Status.DONE, shape.nh))
    pads = range(shape.pad_mask + 1)
    return SealReply(
        done + job.entry.wire_handle,
        [_ending(shape, pad) for pad in pads],
        [middle[:7] + BYTE[pad] + middle[8:] for pad in pads],
    )


def _ending(shape: Shape, pad: int) -> bytes:
    return TAIL[pad] + BYTE[shape.nh] if shape.ending is Ending.TRAILER else bytes(pad)
