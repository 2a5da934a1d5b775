"""gRPC server of the key service on a unix socket of mode 0600."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from p4esp.engine.core import KeyStats
from p4esp.engine.errors import HandleError, HandlesExhaustedError, KeyStoreError
from p4esp.engine.keyservice import KeyService
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.engine.rpc import METHODS, SERVICE
from p4esp.proto import engine_v1_pb2 as pb
from p4esp.unix_socket import SocketPathError, prepare_socket_path

_DIRECTIONS = frozenset(int(direction) for direction in Direction)


class KeyServer:
    """Serves one KeyService; use as ``await server.start()`` ... ``await server.stop()``."""

    def __init__(self, keys: KeyService, path: Path) -> None:
        self._keys = keys
        self._path = path
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((self._handlers(),))

    async def start(self) -> None:
        """Bind and serve; SocketPathError when the path is unsafe or in use."""
        prepare_socket_path(self._path)
        # The umask covers the instant between bind and chmod.
        previous = os.umask(0o177)
        try:
            self._server.add_insecure_port(f"unix:{self._path.resolve()}")
        except RuntimeError as error:
            raise SocketPathError(f"cannot bind {self._path}: {error}") from error
        finally:
            os.umask(previous)
        self._path.chmod(0o600)
        await self._server.start()

    async def stop(self) -> None:
        """Stop serving and remove the socket."""
        await self._server.stop(grace=0.2)
        self._path.unlink(missing_ok=True)

    def _handlers(self) -> Any:
        calls = {
            "Install": self._install,
            "Remove": self._remove,
            "RemoveAll": self._remove_all,
            "Derive": self._derive,
            "Renew": self._renew,
            "GetStats": self._get_stats,
            "GetHealth": self._get_health,
        }
        handlers = {name: self._unary(name, call) for name, call in calls.items()}
        return grpc.method_handlers_generic_handler(SERVICE, handlers)

    def _unary(self, name: str, call: Callable[[Any], Awaitable[Any]]) -> Any:
        async def handle(request: Any, context: Any) -> Any:
            try:
                return await call(request)
            except KeyStoreError as error:
                await context.abort(_code(name, error), str(error))

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=METHODS[name].request.FromString,
            response_serializer=METHODS[name].response.SerializeToString,
        )

    async def _install(self, request: pb.InstallRequest) -> pb.InstallResponse:
        if request.direction not in _DIRECTIONS:
            raise KeyStoreError("direction is missing: it must be DIRECTION_SEAL or _OPEN")
        spec = KeySpec(
            Direction(request.direction),
            request.transform,
            request.key,
            request.salt,
            request.generation,
            request.sa_index,
            request.integrity_key,
            request.subs,
            request.kdf,
        )
        return pb.InstallResponse(handle=await self._keys.install(spec))

    async def _remove(self, request: pb.RemoveRequest) -> pb.RemoveResponse:
        await self._keys.remove(request.handle)
        return pb.RemoveResponse()

    async def _remove_all(self, _: pb.RemoveAllRequest) -> pb.RemoveAllResponse:
        return pb.RemoveAllResponse(removed=await self._keys.remove_all())

    async def _derive(self, request: pb.DeriveRequest) -> pb.DeriveResponse:
        return pb.DeriveResponse(key=await self._keys.derive(request.handle, request.spi))

    async def _renew(self, request: pb.RenewRequest) -> pb.RenewResponse:
        await self._keys.renew(request.handle, int(request.second), request.key)
        return pb.RenewResponse()

    async def _get_stats(self, _: pb.GetStatsRequest) -> pb.GetStatsResponse:
        stats = await self._keys.stats()
        return pb.GetStatsResponse(
            epoch=stats.epoch,
            replies=stats.replies,
            not_a_request=stats.not_a_request,
            guards_forgotten=stats.guards_forgotten,
            keys=map(_key_message, stats.keys),
        )

    async def _get_health(self, _: pb.GetHealthRequest) -> pb.GetHealthResponse:
        health = await self._keys.health()
        return pb.GetHealthResponse(
            epoch=health.epoch,
            ready=health.ready,
            detail=health.detail,
            transforms=health.transforms,
            keys=health.keys,
            features=health.features,
        )


def _code(name: str, error: Exception) -> grpc.StatusCode:
    if name in ("Remove", "Derive") or isinstance(error, HandleError):
        return grpc.StatusCode.NOT_FOUND
    if isinstance(error, HandlesExhaustedError):
        return grpc.StatusCode.RESOURCE_EXHAUSTED
    return grpc.StatusCode.INVALID_ARGUMENT


def _key_message(key: KeyStats) -> pb.KeyStats:
    return pb.KeyStats(
        handle=key.handle,
        direction=pb.Direction.ValueType(int(key.direction)),
        transform=key.transform,
        generation=key.generation,
        sa_index=key.sa_index,
        packets=key.packets,
        octets=key.octets,
        subs=key.subs,
    )
