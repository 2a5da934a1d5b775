"""The controller's packets, judged by scapy, and its parsers against hostile octets."""

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoReply,
    ICMPv6EchoRequest,
    ICMPv6ND_Redirect,
    ICMPv6TimeExceeded,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    PadN,
)
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from p4esp.controller import arp, icmp, icmpv6
from p4esp.controller.arp import Arp
from p4esp.controller.ike_transport import frame_of, payload_of
from p4esp.controller.packets import Ethernet, Ipv4, Ipv6, PacketError, Udp, ip_packet, routed_frame
from p4esp.ike.path import Datagram, Path, UdpAddress

A, B = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
A6, B6 = IPv6Address("2001:db8:ff::1"), IPv6Address("2001:db8:ff::2")
addresses = st.integers(1, 2**32 - 1).map(IPv4Address)
addresses_v6 = st.integers(1, 2**128 - 1).map(IPv6Address)


def rebuilt(packet):
    """The packet with every length and checksum computed anew by scapy."""
    copy = packet.copy()
    for layer in (IP, UDP, ICMP):
        if layer in copy:
            for field in ("len", "chksum"):
                copy[layer].delfieldval(field) if field in copy[layer].fields else None
    return bytes(copy)


@given(addresses, addresses, st.integers(0, 65535), st.integers(0, 65535), st.binary(max_size=200))
def test_udp_lengths_and_checksums_are_those_of_scapy(src, dst, sport, dport, payload) -> None:
    frame = routed_frame(Udp(sport, dport, payload).over(src, dst))
    assert bytes(Ether(frame)[IP]) == rebuilt(Ether(frame)[IP])


@given(addresses, addresses, st.binary(max_size=200))
def test_parsing_reads_what_scapy_wrote(src, dst, payload) -> None:
    frame = Ether() / Dot1Q(vlan=7) / IP(src=str(src), dst=str(dst)) / UDP(sport=1, dport=2)
    parsed = Ethernet.parse(bytes(frame / Raw(payload)) + b"padding")
    packet = Ipv4.parse(parsed.payload)
    assert (parsed.vid, packet.src, packet.dst) == (7, src, dst)
    assert Udp.parse(packet) == Udp(1, 2, payload)


@given(st.binary(max_size=80))
def test_parsers_raise_nothing_but_packet_errors(data: bytes) -> None:
    for parse in (Ethernet.parse, Ipv4.parse, Ipv6.parse, Arp.parse):
        with suppress(PacketError):
            parse(data)


@given(st.integers(0, 27), st.integers(1, 255))
def test_a_changed_octet_of_an_ipv4_packet_with_udp_is_noticed(place: int, change: int) -> None:
    good = Udp(500, 500, b"0123").over(A, B).build()
    bad = bytearray(good)
    bad[place] ^= change
    if place in (26, 27) and bad[26:28] == b"\0\0":
        return  # no checksum: nothing to notice (RFC 768)
    with pytest.raises(PacketError):
        Udp.parse(Ipv4.parse(bytes(bad)))


def test_arp_request_and_reply_are_those_of_scapy() -> None:
    asked = arp.request(MAC_A, A, B)
    expected = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:01") / ARP(
        op=1, hwsrc="02:00:00:00:00:01", psrc=str(A), hwdst="00:00:00:00:00:00", pdst=str(B)
    )
    assert asked.frame(0) == bytes(expected)
    answer = Ether(Arp.parse(asked.build()).reply(MAC_B).frame(0))
    assert (answer.dst, answer[ARP].op, answer[ARP].hwsrc) == (
        "02:00:00:00:00:01",
        2,
        "02:00:00:00:00:02",
    )


@pytest.mark.parametrize("mac", ["00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01"])
def test_arp_from_no_single_station_is_refused(mac: str) -> None:
    with pytest.raises(PacketError, match="one station"):
        Arp.parse(bytes(ARP(op=1, hwsrc=mac, psrc=str(A), pdst=str(B))))


def test_echo_request_is_answered_as_scapy_would() -> None:
    request = IP(src=str(A), dst=str(B)) / ICMP(type=8, id=7, seq=9) / Raw(b"hello")
    answer = icmp.echo_reply(Ipv4.parse(bytes(request)))
    assert answer is not None
    seen = IP(answer.build())
    assert (seen.src, seen.dst, seen[ICMP].type, seen[ICMP].id, seen[ICMP].seq) == (
        *(str(B), str(A), 0, 7, 9),
    )
    assert bytes(seen) == rebuilt(seen)


