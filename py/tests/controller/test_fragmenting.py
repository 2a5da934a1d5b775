"""IPv4 fragments (RFC 791 3.2), put together again by scapy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, IPOption, defragment
from scapy.packet import Raw

from p4esp.controller.fragmenting import fragments
from p4esp.controller.packets import Ipv4, PacketError

HOSTS = {"src": "10.1.0.10", "dst": "10.2.0.10"}


def packet(size: int, **fields) -> bytes:
    return bytes(IP(**HOSTS, id=7, proto=253, **fields) / Raw(bytes(i & 255 for i in range(size))))


@given(st.integers(0, 3000), st.integers(68, 1500))
def test_scapy_puts_the_pieces_together_again(size: int, mtu: int) -> None:
    whole = packet(size, ttl=9, tos=0xB8)
    pieces = fragments(whole, mtu)
    assert all(len(piece) <= mtu for piece in pieces)
    assert all(Ipv4.parse(piece).ttl == 9 for piece in pieces)
    assert [bytes(one) for one in defragment([IP(piece) for piece in pieces])] == [whole]


def test_a_fragment_is_cut_again_and_keeps_its_place() -> None:
    middle = packet(1200, flags="MF", frag=100)
    pieces = [Ipv4.parse(piece) for piece in fragments(middle, 576)]
    assert [piece.fragment & 0x1FFF for piece in pieces] == [100, 169, 238]
    assert all(piece.fragment & 0x2000 for piece in pieces)
    assert b"".join(piece.payload for piece in pieces) == middle[20:]


def test_options_go_with_every_piece_only_where_their_copy_bit_is_set() -> None:
    kept, first_only = IPOption(b"\x83\x07\x04" + bytes(4)), IPOption(b"\x07\x07\x04" + bytes(4))
    pieces = [IP(one) for one in fragments(packet(900, options=[first_only, kept]), 576)]
    options = [bytes(one)[20 : one.ihl * 4] for one in pieces]
    assert bytes(kept) in options[0]
    assert bytes(first_only) in options[0]
    assert options[1] == bytes(kept) + b"\0"


@pytest.mark.parametrize(
    ("offender", "mtu"),
    [(packet(900, flags="DF"), 576), (packet(900), 27)],
)
def test_what_must_not_or_cannot_be_cut_is_refused(offender: bytes, mtu: int) -> None:
    with pytest.raises(PacketError):
        fragments(offender, mtu)


@pytest.mark.parametrize("option", [b"\x83\0", b"\x83\x01", b"\x83\x09", b"\x01\x01\x01\x83"])
def test_a_broken_option_is_refused_not_followed(option: bytes) -> None:
    header = bytearray(packet(900))
    header[0] = 0x46
    with pytest.raises(PacketError):
        fragments(bytes(header[:20]) + option.ljust(4, b"\0") + bytes(header[20:]), 576)
