"""IKE peers and their child SAs, as a file describes them."""

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, model_validator

from p4esp.configuration.addresses import AssignSection
from p4esp.configuration.certificates import CertificateSection, TrustSection, common_identity
from p4esp.configuration.extensions import ExtensionSection
from p4esp.configuration.fields import (
    Address,
    EspProposal,
    Id,
    IkeProposal,
    IpVersion,
    Label,
    Name,
    Network,
    PeerId,
    PskFile,
)
from p4esp.configuration.formats import (
    SHOWN_MOST,
    FormatName,
    check_compression,
    check_format,
    check_path,
    check_siblings,
    default_proposals,
    wish_of,
)
from p4esp.configuration.lifetimes import ChildLifetime, IkeLifetime
from p4esp.configuration.postquantum import PostquantumSection
from p4esp.configuration.resolvers import check_reachable
from p4esp.configuration.secret_files import PSK_MIN, read_psk
from p4esp.configuration.sections import Section, require_unique
from p4esp.ike.auth.credentials import (
    Anonymous,
    Credential,
    PeerAuth,
    PresharedKey,
    Requirement,
)
from p4esp.ike.auth.schemes import RSA_SHA1
from p4esp.ike.config import (
    DEFAULT_IKE,
    ChildConfig,
    ChildKe,
    Childless,
    FormatWish,
    PeerConfig,
)
from p4esp.ike.errors import ProposalError
from p4esp.ike.proposals import Template
from p4esp.ipsec.identity import Identity, IdType
from p4esp.ipsec.identity_pattern import parse_peer_identity
from p4esp.ipsec.layouts import SENT_MOST
from p4esp.ipsec.sa import Mode
from p4esp.ipsec.selectors import ANY_PORTS, TrafficSelector

Method = Literal["psk", "certificate", "null"]
Selectors = tuple[TrafficSelector, ...]
PORT_PROTOCOLS = (6, 17, 132)
"""TCP, UDP and SCTP."""


