"""Diet-ESP: which template an SA gets, and what is refused by name (digest i.3, i.5, i.7, i.11)."""

import re
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from p4esp.ipsec.diet import DietRule, Template, check_sa, check_spis, rule_for
from p4esp.ipsec.formats import FormatError, format_named
from p4esp.ipsec.formats.diet_esp import RESIDUES, elided_by, shaped
from p4esp.ipsec.formats.model import fixed_octets
from p4esp.ipsec.layouts import needs_implicit_iv, takes_udp
from p4esp.ipsec.sa import Mode
from p4esp.ipsec.selectors import TrafficSelector

IDS = Path(__file__).parents[3] / "p4src" / "common" / "ids.p4"
RULE = DietRule(
    Template.UDP_V4,
    *(ip_network("10.1.0.1/32"), ip_network("10.2.0.2/32"), 0x1234, 53),
    *(1, 1),
)
GOOD = {"mode": Mode.TUNNEL, "udp": False, "esn": False, "window": 64, "iv_len": 0}


def selector(network: str, protocol: int = 0, *ports: int) -> TrafficSelector:
    return TrafficSelector.of_network(network, protocol, *([ports] if ports else []))


def rule(src: str, dst: str, protocol: int = 0, **fields) -> DietRule:
    ports = ((0x1234, 0x1234), (53, 53)) if protocol in (6, 17) else ((), ())
    return rule_for(
        selector(src, protocol, *ports[0]), selector(dst, protocol, *ports[1]), **fields
    )


@pytest.mark.parametrize(
    ("src", "dst", "protocol", "template"),
    [
        ("10.1.0.1/32", "10.2.0.2/32", 17, Template.UDP_V4),
        ("10.1.0.1/32", "10.2.0.2/32", 6, Template.TCP_V4),
        ("10.1.0.1/32", "10.2.0.2/32", 0, Template.HOST_V4),
        ("10.1.0.0/24", "10.2.0.0/24", 0, Template.SITE_V4),
        ("2001:db8::1/128", "2001:db8:1::1/128", 17, Template.UDP_V6),
        ("2001:db8::1/128", "2001:db8:1::1/128", 6, Template.TCP_V6),
        ("2001:db8::1/128", "2001:db8:1::1/128", 0, Template.HOST_V6),
        ("2001:db8::/64", "2001:db8:1::/64", 0, Template.SITE_V6),
        ("::1/128", "::2/128", 0, Template.HOST_V6),
    ],
)
def test_the_template_follows_from_the_selectors(src, dst, protocol, template) -> None:
    found = rule(src, dst, protocol)
    assert found.template is template
    assert (found.src, found.dst) == (ip_network(src), ip_network(dst))
    assert (found.sport, found.dport) == ((0x1234, 53) if protocol else (0, 0))
    assert (template.version, template.protocol) == (found.src.version, protocol or None)


@pytest.mark.parametrize(
    ("src", "dst", "protocol", "complaint"),
    [
        ("10.1.0.0/16", "10.2.0.0/16", 0, "prefixes of 16 bits; accepted: two hosts, or two prefi"),
        ("10.1.0.0/24", "10.2.0.2/32", 0, "prefixes of 24 and 32 bits"),
        ("10.1.0.0/24", "10.2.0.0/24", 17, "protocol 17 between prefixes of 24 bits"),
        ("10.1.0.1/32", "10.2.0.2/32", 1, "protocol 1 between prefixes of 32 bits"),
        ("2001:db8::/48", "2001:db8:1::/64", 0, "prefixes of 48 and 64 bits"),
    ],
)
def test_selectors_without_a_template_are_refused(src, dst, protocol, complaint) -> None:
    with pytest.raises(FormatError, match=f"Diet-ESP: {complaint}"):
        rule(src, dst, protocol)


def test_a_range_that_is_no_prefix_is_refused() -> None:
    ragged = TrafficSelector(ip_address("10.1.0.1"), ip_address("10.1.0.2"))
    long = TrafficSelector(ip_address("10.1.0.1"), ip_address("10.1.0.3"))
    for bad in (ragged, long):
        with pytest.raises(FormatError, match="accepted: a host, or a prefix of 24 or 64 bits"):
            rule_for(bad, selector("10.2.0.0/24"))


def test_selectors_of_two_families_or_protocols_are_refused() -> None:
    with pytest.raises(FormatError, match="two families or protocols"):
        rule_for(selector("10.1.0.1/32"), selector("2001:db8::1/128"))
    with pytest.raises(FormatError, match="two families or protocols"):
        rule_for(selector("10.1.0.1/32", 17, 1, 1), selector("10.2.0.2/32", 6, 2, 2))


