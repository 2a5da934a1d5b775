"""Client of the key service of an engine in another process."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from p4esp.engine.core import EngineStats, KeyStats
from p4esp.engine.errors import EngineUnavailableError, KeyStoreError
from p4esp.engine.keyservice import EngineHealth
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.engine.rpc import METHODS, SERVICE
from p4esp.proto import engine_v1_pb2 as pb

_REFUSALS = frozenset(
    (
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    )
)
#: What an engine may be expected to derive and install: an install of more may take longer.
SUB_KEYS_A_SECOND = 2000


class EngineClient:
    """A KeyService over a unix socket; ``timeout`` is in seconds a call.

    Use as ``async with EngineClient(path) as keys``, or call ``close`` at the end.
    """

    def __init__(self, path: Path | str, timeout: float = 5.0) -> None:
        self._path = Path(path)
        self._timeout = timeout
        self._channel = grpc.aio.insecure_channel(f"unix:{self._path.resolve()}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def install(self, spec: KeySpec) -> int:
        """Install a key (KeyService); KeyStoreError for whatever the engine refuses."""
        request = pb.InstallRequest(
            direction=pb.Direction.ValueType(int(spec.direction)),
            transform=spec.transform,
            key=bytes(spec.key),
            salt=bytes(spec.salt),
            generation=spec.generation,
            sa_index=spec.sa_index,
            integrity_key=bytes(spec.integrity_key),
            subs=spec.subs,
            kdf=spec.kdf,
        )
        more = spec.subs / SUB_KEYS_A_SECOND
        response: pb.InstallResponse = await self._call("Install", request, more)
        return response.handle

    async def remove(self, handle: int) -> None:
        """Remove a key (KeyService)."""
        await self._call("Remove", pb.RemoveRequest(handle=handle))

    async def remove_all(self) -> int:
        """Remove every key (KeyService)."""
        response: pb.RemoveAllResponse = await self._call("RemoveAll", pb.RemoveAllRequest())
        return response.removed

    async def derive(self, handle: int, spi: int) -> bytes:
        """Derive the key of an SPI (KeyService); KeyStoreError from an engine without PSP, too."""
        try:
            request = pb.DeriveRequest(handle=handle, spi=spi)
        except ValueError as error:
            raise KeyStoreError(f"handle {handle} or SPI {spi} has more than 32 bits") from error
        response: pb.DeriveResponse = await self._call("Derive", request)
        return response.key

    async def renew(self, handle: int, half: int, master: bytes | bytearray) -> None:
        """Replace a PSP master key (KeyService); KeyStoreError from an engine without it, too."""
        if half not in (0, 1):
            raise KeyStoreError(f"half {half} is outside 0..1")
        request = pb.RenewRequest(handle=handle, second=bool(half), key=bytes(master))
        await self._call("Renew", request)

    async def stats(self) -> EngineStats:
        """Return all counters (KeyService)."""
        reply: pb.GetStatsResponse = await self._call("GetStats", pb.GetStatsRequest())
        return EngineStats(
            reply.epoch,
            dict(reply.replies),
            reply.not_a_request,
            reply.guards_forgotten,
            tuple(map(_key_stats, reply.keys)),
        )

    async def health(self) -> EngineHealth:
        """Return epoch and readiness (KeyService)."""
        reply: pb.GetHealthResponse = await self._call("GetHealth", pb.GetHealthRequest())
        return EngineHealth(
            *(reply.epoch, reply.ready, reply.detail, tuple(reply.transforms), reply.keys),
            tuple(reply.features),
        )

    async def _call(self, name: str, request: Any, more: float = 0.0) -> Any:
        method = self._channel.unary_unary(
            f"/{SERVICE}/{name}",
            request_serializer=METHODS[name].request.SerializeToString,
            response_deserializer=METHODS[name].response.FromString,
        )
        try:
            return await method(request, timeout=self._timeout + more)
        except grpc.aio.AioRpcError as error:
            raise self._translated(name, error) from None

    def _translated(self, name: str, error: grpc.aio.AioRpcError) -> Exception:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            return KeyStoreError(f"engine at {self._path} has no {name}")
        if error.code() in _REFUSALS:
            return KeyStoreError(error.details())
        return EngineUnavailableError(
            f"engine at {self._path} did not answer {name}: "
            f"{error.code().name} {error.details() or ''}".rstrip()
        )


def _key_stats(key: pb.KeyStats) -> KeyStats:
    return KeyStats(
        *(key.handle, Direction(key.direction), key.transform),
        *(key.generation, key.sa_index, key.packets, key.octets, key.subs),
    )
