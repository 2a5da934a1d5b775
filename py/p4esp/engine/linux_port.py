"""The crypto port on a Linux interface: an AF_PACKET socket for ethertype 0x88B5."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from p4esp.engine.attach import Answer
from p4esp.engine.descriptor import ETHERTYPE
from p4esp.engine.errors import AttachmentError
from p4esp.packet_socket import SEND_LOSSES

#: Frames read before other tasks get their turn.
BATCH: Final = 64
_MAX_FRAME: Final = 65_600


class LinuxPort:
    """Serves one packet socket; ``lost`` counts replies that the queue did not take."""

    def __init__(self, packets: socket.socket) -> None:
        self._packets = packets
        self.lost = 0

    async def serve(self, answer: Answer) -> None:
        """Answer frames until the interface fails (FrameTransport)."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        loop.add_reader(self._packets, self._batch, answer, ended)
        try:
            await ended
        finally:
            loop.remove_reader(self._packets)

    def _batch(self, answer: Answer, ended: asyncio.Future[None]) -> None:
        try:
            for _ in range(BATCH):
                self._one(answer)
        except BlockingIOError:
            return
        except OSError as error:
            if not ended.done():
                ended.set_exception(AttachmentError(f"interface failed: {error}"))

    def _one(self, answer: Answer) -> None:
        frame, address = self._packets.recvfrom(_MAX_FRAME)
        if address[2] == socket.PACKET_OUTGOING:
            return
        reply = answer(frame)
        if reply is not None:
            self._send(reply)

    def _send(self, reply: bytes) -> None:
        try:
            self._packets.send(reply)
        except OSError as error:
            if error.errno not in SEND_LOSSES:
                raise
            self.lost += 1


@asynccontextmanager
async def linux_port(interface: str) -> AsyncIterator[LinuxPort]:
    """Open the crypto port on ``interface``; AttachmentError without it or the right to."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    with packets:
        try:
            packets.bind((interface, ETHERTYPE))
        except OSError as error:
            raise AttachmentError(f"interface {interface}: {error}") from error
        yield LinuxPort(packets)