def test_a_flow_has_one_port_a_side() -> None:
    with pytest.raises(FormatError, match="ports 1 to 9; accepted: one port a side"):
        rule_for(selector("10.1.0.1/32", 17, 1, 9), selector("10.2.0.2/32", 17, 2, 2))


@pytest.mark.parametrize("bits", [0, 4, 5, 12, 33, 40])
def test_a_width_that_is_not_of_octets_is_refused(bits: int) -> None:
    # i.11 2 takes nibbles; ours are octets.
    for key in ("spi_bits", "sn_bits"):
        with pytest.raises(FormatError, match=f"{bits} bits of the .*; accepted: 8, 16, 24, 32"):
            rule("10.1.0.1/32", "10.2.0.2/32", 17, **{key: bits})


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_every_width_of_octets_is_taken(bits: int) -> None:
    found = rule("10.1.0.1/32", "10.2.0.2/32", 17, spi_bits=bits, sn_bits=bits)
    assert found.header == bits // 4
    assert found.low_spi(0xA1B2C3D4) == 0xA1B2C3D4 & (1 << bits) - 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"mode": Mode.TRANSPORT}, "in transport mode; accepted: tunnel"),
        ({"mode": Mode.BEET}, "in beet mode; accepted: tunnel"),
        ({"udp": True}, "in UDP, where it may look like IKE; accepted: directly over IP"),
        ({"esn": True}, "with ESN; accepted: noesn"),
        ({"iv_len": 8}, "with an IV of 8 octets; accepted: an implicit IV"),
        ({"tfc": 100}, "with TFC padding"),
        ({"window": 0}, "a window of 0 with 8 bits of the number; accepted: 1 to 128"),
        ({"window": 129}, "a window of 129 with 8 bits of the number; accepted: 1 to 128"),
    ],
)
def test_what_does_not_go_with_compression_is_refused(change, complaint) -> None:
    check_sa(RULE, **GOOD)
    with pytest.raises(FormatError, match=f"Diet-ESP.*{complaint}"):
        check_sa(RULE, **{**GOOD, **change})


def test_the_window_is_at_most_half_of_what_the_number_tells() -> None:
    check_sa(RULE, **{**GOOD, "window": 128})
    wide = DietRule(Template.UDP_V4, RULE.src, RULE.dst, sn_octets=2)
    check_sa(wide, **{**GOOD, "window": 32768})


def test_two_spis_of_one_peer_do_not_share_what_is_sent_of_them() -> None:
    check_spis([0x1001, 0x1002, 0x20FF], RULE.spi_octets)
    with pytest.raises(
        FormatError, match="0x00001001 and 0x00002001 of one peer share their low 8"
    ):
        check_spis([0x1001, 0x1002, 0x2001], RULE.spi_octets)
    check_spis([0x1001, 0x2001], 2)


@pytest.mark.parametrize("spi", [0x1000, 7, 255])
def test_an_spi_that_would_look_like_an_esp_ping_is_refused(spi: int) -> None:
    with pytest.raises(FormatError, match="accepted: above 255, and not 0 in its low 8 bits"):
        check_spis([spi], RULE.spi_octets)


def test_it_is_never_in_udp_and_never_has_an_iv() -> None:
    form = format_named("diet-esp")
    assert not takes_udp(form)
    assert needs_implicit_iv(form)


def test_numbers_of_the_templates_are_those_of_the_pipeline() -> None:
    (body,) = re.findall(r"enum bit<8> diet_t \{(.*?)\}", IDS.read_text(), re.DOTALL)
    numbers = {name: int(value) for name, value in re.findall(r"(\w+)\s*=\s*(\d+)", body)}
    assert numbers == {"NONE": 0} | {template.name: template.value for template in Template}


@pytest.mark.parametrize(
    ("template", "residue", "headers"),
    [
        ("UDP_V4", 4, 28),
        ("TCP_V4", 18, 40),
        ("HOST_V4", 7, 20),
        ("SITE_V4", 9, 20),
        ("UDP_V6", 4, 48),
        ("TCP_V6", 18, 60),
        ("HOST_V6", 5, 40),
        ("SITE_V6", 21, 40),
    ],
)
def test_a_template_sends_what_the_digest_counts(template: str, residue: int, headers: int) -> None:
    assert fixed_octets(RESIDUES[template]) == residue
    assert elided_by(template) == headers
    form = shaped(template, 2, 3)
    assert form.overhead(1000) == 20 + 5 + residue + 16 - headers
    kept = shaped(template, 2, 3, trailer=True)
    text = 1000 - headers + residue + 2
    assert kept.overhead(1000) == 20 + 5 + text + -text % 4 + 16 - 1000
