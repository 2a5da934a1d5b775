"""A gRPC server on one address, with the limits P4Runtime needs."""

import grpc

MAX_REQUEST_BYTES = 64 << 20
"""Large enough for programs and for batches of 100,000 updates."""

_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.so_reuseport", 0),
)


class AddressInUseError(Exception):
    """The address cannot be listened on."""


def new_grpc_server(address: str) -> tuple[grpc.aio.Server, int]:
    """A server bound to `address` (host:port, port 0 picks one) and the port it got.

    Raises `AddressInUseError` with the address in its text.
    """
    server = grpc.aio.server(options=_OPTIONS)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        port = 0
    if not port:
        raise AddressInUseError(
            f"cannot listen on {address}: in use, or not an address of this host"
        )
    return server, port
