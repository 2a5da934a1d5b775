"""PTF platform: ports over gRPC packet I/O, without interfaces and without root.

Used as ``ptf --platform-dir platforms -P dpgrpc -a "dp=127.0.0.1:9560" --allow-user``.
"""

from __future__ import annotations

from typing import Any

from harness.stream import PacketStream
from harness.topology import DATA_PORTS

QUEUE_LEN = 4096  # PTF's own 100 drops the oldest packet without a word

_streams: dict[str, PacketStream] = {}


class Port:
    """One switch port of PTF's dataplane; all ports of an address share its stream."""

    def __init__(self, address: str, device: int, port: int, config: dict[str, Any]) -> None:
        self._stream = stream_of(address)
        self._port = port
        self._stream.ports.add(port)

    def get_packet_source(self) -> PacketStream:
        return self._stream

    def send(self, packet: bytes) -> int:
        return self._stream.send(self._port, bytes(packet))

    def mac(self) -> None:
        """A port of a switch that has no interfaces has no address."""

    def up(self) -> None:
        """dp-grpc ports are up from the start."""

    def down(self) -> None:
        """The tests do not take ports down."""
        raise NotImplementedError("dp-grpc ports are always up here")


def stream_of(address: str) -> PacketStream:
    """The stream to ``address``, opened once: a second client would be refused."""
    if address not in _streams:
        _streams[address] = PacketStream(address)
    return _streams[address]


def platform_config_update(config: dict[str, Any]) -> None:
    """Called by PTF: which ports there are and which class serves them."""
    arguments = dict(item.split("=", 1) for item in config["platform_args"].split(","))
    address = arguments["dp"]
    config["port_map"] = {(0, port): address for port in DATA_PORTS}
    config["dataplane"] = {"portclass": Port}
    config["qlen"] = QUEUE_LEN
