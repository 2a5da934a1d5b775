"""A peer that connects to an IKE daemon over a UDP socket."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING

from bench.ike_pair import endpoint_for

if TYPE_CHECKING:
    from p4esp.ike.config import PeerConfig

PATIENCE = 60.0
MAX_DATAGRAM = 65535


class ClientError(Exception):
    """The daemon did not let us in."""


class IkeClient:
    """Drives an endpoint of its own with one socket at a loopback address."""

    def __init__(self, config: PeerConfig, here: str, there: tuple[str, int]) -> None:
        from p4esp.ike.config import Settings
        from p4esp.ike.path import Path, UdpAddress

        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((here, 0))
        self._socket.connect(there)
        port = self._socket.getsockname()[1]
        self._path = Path(
            UdpAddress(ip_address(here), port), UdpAddress(ip_address(there[0]), there[1])
        )
        self._config = config
        self._endpoint = endpoint_for(config, Settings(), monotonic())

    def close(self) -> None:
        """Gives the port back."""
        self._socket.close()

    def opening(self) -> bytes:
        """An IKE_SA_INIT request, which is not sent."""
        self._endpoint.initiate(self._config, monotonic(), path=self._path)
        *_, datagram = self._endpoint.datagrams_to_send(monotonic())
        return datagram.data

    def connect(self) -> float:
        """Seconds from the first packet to an IKE SA with a child SA; `ClientError` without."""
        start = monotonic()
        self._endpoint.initiate(self._config, start, child="net", path=self._path)
        while not self._is_up():
            now = monotonic()
            if now > start + PATIENCE:
                raise ClientError(f"no IKE SA after {PATIENCE:.0f} s")
            self._step(now)
        return monotonic() - start

    def _is_up(self) -> bool:
        from p4esp.ike.events import ChildUp

        return any(isinstance(event, ChildUp) for event in iter(self._endpoint.next_event, None))

    def _step(self, now: float) -> None:
        for datagram in self._endpoint.datagrams_to_send(now):
            self._socket.send(datagram.data)
        due = self._endpoint.get_timer()
        self._socket.settimeout(max(0.001, due - now) if due else 1.0)
        try:
            data = self._socket.recv(MAX_DATAGRAM)
        except TimeoutError:
            self._endpoint.handle_timer(monotonic())
        else:
            self._endpoint.receive_datagram(data, self._path, monotonic())
