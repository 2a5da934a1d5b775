"""Telling IKE from ESP on UDP 500 and 4500 (RFC 7296 2.23, RFC 3948)."""

from dataclasses import dataclass, replace
from enum import Enum, auto

from p4esp.ike.path import Path

NON_ESP_MARKER = bytes(4)
NAT_KEEPALIVE = b"\xff"


class Kind(Enum):
    """What a UDP payload is."""

    IKE = auto()
    ESP = auto()
    KEEPALIVE = auto()
    RUNT = auto()
    """Too short to be anything; dropped."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The two UDP ports of IKE; others than the standard ones only for tests and daemons
    without privileges.
    """

    ike: int = 500
    nat: int = 4500
    """Port on which IKE carries the non-ESP marker and shares with ESP."""

    def unframe(self, payload: bytes, local_port: int) -> tuple[Kind, bytes]:
        """Classify a UDP payload that arrived at `local_port`; IKE loses its marker."""
        if local_port != self.nat:
            return Kind.IKE, payload
        if payload == NAT_KEEPALIVE:
            return Kind.KEEPALIVE, b""
        if len(payload) < len(NON_ESP_MARKER):
            return Kind.RUNT, b""
        if payload.startswith(NON_ESP_MARKER):
            return Kind.IKE, payload[len(NON_ESP_MARKER) :]
        return Kind.ESP, payload

    def frame(self, message: bytes, local_port: int) -> bytes:
        """The UDP payload that carries an IKE message, or a keepalive, from `local_port`."""
        marked = local_port == self.nat and message != NAT_KEEPALIVE
        return NON_ESP_MARKER + message if marked else message

    def float(self, path: Path) -> Path:
        """The same hosts on the NAT traversal port; both ends move together, and only once."""
        if path.local.port == self.nat:
            return path
        return Path(replace(path.local, port=self.nat), replace(path.remote, port=self.nat))