def test_time_exceeded_quotes_header_and_eight_octets() -> None:
    offender = IP(src=str(A), dst="10.9.9.9", ttl=1) / UDP(sport=1, dport=2) / Raw(b"x" * 50)
    answer = icmp.time_exceeded(Ipv4.parse(bytes(offender)), B)
    assert answer is not None
    seen = IP(answer.build())
    quoted = bytes(offender)[:28]
    assert (seen[ICMP].type, seen[ICMP].code, seen.dst) == (11, 0, str(A))
    assert bytes(seen[ICMP])[8:] == quoted
    assert bytes(seen) == rebuilt(seen)


@pytest.mark.parametrize(
    "offender",
    [
        IP(src=str(A), dst=str(B)) / ICMP(type=11) / Raw(b"x" * 28),
        IP(src=str(A), dst=str(B), frag=5) / Raw(b"x" * 28),
        IP(src="224.0.0.1", dst=str(B)) / UDP(),
        IP(src="0.0.0.0", dst=str(B)) / UDP(),
        IP(src=str(A), dst="255.255.255.255") / UDP(),
    ],
)
def test_no_icmp_error_is_sent_about_what_rfc1812_exempts(offender) -> None:
    assert icmp.time_exceeded(Ipv4.parse(bytes(offender)), B) is None


def rebuilt_v6(packet: IPv6) -> bytes:
    """The packet with every length and checksum computed anew by scapy."""
    copy = packet.copy()
    for layer, field in (
        (IPv6, "plen"),
        (UDP, "len"),
        (UDP, "chksum"),
        (ICMPv6EchoReply, "cksum"),
        (ICMPv6TimeExceeded, "cksum"),
    ):
        if layer in copy:
            copy[layer].delfieldval(field)
    return bytes(copy)


@given(
    *(addresses_v6, addresses_v6, st.integers(0, 65535), st.integers(0, 65535)),
    st.binary(max_size=200),
)
def test_udp_over_ipv6_is_that_of_scapy_and_never_without_checksum(
    src, dst, sport, dport, payload
) -> None:
    """RFC 8200 8.1: a sum of zero is sent as FFFF."""
    frame = Ether(routed_frame(Udp(sport, dport, payload).over(src, dst)))
    assert bytes(frame[IPv6]) == rebuilt_v6(frame[IPv6])
    assert bytes(frame[IPv6])[46:48] != b"\0\0"


def test_udp_over_ipv6_without_checksum_is_refused_and_over_ipv4_taken() -> None:
    bare = UDP(sport=500, dport=500, chksum=0) / Raw(b"hello")
    over_v4 = Ipv4.parse(bytes(IP(src=str(A), dst=str(B)) / bare))
    assert Udp.parse(over_v4).payload == b"hello"
    with pytest.raises(PacketError, match="checksum"):
        Udp.parse(Ipv6.parse(bytes(IPv6(src=str(A6), dst=str(B6)) / bare)))


EXTENSIONS = [
    IPv6ExtHdrHopByHop(options=[PadN(optdata=b"x" * 4)]),
    IPv6ExtHdrRouting(addresses=["2001:db8::7"]),
    IPv6ExtHdrDestOpt(options=[PadN(optdata=b"y" * 12)]),
]


@given(st.lists(st.sampled_from(EXTENSIONS), max_size=7, unique_by=id), st.binary(max_size=40))
def test_parsing_reads_behind_extension_headers_and_building_keeps_them(headers, payload) -> None:
    sent = IPv6(src=str(A6), dst=str(B6), tc=5, fl=77, hlim=9)
    for header in headers:
        sent /= header.copy()
    sent /= UDP(sport=1, dport=2) / Raw(payload)
    parsed = Ipv6.parse(bytes(sent) + b"padding")
    assert (parsed.src, parsed.dst, parsed.hop_limit, parsed.protocol) == (A6, B6, 9, 17)
    assert (parsed.traffic_class, parsed.flow_label) == (5, 77)
    assert parsed.payload == bytes(sent[UDP])
    assert parsed.build() == bytes(sent)


def test_a_chain_of_extension_headers_is_bounded_and_may_not_run_out() -> None:
    option = b"\x3c\0\x01\x04\0\0\0\0"
    for body in (option * 9, option[:6], b"\x3c\x05" + bytes(6)):
        packet = IPv6(src=str(A6), dst=str(B6), nh=60) / Raw(body)
        with pytest.raises(PacketError, match="extension header"):
            Ipv6.parse(bytes(packet))


