"""Diet-ESP in tshark: every template's residue gives the inner packet back, every loss is survived.

The residues are made here by hand, with scapy's packets as what they must give back.
"""

import struct

import pytest
from format_reference import _gcm_seal
from format_vectors import SHARED
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Packet, Raw
from tshark_dissector import IIV, KEY, Sealed, judged, needs_tshark

pytestmark = needs_tshark
SPI = 0x1001
DATA = b"ABCDEFGHI"
V4 = {"src": "10.1.0.7", "dst": "10.2.0.2", "flags": "DF", "ttl": 64, "tos": 0xB9}
V6 = {"src": "2001:db8:1::7", "dst": "2001:db8:2::2", "hlim": 64, "tc": 0xB9, "fl": 0xABCDE}
PORTS = {"sport": 4660, "dport": 4661}
SEGMENT = TCP(**PORTS, seq=0x01020304, ack=0x05060708, flags="PA", window=0x1234, urgptr=0x77)
CASES = {
    "udp-v4": IP(**V4, id=0) / UDP(**PORTS) / Raw(DATA),
    "tcp-v4": IP(**V4, id=0) / SEGMENT / Raw(DATA),
    "host-v4": IP(**V4, id=0x4321, proto=17) / UDP(**PORTS) / Raw(DATA),
    "site-v4": IP(**V4, id=0x4321, proto=6) / SEGMENT / Raw(DATA),
    "udp-v6": IPv6(**V6) / UDP(**PORTS) / Raw(DATA),
    "tcp-v6": IPv6(**V6) / SEGMENT / Raw(DATA),
    "host-v6": IPv6(**V6) / UDP(**PORTS) / Raw(DATA),
    "site-v6": IPv6(**V6) / SEGMENT / Raw(DATA),
}


