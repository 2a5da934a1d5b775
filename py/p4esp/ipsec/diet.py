"""What both ends of a Diet-ESP SA know, and what is refused (draft-ietf-ipsecme-diet-esp-07).

A rule fixes which fields travel and in how many bits. Ours are templates: the layout of a residue
is one of a few. What fits none is refused by name; then there is no compression, not no SA.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import ip_network
from typing import Final

from p4esp.ipsec.formats.diet_esp import elided_by, residue_octets
from p4esp.ipsec.formats.model import FormatError
from p4esp.ipsec.sa import ChildSaParams, Layout, Mode
from p4esp.ipsec.selectors import Address, Network, TrafficSelector

TCP: Final = 6
UDP: Final = 17
LSB_OCTETS: Final = (1, 2, 3, 4)
"""Widths of SPI and sequence number on the wire, in octets."""
SITE_LENGTHS: Final = {4: 24, 6: 64}
"""Prefix lengths of a site, by IP version: what is behind them is sent."""
WHOLE: Final = 4


class Template(IntEnum):
    """`diet_t` of p4src/common/ids.p4."""

    UDP_V4 = 1
    TCP_V4 = 2
    HOST_V4 = 3
    SITE_V4 = 4
    UDP_V6 = 5
    TCP_V6 = 6
    HOST_V6 = 7
    SITE_V6 = 8

    @property
    def added(self) -> int:
        """Octets that the residue is longer than the inner headers, which it replaces; negative."""
        return residue_octets(self.name) - elided_by(self.name)

    @property
    def generates_identification(self) -> bool:
        """Whether the inner IPv4 identification is not sent, but made by the receiver."""
        return self.version == 4 and self.protocol is not None

    @property
    def version(self) -> int:
        """Of IP."""
        return 6 if self >= Template.UDP_V6 else 4

    @property
    def protocol(self) -> int | None:
        """Of layer 4; None: the template says nothing of it."""
        flows = {"UDP": UDP, "TCP": TCP}
        return flows.get(self.name.partition("_")[0])


@dataclass(frozen=True, slots=True)
class DietRule:
    """One direction of an SA. `src` and `dst` are hosts, or the two sites."""

    template: Template
    src: Network
    dst: Network
    sport: int = 0
    dport: int = 0
    spi_octets: int = WHOLE
    sn_octets: int = WHOLE
    trailer: bool = False
    """Whether padding, pad length and next header travel, to a multiple of 4 octets."""

    def __post_init__(self) -> None:
        for what, octets in (("SPI", self.spi_octets), ("sequence number", self.sn_octets)):
            check_width(what, 8 * octets)

    @property
    def align(self) -> int:
        """Octets that the text is a multiple of."""
        return 4 if self.trailer else 1

    @property
    def header(self) -> int:
        """Octets in front of the text."""
        return self.spi_octets + self.sn_octets

    def low_spi(self, spi: int) -> int:
        """What is sent of an SPI."""
        return low_octets(spi, self.spi_octets)


def low_octets(number: int, octets: int) -> int:
    """The low octets of an SPI or a sequence number."""
    return number & (1 << 8 * octets) - 1


@dataclass(frozen=True, slots=True)
class Apart:
    """SPIs that must differ in what is sent of them: those by which one address receives from
    another.
    """

    ends: tuple[Address, Address]
    """Ours and the peer's."""
    octets: int

    def low(self, spi: int) -> int:
        """What is sent of an SPI."""
        return low_octets(spi, self.octets)


def apart_of(child: ChildSaParams) -> Apart | None:
    """What the inbound SPI of an SA differs from; None: it is sent whole, or counts as such."""
    if child.layout.spi_octets == WHOLE:
        return None
    return Apart((child.local, child.remote), child.layout.spi_octets)


def check_width(what: str, bits: int) -> None:
    """FormatError for a width of SPI or sequence number that is not of whole octets."""
    if bits not in (8 * octets for octets in LSB_OCTETS):
        raise FormatError(f"Diet-ESP: {bits} bits of the {what}; accepted: 8, 16, 24, 32")


