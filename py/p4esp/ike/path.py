"""Where datagrams come from and go to."""

from dataclasses import dataclass, field

from p4esp.ipsec.selectors import Address


@dataclass(frozen=True, slots=True)
class UdpAddress:
    """An IP address and a UDP port."""

    host: Address
    port: int

    def __str__(self) -> str:
        return (
            f"[{self.host}]:{self.port}" if self.host.version == 6 else f"{self.host}:{self.port}"
        )


@dataclass(frozen=True, slots=True)
class Path:
    """Our end and the peer's end of a UDP conversation, as seen here."""

    local: UdpAddress
    remote: UdpAddress

    def between(self, local: Address, remote: Address) -> "Path":
        """The path between other hosts on the same ports."""
        return Path(UdpAddress(local, self.local.port), UdpAddress(remote, self.remote.port))

    def __str__(self) -> str:
        return f"{self.local} - {self.remote}"


@dataclass(frozen=True, slots=True)
class Datagram:
    """Octets for the peer, and the path they take."""

    data: bytes
    path: Path
    peer: str = field(default="", compare=False)
    """Name of the peer's configuration, once it is known: what it promises may have to be carried
    out first.
    """
