"""Child security associations: everything a data plane needs to carry one (RFC 4301 4.4.2.1)."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from p4esp.ipsec.algorithms import Suite
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.selectors import Address, TrafficSelector


class Mode(StrEnum):
    """How packets are encapsulated."""

    TUNNEL = "tunnel"
    TRANSPORT = "transport"
    BEET = "beet"
    """Between one pair of inner addresses, which are not sent (RFC 7402 appendix B)."""


class Wrap(StrEnum):
    """Whether packets carry a WESP header, and what it shows (RFC 5840)."""

    NONE = "none"
    ENCRYPTED = "encrypted"
    VISIBLE = "visible"
    """Of integrity-only SAs: where in the packet the clear payload is."""


@dataclass(frozen=True, slots=True)
class DirectionKeys:
    """Key, salt and integrity key of one direction. None is ever shown by `repr`."""

    key: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    integrity: bytes = field(default=b"", repr=False)
    """Empty with an AEAD."""


@dataclass(frozen=True, slots=True)
class Keymat:
    """The key material of a child SA, seen from this end. `repr` hides all of it."""

    inbound: DirectionKeys
    outbound: DirectionKeys


@dataclass(frozen=True, slots=True)
class UdpEncapsulation:
    """ESP in UDP (RFC 3948): the outer ports at this end and at the peer's."""

    local_port: int
    remote_port: int


WHOLE_HEADER: Final = 8
"""Octets of SPI and sequence number."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How packets are laid out: plain ESP, or what both ends agreed on beyond it."""

    format: str = "esp"
    """A name of `p4esp.ipsec.formats`, of what we receive."""
    subs_in: int = 1
    """Sequence spaces in which we receive."""
    subs_out: int = 1
    """Those in which the peer receives; a sender may use any of them."""
    shown_in: int = 0
    """Octets of each payload that the peer leaves in clear; of EESP the most that it may, and the
    payload info header is the first 4.
    """
    shown_out: int = 0
    """Those that we leave in clear."""
    format_out: str = ""
    """Of what we send, where that is another: EESP is full where the receiver takes some in clear.
    Empty: `format`.
    """
    one_key: bool = False
    """Of EESP: without key derivation, and so without sub SAs."""
    numbered: bool = True
    """Of EESP: whether packets have sequence numbers."""
    spi_octets: int = 4
    """Of Diet-ESP: how many low octets of the SPI are sent, both ways."""
    sn_octets: int = 4
    """Those of the sequence number."""
    trailer: bool = True
    """Of Diet-ESP: whether the trailer of RFC 4303 is sent."""

    def __str__(self) -> str:
        facts = [self.format]
        if self.format_out:
            facts = [f"{self.format} in", f"{self.format_out} out"]
        if not self.numbered:
            facts.append("no sequence numbers")
        if self.subs_in > 1 or self.subs_out > 1:
            facts.append(f"subs {self.subs_in} in, {self.subs_out} out")
        if self.shown_in or self.shown_out:
            facts.append(f"shown {self.shown_in} in, {self.shown_out} out")
        if self.spi_octets + self.sn_octets < WHOLE_HEADER:
            facts.append(f"octets of SPI {self.spi_octets}, of number {self.sn_octets}")
        if not self.trailer:
            facts.append("no trailer")
        return ", ".join(facts)


@dataclass(frozen=True, slots=True)
class Share:
    """Which part of its policy's traffic a child SA is for: several with equal selectors differ in
    it.
    """

    resource: bytes | None = None
    """Our name for the resource that sends on it (RFC 9611), perhaps empty; None: all do."""
    dscps: tuple[int, ...] = ()
    """DSCPs, ascending, that it carries; empty: those of no other."""
    label: bytes = b""
    """Security label (RFC 9478); empty: traffic without one."""

    @property
    def partial(self) -> bool:
        """Whether it takes part of a child's traffic away from the SA that carries the rest."""
        return self.resource is not None or bool(self.dscps)


EVERYTHING: Final = Share()
"""Of an SA that shares its traffic with no other."""


@dataclass(frozen=True, slots=True)
class ChildSaParams:
    """One negotiated pair of ESP SAs, inbound and outbound."""

    peer: str
    """Name of the peer's configuration."""
    name: str
    """Name of the child configuration the pair was made from."""
    spi_in: int
    """SPI of packets we receive; chosen by our allocator."""
    spi_out: int
    """SPI of packets we send; chosen by the peer."""
    suite: Suite
    esn: bool
    """True: 64-bit extended sequence numbers, of which the low half is sent."""
    mode: Mode
    keymat: Keymat
    local_ts: tuple[TrafficSelector, ...]
    """What may be behind us: source of outbound, destination of inbound inner packets."""
    remote_ts: tuple[TrafficSelector, ...]
    local: Address
    """Our outer address."""
    remote: Address
    encapsulation: UdpEncapsulation | None
    """None: ESP directly over IP."""
    initiator: bool
    """Whether we initiated the exchange that made this pair."""
    local_id: Identity
    remote_id: Identity
    wrap: Wrap = Wrap.NONE
    tfc: bool = True
    """Whether the peer takes TFC padding (RFC 4303 2.7)."""
    original: tuple[Address, Address] | None = None
    """In transport mode through a NAT: the peer's address and ours as the peer knows them, with
    which it makes the checksums of TCP and UDP (RFC 7296 2.23.1).
    """
    follows: bool = False
    """Whether we send to where the peer's newest authentic packet came from: it is behind a NAT, we
    are not, and there is no MOBIKE (RFC 7296 2.23).
    """
    layout: Layout = Layout()
    share: Share = EVERYTHING

    def __str__(self) -> str:
        return f"{self.name} in {self.spi_in:08x} out {self.spi_out:08x} {self.suite}"