class ChildSection(Section):
    """A child SA: which addresses on our side, which on the peer's."""

    name: Name
    """Its name in commands, output and, as `peer/name`, in policies."""
    local: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on our side; at least one."""
    remote: tuple[Network, ...] = Field(min_length=1)
    """Prefixes on the peer's side; at least one."""
    protocol: int = Field(default=0, ge=0, le=255)
    """IP protocol number that it carries; 0: any."""
    local_port: int | None = Field(default=None, ge=0, le=65535)
    """TCP, UDP or SCTP port on our side; unset: any."""
    remote_port: int | None = Field(default=None, ge=0, le=65535)
    """That on the peer's side; unset: any."""
    proposals: tuple[EspProposal, ...] = ()
    """ESP proposals, best first, such as `aes256gcm16-esn`; empty: the built-in ones."""
    mode: Literal["tunnel", "transport", "beet"] = "tunnel"
    """`transport`: what the ends say, of a gateway its `hosts`; `beet`: one address each side."""
    key_exchange: Literal["listed", "ike", "optional", "none"] = "listed"
    """Of rekeys: what `proposals` name; or that of the IKE SA, too; or even none; or never any."""
    mode_required: bool = True
    """With false, a tunnel where the peer declines `transport` or `beet`, instead of nothing."""
    start: bool = False
    """Bring it up at start, and again whenever it is lost."""
    format: FormatName = "esp"
    """How packets are laid out where the peer agrees; other than `esp` with `experimental` only."""
    subs: int | None = Field(default=None, ge=1, le=SENT_MOST)
    """Subspaces or sub-SAs in which we receive, 1..256, of a format that has them; unset: 16."""
    shown: int | None = Field(default=None, ge=0, le=SHOWN_MOST, multiple_of=4)
    """Octets of payload in clear at most, 0..128; unset: 28 in tunnels, else 4 (EESP: 0)."""
    format_required: bool = False
    """Without the peer's consent to the format make no child SA, instead of plain ESP."""
    numbered: bool = True
    """With false, EESP has no sequence numbers and no protection against replays."""
    spi_bits: int | None = Field(default=None, ge=8, le=32, multiple_of=8)
    """Low bits of the SPI that `diet-esp` sends at least: 8, 16, 24 or 32; unset: 8."""
    sn_bits: int | None = Field(default=None, ge=8, le=32, multiple_of=8)
    """Those of the sequence number; unset: 16."""
    esp_trailer: bool = False
    """With true, `diet-esp` has the ESP trailer, and 32 bits of alignment."""
    labels: tuple[Label, ...] = Field(default=(), max_length=16)
    """Security labels (RFC 9478), best first: it has one of them. Of a gateway one at most."""
    label_required: bool = True
    """With a peer that knows no labels make no child SA, instead of one without a label."""
    lifetime: ChildLifetime = ChildLifetime()
    """When it is rekeyed, and when it ends."""

    def config(self, allow_weak: bool) -> ChildConfig:
        """The form the IKE core takes."""
        local, remote = self.selectors()
        templates = self.templates(allow_weak)
        lifetime = self.lifetime.of_child()
        return ChildConfig(
            *(self.name, local, remote, templates, lifetime, Mode(self.mode), self.wish),
            mode_required=self.mode_required,
            ke=ChildKe(self.key_exchange),
            labels=tuple(label.encode() for label in self.labels),
            label_required=self.label_required,
        )

    def selectors(self) -> tuple[Selectors, Selectors]:
        """Those of our side and of the peer's; ValueError for ports without a protocol."""
        here = selectors(self.local, self.protocol, self.local_port)
        return here, selectors(self.remote, self.protocol, self.remote_port)

    @property
    def wish(self) -> FormatWish:
        """The format that it asks for."""
        return wish_of(self, Mode(self.mode))

    def templates(self, allow_weak: bool) -> tuple[Template, ...]:
        """What the ESP proposals say; ProposalError for a weak one that is not allowed."""
        own = tuple(Template.esp(text, allow_weak=allow_weak) for text in self.proposals)
        return own or default_proposals(self.format, numbered=self.numbered)

    @model_validator(mode="after")
    def _format_fits(self) -> Self:
        check_format(self, Mode(self.mode), self.templates(allow_weak=True))
        check_compression(self, *self.selectors())
        return self

    @model_validator(mode="after")
    def _can_fall_back(self) -> Self:
        """Sizes of a format go by the mode, so the two are not open at once."""
        if not self.mode_required and self.mode == "tunnel":
            raise ValueError("mode_required = false means nothing with mode tunnel; accepted: true")
        if not self.mode_required and self.format != "esp":
            raise ValueError(
                f"mode_required = false with format {self.format}; accepted: format esp, or true"
            )
        return self


