"""IKE peers and their child SAs, as a file describes them."""

from typing import Self

from pydantic import Field, model_validator

from p4esp.configuration.fields import (
    Address,
    EspProposal,
    Id,
    IkeProposal,
    Name,
    Network,
    PskFile,
)
from p4esp.configuration.secret_files import PSK_MIN, read_psk
from p4esp.configuration.sections import Section, require_unique
from p4esp.ike.auth.credentials import preshared
from p4esp.ike.config import DEFAULT_ESP, DEFAULT_IKE, ChildConfig, PeerConfig
from p4esp.ike.errors import ProposalError
from p4esp.ike.proposals import Template
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.selectors import TrafficSelector


class ChildSection(Section):
    """A child SA: which addresses on our side, which on the peer's."""

    name: Name
    """Its name in commands, output and, as `peer/name`, in policies."""
    local: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on our side; at least one."""
    remote: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on the peer's side; at least one."""
    proposals: tuple[EspProposal, ...] = ()
    """ESP proposals, best first, such as `aes256gcm16-esn`; empty: the built-in ones."""
    start: bool = False
    """Bring it up at start, and again whenever it is lost."""

    def config(self, allow_weak: bool) -> ChildConfig:
        """The form the IKE core takes."""
        local, remote = selectors(self.local), selectors(self.remote)
        return ChildConfig(self.name, local, remote, self.templates(allow_weak))

    def templates(self, allow_weak: bool) -> tuple[Template, ...]:
        """What the ESP proposals say; ProposalError for a weak one that is not allowed."""
        own = tuple(Template.esp(text, allow_weak=allow_weak) for text in self.proposals)
        return own or DEFAULT_ESP


class PeerSection(Section):
    """An IKE peer with a pre-shared key, either in place or in a file."""

    name: Name
    """Its name in policies, commands, output and metrics."""
    local: Address | None = None
    """Our address towards it; unset: any."""
    remote: Address | None = None
    """Its address; unset: any, then only the peer can begin."""
    local_id: Id
    """Our identity: an address, `a@b`, `@#` and hex digits, or a domain name."""
    remote_id: Id
    """Its identity, in the same forms."""
    psk: str | None = Field(default=None, min_length=PSK_MIN, repr=False)
    """Pre-shared key, at least 8 octets. Give either this or `psk_file`."""
    psk_file: PskFile | None = None
    """File with the pre-shared key, mode 0600; a line end behind the key does not count."""
    allow_weak: bool = False
    """Admit what RFC 8247 discourages: `modp1536`, `modp1024`, `prfsha1`, `sha1`, `3des`."""
    proposals: tuple[IkeProposal, ...] = ()
    """IKE proposals, best first: `aes256gcm16-prfsha256-x25519`; empty: the built-in ones."""
    dpd_delay: float = Field(default=30, ge=0)
    """Seconds of silence before the peer is asked whether it is alive; 0: never."""
    force_encapsulation: bool = False
    """Put ESP into UDP even when there is no NAT."""
    children: tuple[ChildSection, ...] = ()
    """The child SAs of this peer."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        if (self.psk is None) == (self.psk_file is None):
            raise ValueError("accepted: exactly one of psk and psk_file")
        require_unique("child", [child.name for child in self.children])
        self._check_strength()
        return self

    def _check_strength(self) -> None:
        try:
            self._templates()
            for child in self.children:
                child.templates(self.allow_weak)
        except ProposalError as error:
            raise ValueError(str(error)) from None

    def _templates(self) -> tuple[Template, ...]:
        weak = self.allow_weak
        return tuple(Template.ike(text, allow_weak=weak) for text in self.proposals) or DEFAULT_IKE

    def config(self) -> PeerConfig:
        """The form the IKE core takes; ValueError when the key's file can no longer be used."""
        return PeerConfig(
            name=self.name,
            local_id=Identity.parse(self.local_id),
            remote_id=Identity.parse(self.remote_id),
            auth=preshared(self._psk()),
            local=self.local,
            remote=self.remote,
            proposals=self._templates(),
            children=tuple(child.config(self.allow_weak) for child in self.children),
            dpd_delay=self.dpd_delay or None,
            force_encapsulation=self.force_encapsulation,
        )

    def _psk(self) -> bytes:
        if self.psk_file is not None:
            return read_psk(self.psk_file)
        return (self.psk or "").encode()


def selectors(nets: tuple[Network, ...], protocol: int = 0) -> tuple[TrafficSelector, ...]:
    """Traffic selectors for prefixes."""
    return tuple(TrafficSelector.of_network(net, protocol) for net in nets)