@given(st.integers(0, 51), st.integers(1, 255))
def test_a_changed_octet_of_an_ipv6_packet_with_udp_is_noticed(place: int, change: int) -> None:
    """All but class, label and hop limit, which nothing covers."""
    bad = bytearray(Udp(500, 500, b"0123").over(A6, B6).build())
    bad[place] ^= change
    if place in (1, 2, 3, 7) or (place == 0 and bad[0] >> 4 == 6):
        return
    with pytest.raises(PacketError):
        Udp.parse(Ipv6.parse(bytes(bad)))


@pytest.mark.parametrize(("here", "there"), [(A, B), (A6, B6)])
def test_ike_takes_a_path_of_either_family(here, there) -> None:
    path = Path(UdpAddress(here, 500), UdpAddress(there, 4500))
    frame = frame_of(Datagram(b"message", path))
    assert frame is not None
    assert payload_of(Ethernet.parse(frame)) == (
        *(b"message", Path(UdpAddress(there, 4500), UdpAddress(here, 500))),
    )


def test_ike_takes_no_path_between_two_families() -> None:
    path = Path(UdpAddress(A, 500), UdpAddress(B6, 500))
    assert frame_of(Datagram(b"message", path)) is None


def test_icmpv6_echo_request_is_answered_as_scapy_would() -> None:
    request = IPv6(src=str(A6), dst=str(B6)) / ICMPv6EchoRequest(id=7, seq=9, data=b"hello")
    answer = icmpv6.echo_reply(Ipv6.parse(bytes(request)))
    assert answer is not None
    seen = IPv6(answer.build())
    assert (seen.src, seen.dst, seen[ICMPv6EchoReply].id) == (str(B6), str(A6), 7)
    assert (seen[ICMPv6EchoReply].seq, seen[ICMPv6EchoReply].data) == (9, b"hello")
    assert bytes(seen) == rebuilt_v6(seen)


@pytest.mark.parametrize(
    "request_",
    [
        IPv6(src=str(A6), dst=str(B6)) / ICMPv6EchoRequest(cksum=1),
        IPv6(src="::", dst=str(B6)) / ICMPv6EchoRequest(),
        IPv6(src="ff02::1", dst=str(B6)) / ICMPv6EchoRequest(),
        IPv6(src=str(A6), dst=str(B6)) / ICMPv6EchoReply(),
        IPv6(src=str(A6), dst=str(B6)) / IPv6ExtHdrFragment(m=1) / ICMPv6EchoRequest(),
    ],
    ids=["checksum", "nobody", "multicast", "a reply", "a fragment"],
)
def test_what_is_no_echo_request_gets_no_answer(request_) -> None:
    assert icmpv6.echo_reply(Ipv6.parse(bytes(request_))) is None


@pytest.mark.parametrize("size", [50, 4000])
def test_icmpv6_time_exceeded_quotes_what_fits_the_least_mtu(size: int) -> None:
    """RFC 4443 2.4 c, 3.3."""
    offender = IPv6(src=str(A6), dst="2001:db8::9", hlim=1) / UDP() / Raw(b"x" * size)
    answer = icmpv6.time_exceeded(Ipv6.parse(bytes(offender)), B6)
    assert answer is not None
    octets = answer.build()
    seen = IPv6(octets)
    assert (seen[ICMPv6TimeExceeded].code, seen.src, seen.dst) == (0, str(B6), str(A6))
    assert octets[48:] == bytes(offender)[: 1280 - 48]
    assert bytes(seen) == rebuilt_v6(seen)


@pytest.mark.parametrize(
    "offender",
    [
        IPv6(src=str(A6), dst=str(B6)) / ICMPv6TimeExceeded() / Raw(b"x" * 40),
        IPv6(src=str(A6), dst=str(B6)) / ICMPv6DestUnreach() / Raw(b"x" * 40),
        IPv6(src=str(A6), dst=str(B6)) / ICMPv6ND_Redirect(),
        IPv6(src="ff02::1", dst=str(B6)) / UDP(),
        IPv6(src="::", dst=str(B6)) / UDP(),
        IPv6(src=str(A6), dst="ff0e::1") / UDP(),
    ],
)
def test_no_icmpv6_error_is_sent_about_what_rfc4443_exempts(offender) -> None:
    assert icmpv6.time_exceeded(Ipv6.parse(bytes(offender)), B6) is None


def test_the_ethertype_says_which_family_a_punted_packet_is_of() -> None:
    for packet in (Udp(1, 2, b"").over(A, B), Udp(1, 2, b"").over(A6, B6)):
        assert ip_packet(Ethernet.parse(routed_frame(packet))) == packet