def residue(name: str, whole: bytes) -> bytes:
    """What is sent of a packet's headers, and what follows."""
    template, v6 = name.partition("-")[0], name.endswith("v6")
    packet = IPv6(whole) if v6 else IP(whole)
    if v6:
        bits = f"{packet.tc:08b}{packet.fl:020b}"
    else:
        more = "" if template in ("udp", "tcp") else f"{packet.id:016b}"
        bits = f"{packet.ihl:04b}{packet.tos:08b}{more}{struct.unpack('!H', whole[6:8])[0]:016b}"
    if template in ("host", "site"):
        bits += f"{packet.nh if v6 else packet.proto:08b}"
    if template == "site":
        ends = (whole[16:24], whole[32:40]) if v6 else (whole[15:16], whole[19:20])
        bits += "".join(f"{octet:08b}" for end in ends for octet in end)
    bits += "0" * (-len(bits) % 8)
    head = int(bits, 2).to_bytes(len(bits) // 8)
    rest = whole[40 if v6 else 20 :]
    if template == "udp":
        return head + rest[8:]
    return head + (rest[4:16] + rest[18:] if template == "tcp" else rest)


def diet(text: bytes, number: int = 1, spi_octets: int = 1, sn_octets: int = 1) -> bytes:
    """An authentic packet with an implicit IV around any text."""
    whole = struct.pack("!II", SPI, number)
    sealed = _gcm_seal(SHARED, struct.pack("!Q", number), text, whole)
    return whole[4 - spi_octets : 4] + whole[8 - sn_octets :] + sealed


def sealed(name: str, octets: bytes, more: str = "", sizes: tuple[int, int] = (1, 1)) -> Sealed:
    inner = CASES[name]
    known = f"inner_source={exploded(inner.src)} inner_destination={exploded(inner.dst)}"
    ports = " inner_source_port=4660 inner_destination_port=4661"
    line = (
        f"format=diet-esp spi=0x{SPI:08x} {IIV} {KEY} template={name} spi_octets={sizes[0]} "
        f"sn_octets={sizes[1]} {known}{ports} {more}"
    )
    return Sealed(name, 50, octets, line, bytes(inner))


def exploded(address: str) -> str:
    """IPv6 with all its zeros."""
    if ":" not in address:
        return address
    front, behind = (part.split(":") for part in address.split("::"))
    groups = [*front, *["0"] * (8 - len(front) - len(behind)), *behind]
    return ":".join(group.rjust(4, "0") for group in groups)


def told(directory, items):
    packets = [item.over(place) for place, item in enumerate(items)]
    return judged(directory, packets, [item.key_line(place) for place, item in enumerate(items)])


def test_every_template_gives_the_inner_packet_back(tmp_path) -> None:
    sizes = [(1, 1), (2, 2), (3, 1), (4, 4), (1, 2), (1, 3), (2, 1), (1, 1)]
    items = [
        sealed(name, diet(residue(name, bytes(inner)), 1, *size), "", size)
        for (name, inner), size in zip(CASES.items(), sizes, strict=True)
    ]
    for item, row in zip(items, told(tmp_path, items), strict=True):
        assert (row.protocol != "", row.good, row.faults) == (True, "1", frozenset()), item.name
        assert row.inner == item.inner, item.name


def test_a_trailer_that_the_sa_keeps_is_taken_off(tmp_path) -> None:
    text = residue("udp-v4", bytes(CASES["udp-v4"]))
    pad = -(len(text) + 2) % 4
    whole = text + bytes(range(1, pad + 1)) + bytes((pad, 4))
    dummy = b"dummy." + bytes((0, 59))
    items = [sealed("udp-v4", diet(octets), "trailer=yes") for octets in (whole, dummy)]
    rows = told(tmp_path, items)
    assert [row.inner for row in rows] == [items[0].inner, b"dummy."]
    assert [set(row.faults) for row in rows] == [set(), set()]


def test_a_udp_checksum_of_zero_is_sent_as_ones(tmp_path) -> None:
    inner = of_number(checksum(of_number(0)))
    assert checksum(inner) == 0xFFFF
    item = sealed("udp-v4", diet(residue("udp-v4", bytes(inner))))
    (row,) = told(tmp_path, [item])
    assert row.inner == bytes(inner)


def of_number(number: int) -> Packet:
    return IP(**V4, id=0) / UDP(**PORTS) / Raw(struct.pack("!H", number))


def checksum(packet: Packet) -> int:
    return struct.unpack("!H", bytes(packet)[26:28])[0]


@pytest.mark.parametrize("gap", [1, 100, 250, 255])
def test_numbers_are_found_again_after_a_loss(tmp_path, gap) -> None:
    text = residue("udp-v4", bytes(CASES["udp-v4"]))
    numbers = [1, 2, 2 + gap, 3 + gap, 1 + gap, 3 + 2 * gap]
    item = sealed("udp-v4", b"")
    packets = [item.over(0, octets=diet(text, number)) for number in numbers]
    rows = judged(tmp_path, packets, [item.key_line(0)])
    assert [row.good for row in rows] == ["1"] * len(numbers)
    assert [int(row.number) for row in rows] == numbers


def test_a_residue_that_no_packet_comes_of_is_told(tmp_path) -> None:
    good = residue("udp-v4", bytes(CASES["udp-v4"]))
    texts = [b"\x60" + good[1:], good[:3] + b"\x01" + good[4:], good[:3], b""]
    rows = told(tmp_path, [sealed("udp-v4", diet(text)) for text in texts])
    assert [row.good for row in rows] == ["1"] * 4
    wanted = [{"bad_residue"}, {"bad_residue"}, {"truncated"}, {"truncated"}]
    assert [set(row.faults) for row in rows] == wanted


def test_a_line_without_what_the_template_needs_is_left_out(tmp_path) -> None:
    item = sealed("udp-v4", diet(residue("udp-v4", bytes(CASES["udp-v4"]))))
    words = ("inner_source=", "inner_source_port=", "template=", "sn_octets=")
    for word in words:
        line = " ".join(part for part in item.key_line(0).split() if not part.startswith(word))
        (row,) = judged(tmp_path, [item.over(0)], [line])
        assert (row.good, row.faults) == ("", {"key_file", "no_sa"}), word
