"""What ICMP quotes of our packets: read as scapy writes it, and no other exception on damage."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import ICMPv6PacketTooBig, IPv6, IPv6ExtHdrHopByHop
from scapy.layers.ipsec import ESP
from scapy.packet import Raw

from p4esp.controller.packets import Ethernet, PacketError
from p4esp.controller.quoted import too_big

ESP4 = IP(src="192.0.2.1", dst="192.0.2.2", flags="DF") / ESP(spi=0x1234, seq=77) / Raw(bytes(1480))
UDP4 = (
    IP(src="192.0.2.1", dst="192.0.2.2")
    / UDP(sport=4500, dport=60000)
    / Raw(bytes(ESP(spi=0x1234, seq=77)) + bytes(1400))
)
WESP4 = IP(src="192.0.2.1", dst="192.0.2.2", proto=141) / Raw(
    b"\0\0\0\x80" + bytes(ESP(spi=0x1234, seq=77)) + bytes(1400)
)
WESP_UDP4 = (
    IP(src="192.0.2.1", dst="192.0.2.2")
    / UDP(sport=4500, dport=60000)
    / Raw(b"\0\0\0\x02\0\0\0\x80" + bytes(ESP(spi=0x1234, seq=77)) + bytes(1400))
)
ESP6 = IPv6(src="2001:db8::1", dst="2001:db8::2") / ESP(spi=0x1234, seq=77) / Raw(bytes(1400))
ROUTER4 = IP(src="203.0.113.1", dst="192.0.2.1")
ROUTER6 = IPv6(src="2001:db8:f::1", dst="2001:db8::1")


def message4(offender: IP, mtu: int = 1400, octets: int = 44) -> Ethernet:
    quote = Raw(bytes(offender)[:octets])
    packet = ROUTER4 / ICMP(type=3, code=4, nexthopmtu=mtu) / quote
    return Ethernet(bytes(6), bytes(6), 0x0800, bytes(packet))


def message6(offender: IPv6, mtu: int = 1400) -> Ethernet:
    packet = ROUTER6 / ICMPv6PacketTooBig(mtu=mtu) / Raw(bytes(offender)[:1200])
    return Ethernet(bytes(6), bytes(6), 0x86DD, bytes(packet))


@pytest.mark.parametrize(
    ("message", "ports"),
    [
        (message4(ESP4), None),
        (message4(ESP4, octets=28), None),
        (message4(UDP4), (4500, 60000)),
        (message4(WESP4), None),
        (message4(WESP_UDP4), (4500, 60000)),
        (message6(ESP6), None),
    ],
)
def test_the_quoted_packet_is_found_by_spi_sequence_number_addresses_and_ports(
    message, ports
) -> None:
    said = too_big(message)
    assert (said.spi, said.seq, said.mtu, said.ports) == (0x1234, 77, 1400, ports)
    assert str(said.src) in ("192.0.2.1", "2001:db8::1")
    assert str(said.dst) in ("192.0.2.2", "2001:db8::2")
    assert said.length > 1400


def test_the_mtu_is_found_behind_extension_headers() -> None:
    packet = ROUTER6 / IPv6ExtHdrHopByHop() / ICMPv6PacketTooBig(mtu=1300) / Raw(bytes(ESP6)[:60])
    assert too_big(Ethernet(bytes(6), bytes(6), 0x86DD, bytes(packet))).mtu == 1300


def test_a_router_that_quotes_eight_octets_of_udp_is_not_believed() -> None:
    with pytest.raises(PacketError, match="no SPI"):
        too_big(message4(UDP4, octets=28))


@given(st.sampled_from([message4(ESP4), message4(UDP4), message6(ESP6)]), st.data())
def test_damage_of_any_kind_is_a_packet_error(message: Ethernet, data) -> None:
    octets = bytearray(message.payload[: data.draw(st.integers(0, len(message.payload)))])
    for at in data.draw(st.lists(st.integers(0, max(len(octets) - 1, 0)), max_size=4)):
        if octets:
            octets[at] ^= data.draw(st.integers(1, 255))
    try:
        too_big(Ethernet(bytes(6), bytes(6), message.ether_type, bytes(octets)))
    except PacketError:
        return


@given(st.binary(max_size=120), st.sampled_from([0x0800, 0x86DD]))
def test_noise_is_a_packet_error(octets: bytes, ether_type: int) -> None:
    with pytest.raises(PacketError):
        too_big(Ethernet(bytes(6), bytes(6), ether_type, octets))