class PeerSection(Section):
    """An IKE peer."""

    name: Name
    """Its name in policies, commands, output and metrics."""
    local: Address | None = None
    """Our address towards it; unset: any."""
    remote: Address | None = None
    """Its address; unset: any, then only the peer can begin."""
    local_id: Id | None = None
    """Our identity: an address, `a@b`, `@#` and hex digits, a domain name, or `C=CH, CN=x`."""
    remote_id: PeerId
    """Its identity, in the same forms; `*.example` or `*@example` for many, `*` for all."""
    local_auth: Method | None = None
    """How we prove ours; unset: `certificate` where there is such a section, else `psk`."""
    remote_auth: Method | None = None
    """How it must; unset: `certificate` where there is a section `trust`, else `psk`."""
    psk: str | None = Field(default=None, min_length=PSK_MIN, repr=False)
    """Pre-shared key, at least 8 octets, for `psk` in either direction. Or give `psk_file`."""
    psk_file: PskFile | None = None
    """File with the pre-shared key, mode 0600; a line end behind the key does not count."""
    certificate: CertificateSection | None = None
    """What we sign with."""
    certificates: tuple[CertificateSection, ...] = ()
    """Instead of `certificate`: several, best first, of which the peer's announcement chooses."""
    trust: TrustSection | None = None
    """Which certificates of the peer's count."""
    ppk: PostquantumSection | None = None
    """Postquantum preshared keys."""
    allow_weak: bool = False
    """Admit what RFC 8247 discourages: `modp1536`, `modp1024`, `sha1`, `3des`, `rsa-sha1` ..."""
    proposals: tuple[IkeProposal, ...] = ()
    """IKE proposals, best first: `aes256gcm16-prfsha256-x25519`; empty: the built-in ones."""
    dpd_delay: float = Field(default=30, ge=0)
    """Seconds of silence before the peer is asked whether it is alive; 0: never."""
    childless: Literal["allow", "force", "never"] = "allow"
    """Whether the IKE SA comes up alone: when the initiator wants, always, or never."""
    assign: AssignSection | None = None
    """Internal addresses for the peer."""
    request_addresses: tuple[IpVersion, ...] = ()
    """IP versions of which we ask the peer for an internal address, such as `[4]`."""
    request_encrypted_dns: bool = False
    """Ask for name servers with encryption, too (RFC 9464)."""
    force_encapsulation: bool = False
    """Put ESP into UDP even when there is no NAT."""
    mobike: bool = False
    """Let the end that began change its addresses (RFC 4555), the peer's to any."""
    follow_redirects: bool = False
    """Go to another gateway when the peer sends us there (RFC 5685)."""
    redirect_to: Address | None = None
    """Send the peer to this gateway, if it would go."""
    additional_local: tuple[Address, ...] = ()
    """Further addresses of ours, told to the peer with `mobike`."""
    lifetime: IkeLifetime = IkeLifetime()
    """When the IKE SA is rekeyed, and when it ends."""
    extensions: ExtensionSection = ExtensionSection()
    """Extensions of IKEv2 to use with it."""
    children: tuple[ChildSection, ...] = ()
    """The child SAs of this peer."""

    @model_validator(mode="after")
    def _is_usable(self) -> Self:
        self._check_material()
        require_unique("child", [child.name for child in self.children])
        check_siblings([(child.name, child) for child in self.children])
        self._check_strength()
        self._check_beet()
        self._check_dns()
        for child in self.children:
            paths = {"force_encapsulation": self.force_encapsulation, "mobike": self.mobike}
            check_path(child.name, child.format, **paths)
        return self

    def _check_material(self) -> None:
        """Each direction has what its method needs, and nothing is given that none uses."""
        if self.psk is not None and self.psk_file is not None:
            raise ValueError("accepted: exactly one of psk and psk_file")
        methods = self._local_method, self._remote_method
        given = self.psk is not None or self.psk_file is not None
        _require("psk or psk_file", "psk" in methods, given)
        if self.certificate is not None and self.certificates:
            raise ValueError("accepted: exactly one of certificate and certificates")
        _require("certificate", methods[0] == "certificate", bool(self._signed_with))
        _require("trust", methods[1] == "certificate", self.trust is not None)
        self._local_identity()
        pinned = bool(self.trust and self.trust.pinned)
        if pinned and not isinstance(parse_peer_identity(self.remote_id), Identity):
            raise ValueError("a pinned certificate has no name; accepted: one remote_id with it")
        if self.ppk is not None and "null" in methods and not self.ppk.required:
            raise ValueError("with null authentication accepted: a ppk that is required")

    def _check_dns(self) -> None:
        if self.request_encrypted_dns and not self.request_addresses:
            raise ValueError("accepted: request_encrypted_dns with request_addresses")
        if self.assign is not None:
            nets = [net for child in self.children for net in child.local]
            check_reachable(self.assign.resolvers, nets)

    def _check_beet(self) -> None:
        """One pair of inner addresses (RFC 7402 B.1); a peer that gets its own from us has one."""
        for child in self.children:
            if child.mode == "beet":
                _require_one(child.name, "local", child.local)
                _require_one(child.name, "remote", child.remote, assigned=self.assign is not None)
                if child.local[0].version != child.remote[0].version:
                    raise ValueError(
                        f"child {child.name}: in BEET mode accepted: addresses of one family"
                    )

    @property
    def _local_method(self) -> Method:
        return self.local_auth or ("certificate" if self._signed_with else "psk")

    @property
    def _signed_with(self) -> tuple[CertificateSection, ...]:
        """Our certificates, best first."""
        return (self.certificate,) if self.certificate else self.certificates

    @property
    def _remote_method(self) -> Method:
        return self.remote_auth or ("certificate" if self.trust else "psk")

    def _check_strength(self) -> None:
        named = [item.signatures for item in (*self._signed_with, self.trust) if item]
        if RSA_SHA1.name in sum(named, ()) and not self.allow_weak:
            raise ValueError(f"{RSA_SHA1.name} is weak; accepted: with allow_weak = true")
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
        """The form the IKE core takes; ValueError when a file can no longer be used."""
        return PeerConfig(
            name=self.name,
            local_id=self._local_identity(),
            remote_id=parse_peer_identity(self.remote_id),
            auth=self._auth(),
            local=self.local,
            remote=self.remote,
            proposals=self._templates(),
            children=tuple(child.config(self.allow_weak) for child in self.children),
            ppk=self.ppk.policy(self.name) if self.ppk else None,
            lifetime=self.lifetime.of_ike_sa(),
            dpd_delay=self.dpd_delay or None,
            childless=Childless(self.childless),
            assignment=self.assign.assignment() if self.assign else None,
            request_addresses=self.request_addresses,
            request_encrypted_dns=self.request_encrypted_dns,
            force_encapsulation=self.force_encapsulation,
            mobike=self.mobike,
            follow_redirects=self.follow_redirects,
            redirect_to=self.redirect_to,
            additional_local=self.additional_local,
            extensions=self.extensions.wishes(),
        )

    def _local_identity(self) -> Identity:
        """With certificates it is a name in all of them; without `local_id` their subject."""
        if self._signed_with:
            certificates = [one.credential().certificates[0] for one in self._signed_with]
            return common_identity(certificates, self.local_id)
        if self.local_id is not None:
            return Identity.parse(self.local_id)
        if self._local_method == "null":
            return Identity(IdType.NULL, b"")
        raise ValueError("local_id is missing; accepted: our identity, or a certificate with one")

    def _auth(self) -> PeerAuth:
        first, *others = self._credentials()
        return PeerAuth(first, (self._requirement(),), tuple(others))

    def _credentials(self) -> list[Credential]:
        if self._signed_with:
            return [one.credential() for one in self._signed_with]
        return [Anonymous() if self._local_method == "null" else PresharedKey(self._psk())]

    def _requirement(self) -> Requirement:
        if self.trust is not None:
            return self.trust.requirement()
        return Anonymous() if self._remote_method == "null" else PresharedKey(self._psk())

    def _psk(self) -> bytes:
        if self.psk_file is not None:
            return read_psk(self.psk_file)
        return (self.psk or "").encode()


