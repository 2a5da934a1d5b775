"""The crypto port over ``p4.bm.DataplaneInterface``: bmv2, the embedded switch, or dpmux."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from p4esp.engine.attach import Answer
from p4esp.engine.errors import AttachmentError
from p4esp.switch.ports.dataplane_client import DataplaneError, DataplaneStream, dataplane_stream

#: bmv2 acknowledges a stream with its first packet only; silence this long counts as consent.
CONSENT_SECONDS: Final = 0.5


class DataplanePort:
    """Serves the frames of one switch port; frames of other ports are not ours."""

    def __init__(self, stream: DataplaneStream, port: int) -> None:
        self._stream, self._port = stream, port

    async def serve(self, answer: Answer) -> None:
        """Answer frames until the stream ends (FrameTransport)."""
        try:
            while (response := await self._stream.receive()) is not None:
                if response.port == self._port:
                    await self._answer(answer, response.packet)
        except DataplaneError as error:
            raise AttachmentError(str(error)) from error
        raise AttachmentError("the switch ended the stream")

    async def _answer(self, answer: Answer, frame: bytes) -> None:
        reply = answer(frame)
        if reply is not None:
            await self._stream.send(self._port, reply)


@asynccontextmanager
async def dataplane_port(address: str, device_id: int, port: int) -> AsyncIterator[DataplanePort]:
    """Connect to ``address`` for ``port``; AttachmentError when the switch refuses the stream."""
    async with dataplane_stream(address, device_id, str(port)) as stream:
        taken = asyncio.ensure_future(stream.accepted())
        try:
            await asyncio.wait({taken}, timeout=CONSENT_SECONDS)
            if taken.done():
                taken.result()
            yield DataplanePort(stream, port)
        except DataplaneError as error:
            raise AttachmentError(str(error)) from error
        finally:
            taken.cancel()
