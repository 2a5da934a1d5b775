"""The IKE daemon's configuration: one TOML file."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from p4esp.configuration.extensions import check_extensions
from p4esp.configuration.fields import Address, FilePath
from p4esp.configuration.formats import check_experimental
from p4esp.configuration.peers import PeerSection, children_of, extensions_of, ppks_of
from p4esp.configuration.postquantum import check_ppks
from p4esp.configuration.sections import Section, load_file, require_unique
from p4esp.configuration.settings import IkeSection
from p4esp.ike.transport import Ports

UdpPort = Annotated[int, Field(ge=1, le=65535)]


class DaemonConfig(Section):
    """The whole file."""

    listen: tuple[Address, ...] = ()
    """Our addresses; empty: all, of both families."""
    port: UdpPort = Ports().ike
    """UDP port of IKE."""
    nat_port: UdpPort = Ports().nat
    """UDP port that IKE shares with ESP when there is a NAT."""
    control: FilePath = Field(default=Path("ike.sock"), validate_default=True)
    """Unix socket for commands, mode 0600."""
    token_file: FilePath = Field(default=Path("ike.tokens"), validate_default=True)
    """Secret of `crash_detection`, 32 random octets, mode 0600; made when it is first needed."""
    ike: IkeSection = IkeSection()
    """Timers and limits."""
    experimental: bool = False
    """Admit formats of ESP and extensions of IKE that are no standard, under our vendor ID."""
    peers: tuple[PeerSection, ...] = ()
    """IKE peers."""

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        require_unique("peer", [peer.name for peer in self.peers])
        if self.port == self.nat_port:
            raise ValueError(f"port and nat_port are both {self.port}; accepted: two ports")
        check_experimental(children_of(self.peers), allowed=self.experimental)
        check_extensions(extensions_of(self.peers), allowed=self.experimental)
        check_ppks(ppks_of(self.peers), allowed=self.experimental)
        return self

    @property
    def ports(self) -> Ports:
        """Both UDP ports."""
        return Ports(self.port, self.nat_port)


def load_daemon_config(path: Path) -> DaemonConfig:
    """Read a TOML file; ConfigError for whatever is wrong with it."""
    return load_file(DaemonConfig, path)