def children_of(peers: Iterable[PeerSection]) -> list[tuple[str, ChildSection]]:
    """The children of all peers, by `peer/child`."""
    return [(f"{peer.name}/{child.name}", child) for peer in peers for child in peer.children]


def extensions_of(peers: Iterable[PeerSection]) -> list[tuple[str, ExtensionSection]]:
    """What is wanted of each peer, by its name."""
    return [(peer.name, peer.extensions) for peer in peers]


def ppks_of(peers: Iterable[PeerSection]) -> list[tuple[str, PostquantumSection | None]]:
    """The postquantum preshared keys of each peer, by its name."""
    return [(peer.name, peer.ppk) for peer in peers]


def _require(what: str, needed: bool, given: bool) -> None:
    if needed and not given:
        raise ValueError(f"{what} is missing; accepted: it, or another local_auth or remote_auth")
    if given and not needed:
        raise ValueError(f"{what} is used by neither direction; accepted: without it")


def _require_one(
    child: str, side: str, nets: tuple[Network, ...], *, assigned: bool = False
) -> None:
    if len(nets) != 1 or not (assigned or nets[0].num_addresses == 1):
        raise ValueError(f"child {child}: in BEET mode accepted: one address in {side}")


def selectors(
    nets: tuple[Network, ...], protocol: int = 0, port: int | None = None
) -> tuple[TrafficSelector, ...]:
    """Traffic selectors for prefixes; ValueError for a port without a protocol that has some."""
    ports = ANY_PORTS if port is None else (port, port)
    if port is not None and protocol not in PORT_PROTOCOLS:
        raise ValueError(f"port {port} of protocol {protocol}; accepted: protocol 6, 17 or 132")
    return tuple(TrafficSelector.of_network(net, protocol, ports) for net in nets)
