"""A Diet-ESP SA of the lab: what its gateways know beside ``sas``.

Its packets go to an address of the opening gateway that no other SA has: whatever else a peer sent
to it would be read as compressed.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from p4esp.controller.tables import diet_template
from p4esp.formats_lab.writing import Entry
from p4esp.ipsec.diet import DietRule, Template, check_sa, check_spis
from p4esp.ipsec.sa import Mode

GATEWAY: Final = IPv4Address("192.0.2.4")
"""Of the opening gateway."""
LOCAL_ID: Final = 4
PEER: Final = 1
SPORT, DPORT = 0x1234, 53


def rule_between(src: IPv4Address, dst: IPv4Address) -> DietRule:
    """One UDP flow, with an octet of SPI and of number: what the digest's vector has."""
    hosts = (IPv4Network(src), IPv4Network(dst))
    return DietRule(Template.UDP_V4, *hosts, SPORT, DPORT, spi_octets=1, sn_octets=1)


def check(rule: DietRule, spi: int, mode: Mode, window: int, iv_len: int) -> None:
    """FormatError for an SA that cannot be compressed."""
    check_sa(rule, mode=mode, udp=False, esn=False, window=window, iv_len=iv_len)
    check_spis([spi], rule.spi_octets)


def sealing_entry(rule: DietRule, sa: int) -> Entry:
    """What the sealing gateway compresses."""
    return _template("diet_out", rule, sa)


def opening_entries(
    rule: DietRule, sa: int, generation: int, spi: int, peer: IPv4Address
) -> Iterator[Entry]:
    """How the opening gateway knows the peer and the SA, and what it restores."""
    yield Entry(
        "local_v4", {"dst": int(GATEWAY)}, "is_local_diet", {"local_id": LOCAL_ID, "proxied": 0}
    )
    widths = {"spi_octets": rule.spi_octets, "sn_octets": rule.sn_octets}
    match = {"local_id": LOCAL_ID, "src": int(peer)}
    yield Entry("diet_peer_v4", match, "diet_peer", {"peer": PEER, **widths})
    found = {"sa": sa, "generation": generation, "spi": spi}
    yield Entry("diet_sad", {"peer": PEER, "spi": rule.low_spi(spi)}, "open_diet", found)
    yield _template("diet_in", rule, sa)


def _template(table: str, rule: DietRule, sa: int) -> Entry:
    entry = diet_template(table, sa, rule)
    return Entry(table, {"sa": sa}, entry.action, dict(entry.args))
