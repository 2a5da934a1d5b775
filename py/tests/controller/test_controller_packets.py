"""The controller's packets, judged by scapy, and its parsers against hostile octets."""

from contextlib import suppress
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw

from p4esp.controller import arp, icmp
from p4esp.controller.arp import Arp
from p4esp.controller.packets import Ethernet, Ipv4, PacketError, Udp, routed_frame

A, B = IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2")
MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
addresses = st.integers(1, 2**32 - 1).map(IPv4Address)


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
    for parse in (Ethernet.parse, Ipv4.parse, Arp.parse):
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