def rule_for(
    source: TrafficSelector,
    target: TrafficSelector,
    *,
    spi_bits: int = 32,
    sn_bits: int = 32,
    trailer: bool = False,
) -> DietRule:
    """The rule of a direction with one selector a side; FormatError where no template fits."""
    check_width("SPI", spi_bits)
    check_width("sequence number", sn_bits)
    src, dst = _network(source), _network(target)
    template = _template(source, target, src, dst)
    ports = (source.ports[0], target.ports[0]) if template.protocol else (0, 0)
    return DietRule(template, src, dst, *ports, spi_bits // 8, sn_bits // 8, trailer)


def rules_of(child: ChildSaParams) -> tuple[DietRule, DietRule]:
    """What an SA pair compresses: inbound, outbound. FormatError where no template fits."""
    local, remote = child.local_ts, child.remote_ts
    return agreed_rule(child.layout, remote, local), agreed_rule(child.layout, local, remote)


def agreed_rule(
    layout: Layout, sources: Sequence[TrafficSelector], targets: Sequence[TrafficSelector]
) -> DietRule:
    """The rule of one direction, as both ends derive it from what they agreed on."""
    if (len(sources), len(targets)) != (1, 1):
        raise FormatError(
            f"Diet-ESP: {len(sources)} and {len(targets)} selectors; accepted: one a side"
        )
    rule = rule_for(sources[0], targets[0], trailer=layout.trailer)
    return replace(rule, spi_octets=layout.spi_octets, sn_octets=layout.sn_octets)


def key_words(rule: DietRule) -> tuple[tuple[str, object], ...]:
    """What the dissector must know of a direction, beside keys."""
    return (
        ("template", rule.template.name.lower().replace("_", "-")),
        ("spi_octets", rule.spi_octets),
        ("sn_octets", rule.sn_octets),
        *((("trailer", "yes"),) if rule.trailer else ()),
        ("inner_source", rule.src.network_address.exploded),
        ("inner_destination", rule.dst.network_address.exploded),
        *((("inner_source_port", rule.sport),) if rule.template.protocol else ()),
        *((("inner_destination_port", rule.dport),) if rule.template.protocol else ()),
    )


def _network(selector: TrafficSelector) -> Network:
    """The prefix that a selector is, if it is one."""
    size = int(selector.last) - int(selector.first) + 1
    length = selector.first.max_prefixlen - size.bit_length() + 1
    try:
        if size.bit_count() == 1:
            return ip_network(f"{selector.first}/{length}")
    except ValueError:  # it does not begin where a prefix of that length does
        pass
    raise FormatError(
        f"Diet-ESP: addresses {selector.first} to {selector.last}; "
        f"accepted: a host, or a prefix of {_lengths()} bits"
    )


def _template(
    source: TrafficSelector, target: TrafficSelector, src: Network, dst: Network
) -> Template:
    version = src.version
    if dst.version != version or source.protocol != target.protocol:
        raise FormatError("Diet-ESP: selectors of two families or protocols; accepted: of one")
    lengths, whole = {src.prefixlen, dst.prefixlen}, src.max_prefixlen
    if lengths == {whole} and source.protocol in (TCP, UDP):
        _check_ports(source, target)
        return Template[f"{'TCP' if source.protocol == TCP else 'UDP'}_V{version}"]
    if source.protocol:
        raise FormatError(
            f"Diet-ESP: protocol {source.protocol} between prefixes of {_listed(lengths)} bits; "
            "accepted: TCP or UDP between two hosts, or any protocol"
        )
    kinds = {whole: "HOST", SITE_LENGTHS[version]: "SITE"}
    if len(lengths) > 1 or not lengths <= set(kinds):
        raise FormatError(
            f"Diet-ESP: prefixes of {_listed(lengths)} bits; accepted: two hosts, or two prefixes "
            f"of {SITE_LENGTHS[version]} bits"
        )
    return Template[f"{kinds[src.prefixlen]}_V{version}"]


def _check_ports(source: TrafficSelector, target: TrafficSelector) -> None:
    for ports in (source.ports, target.ports):
        if ports[0] != ports[1]:
            raise FormatError(
                f"Diet-ESP: ports {ports[0]} to {ports[1]}; accepted: one port a side"
            )


def _lengths() -> str:
    return " or ".join(str(length) for length in SITE_LENGTHS.values())


def _listed(lengths: Iterable[int]) -> str:
    return " and ".join(str(length) for length in sorted(lengths))


def check_sa(
    rule: DietRule, *, mode: Mode, udp: bool, esn: bool, window: int, iv_len: int, tfc: int = 0
) -> None:
    """FormatError for what does not go with compression; `window` in packets, `tfc` in octets."""
    if mode is not Mode.TUNNEL:
        raise FormatError(f"Diet-ESP in {mode} mode; accepted: tunnel")
    if udp:
        raise FormatError("Diet-ESP in UDP, where it may look like IKE; accepted: directly over IP")
    if esn:
        raise FormatError("Diet-ESP with ESN; accepted: noesn")
    if iv_len:
        raise FormatError(f"Diet-ESP with an IV of {iv_len} octets; accepted: an implicit IV")
    if tfc:
        raise FormatError("Diet-ESP with TFC padding, which nothing would tell; accepted: none")
    check_window(rule.sn_octets, window)


def check_window(sn_octets: int, window: int) -> None:
    """FormatError for an anti-replay window, in packets, wider than half of what octets of the
    number tell.
    """
    most = 1 << 8 * sn_octets - 1
    if not 0 < window <= most:
        raise FormatError(
            f"Diet-ESP: a window of {window} with {8 * sn_octets} bits of the number; "
            f"accepted: 1 to {most}"
        )


def check_spis(spis: Iterable[int], octets: int) -> None:
    """FormatError where two of one peer's SPIs cannot be told apart by what is sent of them, or
    where one begins as an ESP ping does, whose SPIs are small.
    """
    known: dict[int, int] = {}
    for spi in spis:
        low = low_octets(spi, octets)
        if low == 0 or spi <= 255:
            raise FormatError(
                f"Diet-ESP: SPI {spi:#010x} sent as {low:#x}; accepted: above 255, and not 0 in "
                f"its low {8 * octets} bits"
            )
        if known.setdefault(low, spi) != spi:
            raise FormatError(
                f"Diet-ESP: SPIs {known[low]:#010x} and {spi:#010x} of one peer share their low "
                f"{8 * octets} bits; accepted: SPIs that differ in them"
            )
