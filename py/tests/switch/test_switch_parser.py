"""Parser: every state meets every truncation, errors never drop by themselves."""

from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from switch_lab import lab, program_json

OK, TOO_SHORT, HEADER_TOO_SHORT, NOT_FOR_US, INVALID_ARGUMENT = range(5)
ETHERNET, VLAN, IPV4, OPTIONS, TAG, SKIP = (1 << bit for bit in range(6))

running = lab("parse")


def ethernet(kind: int, body: bytes) -> bytes:
    return bytes(12) + kind.to_bytes(2, "big") + body


def report(packet: bytes, port: int = 0) -> tuple[int, int, int, bytes]:
    """Error, headers seen, byte peeked, and the packet behind the report."""
    [(out_port, answer)] = running.send(packet, port)
    assert out_port == 1
    assert int.from_bytes(answer[6:8], "big") == port
    return int.from_bytes(answer[:4], "big"), answer[4], answer[5], answer[8:]


def test_a_parsed_packet_leaves_unchanged_behind_the_report():
    packet = bytes(Ether() / Dot1Q(vlan=5) / IP() / UDP() / b"payload")
    error, seen, peeked, rest = report(packet, port=9)
    assert (error, seen) == (OK, ETHERNET | VLAN | IPV4)
    assert peeked == packet[38]
    assert rest == packet


def test_every_truncation_ends_with_packet_too_short_and_keeps_every_byte():
    packet = bytes(Ether() / Dot1Q(vlan=5) / IP(options=b"\x01" * 8) / UDP())
    states = {14: ETHERNET, 18: VLAN, 38: IPV4, 46: OPTIONS, 47: 0}
    for length in range(1, 47):
        error, seen, _, rest = report(packet[:length])
        complete = sum(header for end, header in states.items() if end <= length)
        assert (error, seen) == (TOO_SHORT, complete), length
        assert rest == packet[:length]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([0x800, 0x8100, 0x1000, 0x1FFF, 0x2000, 0x9999]),
    st.binary(max_size=80),
    st.integers(0, 510),
)
def test_no_packet_is_lost_or_crashes_the_parser(kind, body, port):
    error, seen, _, rest = report(ethernet(kind, body), port)
    assert error in (OK, TOO_SHORT, HEADER_TOO_SHORT, NOT_FOR_US, INVALID_ARGUMENT)
    assert seen & ETHERNET
    if not seen & (SKIP | TAG):
        assert rest == ethernet(kind, body)


def test_verify_ends_parsing_with_its_error():
    error, seen, _, _ = report(ethernet(0x8100, b"\x0f\xff\x08\x00" + bytes(40)))
    assert (error, seen) == (NOT_FOR_US, ETHERNET | VLAN)
    error, seen, _, _ = report(ethernet(0x800, b"\x44" + bytes(40)))
    assert (error, seen) == (HEADER_TOO_SHORT, ETHERNET | IPV4)


def test_masked_select_cases_match_in_order():
    for kind in (0x1000, 0x1ABC, 0x1FFF):
        assert report(ethernet(kind, b"\x12\x34"))[1] == ETHERNET | TAG
    assert report(ethernet(0x3000, b"\x12\x34"))[1] == ETHERNET
    assert report(ethernet(0x8100, b"\x00\x05\x10\x77\x12\x34"))[1] == ETHERNET | VLAN | TAG
    assert report(ethernet(0x8100, b"\x10\x05\x08\x00" + bytes(30)))[1] == ETHERNET | VLAN


def test_lookahead_needs_the_bytes_it_looks_at():
    error, seen, _, _ = report(ethernet(0x800, bytes(IP())))
    assert (error, seen) == (TOO_SHORT, ETHERNET | IPV4)


def test_advance_drops_the_bytes_it_skips():
    error, seen, _, rest = report(ethernet(0x2000, b"\x10\x00\xaa\xbb\x00\x41tail"))
    assert (error, seen) == (OK, ETHERNET | SKIP | TAG)
    assert rest == ethernet(0x2000, b"\x10\x00\x00\x42tail")


def test_advance_by_part_of_a_byte_is_an_invalid_argument():
    error, seen, _, _ = report(ethernet(0x2000, b"\x09\x00" + bytes(8)))
    assert (error, seen) == (INVALID_ARGUMENT, ETHERNET | SKIP)


def test_a_changed_header_behind_untouched_ones_is_written_back():
    _, _, _, rest = report(ethernet(0x1000, b"\xaf\xffrest"))
    assert rest == ethernet(0x1000, b"\xa0\x00rest")


def test_a_state_that_several_states_lead_to_stands_once_in_the_code():
    source = running.device.source
    assert source.count("v_ipv4 = True") == 1
    assert source.count("v_tag = True") == 1


def test_a_parser_with_a_loop_runs_as_a_state_machine():
    """``parse_tag`` loops to itself until the packet ends: the error says so, nothing hangs."""
    document = program_json("parse")
    states = document["parsers"][0]["parse_states"]
    tag = next(s for s in states if s["name"] == "parse_tag")
    tag["transitions"][0]["next_state"] = "parse_tag"
    looping = lab(document)
    [(_, answer)] = looping.send(ethernet(0x1000, b"\x10\x01" * 5 + b"\x7f"))
    assert answer[3] == TOO_SHORT
    assert answer[8:] == ethernet(0x1000, b"\x10\x02\x7f")


def test_a_parser_that_never_ends_is_stopped_and_counted():
    document = program_json("parse")
    states = document["parsers"][0]["parse_states"]
    state = next(s for s in states if s["name"] == "parse_tag")
    state["parser_ops"] = []
    state["transitions"][0]["next_state"] = "parse_tag"
    looping = lab(document)
    assert looping.send(ethernet(0x1000, b"\x10\x01")) == []
    assert looping.device.faults == {"loop ran too long": 1}
