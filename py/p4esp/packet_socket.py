"""What packet sockets of the switch and of the engine have in common."""

import errno
from typing import Final

SEND_LOSSES: Final = frozenset(
    (errno.EAGAIN, errno.ENOBUFS, errno.ENETDOWN, errno.EMSGSIZE, errno.ENXIO, errno.EINVAL)
)
"""Errors that lose one frame, as a wire would: a full queue, an interface that is down or gone, a
frame that is too long for it."""
