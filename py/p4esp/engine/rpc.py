"""Names and messages of the gRPC key service, shared by its server and its client."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from p4esp.proto import engine_v1_pb2 as pb

SERVICE: Final = "p4esp.engine.v1.KeyService"


class Method(NamedTuple):
    """One unary call: its request and response classes."""

    request: Any
    response: Any


METHODS: Final = {
    "Install": Method(pb.InstallRequest, pb.InstallResponse),
    "Remove": Method(pb.RemoveRequest, pb.RemoveResponse),
    "RemoveAll": Method(pb.RemoveAllRequest, pb.RemoveAllResponse),
    "Derive": Method(pb.DeriveRequest, pb.DeriveResponse),
    "Renew": Method(pb.RenewRequest, pb.RenewResponse),
    "GetStats": Method(pb.GetStatsRequest, pb.GetStatsResponse),
    "GetHealth": Method(pb.GetHealthRequest, pb.GetHealthResponse),
}
