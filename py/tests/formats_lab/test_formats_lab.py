"""Pipeline and engine make the digest's packets, and every format's as the registry says."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from format_reference import Key, Packet, open_, seal
from format_vectors import ANSWERS, INNER

from p4esp.formats_lab.costs import MEASURED, Cost, compare, lab_sas
from p4esp.formats_lab.decoded import built_and_read, key_of
from p4esp.formats_lab.errors import LabError
from p4esp.formats_lab.gateways import ETHERNET, Pair, esp_of, site_frame, udp_packet, with_ttl
from p4esp.formats_lab.sas import SUBS, LabSa
from p4esp.formats_lab.vectors import VECTORS, digest_sa, produce, vector_named
from p4esp.formats_lab.writing import Entry
from p4esp.ipsec.formats import FORMATS, Format, FormatError, Number, format_named
from p4esp.ipsec.formats.decoding import Found
from p4esp.ipsec.formats.describing import SAMPLES
from p4esp.ipsec.formats.opening import open_packet
from p4esp.p4build.cost import cost_of

PROGRAM = Path(__file__).parents[3] / "bmv2-configs" / "esp_gateway.json"
every_format = pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
whole_packets = pytest.mark.parametrize(
    "form",
    [form for form in FORMATS if form.name != "diet-esp"],
    ids=lambda form: form.name,
)
"""Those whose text is the inner packet; Diet-ESP has tests of its own."""
ANSWERED = [vector for vector in VECTORS if vector.format != "diet-esp"]
NUMBERED = ("sub-child", "subspaces")


@cache
def pair_of_all(purpose: str = "sealing") -> Pair:
    """Two gateways with an SA of every format; each purpose has windows of its own."""
    return Pair(PROGRAM, lab_sas())


def lab_sa(form: Format) -> LabSa:
    return next(sa for sa in lab_sas() if sa.form is form)


@cache
def costs() -> list[Cost]:
    """One run of what `compare` measures."""
    return compare(PROGRAM)


# ------------------------------------------------------------ vectors


def test_the_vectors_are_those_of_the_issue() -> None:
    assert [vector.id for vector in ANSWERED] == list(ANSWERS)
    assert {vector.id for vector in VECTORS} - set(ANSWERS) == {"VI"}
    with pytest.raises(
        FormatError, match=r"accepted: V0, V1, VA, VB, VC1, VC2, VD, VE, VF1, VF2, VG1.*VH3"
    ):
        vector_named("VZ")


@pytest.mark.parametrize("vector", ANSWERED, ids=lambda vector: vector.id)
def test_a_vector_is_of_the_format_and_sub_of_the_digest(vector) -> None:
    name, packet, _ = ANSWERS[vector.id]
    assert (vector.format, vector.sub) == (name, packet.sub)


@pytest.mark.parametrize("vector", ["VA", "VF1", "VF2", "VG3", "VG4", "VG5", "VH1", "VH2", "VH3"])
def test_pipeline_and_engine_make_a_vector_and_open_it_again(vector: str) -> None:
    assert produce(PROGRAM, vector_named(vector)).hex() == ANSWERS[vector][2]


# ------------------------------------------------------------ every format


@every_format
def test_the_overhead_formula_is_what_leaves_the_pipeline(form: Format) -> None:
    sa, pair = lab_sa(form), pair_of_all()
    sizes = (*range(28, 46), 577, 1399, 1400)
    frames = pair.seal([site_frame(udp_packet(sa, 0, size)) for size in sizes])
    lengths = [len(frame) - ETHERNET - size for frame, size in zip(frames, sizes, strict=True)]
    assert lengths == [form.overhead(size) for size in sizes]


def said_by(sa: LabSa, packet: bytes) -> tuple[int, Packet]:
    """The sub ID and the number that a packet's header gives, read by hand."""
    empty = Packet(b"", implicit_iv=not sa.parameters.iv_len, shown=sa.parameters.shown)
    if sa.form.name in NUMBERED:
        sub, seq = int.from_bytes(packet[4:6]), int.from_bytes(packet[6:12])
        return sub, replace(empty, spi=sa.spi, seq=seq, sub=sub)
    if sa.form.number is Number.HEADER_IN_TRAILER:
        return 0, replace(empty, spi=sa.spi, seq=int.from_bytes(packet[-24:-16]))
    if sa.form.name.startswith("eesp"):
        number_at = 8 + packet[1]
        sub, seq = int.from_bytes(packet[2:4]), int.from_bytes(packet[number_at : number_at + 8])
        return sub, replace(empty, spi=sa.spi, seq=seq, sub=sub)
    if sa.form.name.startswith(("wesp", "diet")):
        number = packet[1:2] if sa.form.name == "diet-esp" else packet[8:12]
        return 0, replace(empty, spi=sa.spi, seq=int.from_bytes(number))
    if sa.form.name == "psp":
        said = replace(empty, spi=int.from_bytes(packet[4:8]), seq=int.from_bytes(packet[8:16]))
        return said.spi - sa.spi, said
    spi = int.from_bytes(packet[:4])
    return spi - sa.spi, replace(empty, spi=spi, seq=int.from_bytes(packet[4:8]))


@whole_packets
def test_the_reference_seals_what_the_pipeline_seals_and_opens_it(form: Format) -> None:
    sa = lab_sa(form)
    inner = [udp_packet(sa, flow, size) for flow, size in enumerate(range(28, 60))]
    frames = pair_of_all().seal([site_frame(packet) for packet in inner])
    for packet, frame in zip(inner, frames, strict=True):
        sealed = esp_of(frame)
        sub, said = said_by(sa, sealed)
        key = Key(*key_of(sa, sub))
        assert seal(form.name, key, replace(said, payload=packet)) == sealed
        assert open_(form.name, key, sealed, said.implicit_iv, said.shown) == (packet, 4)


@whole_packets
def test_what_the_reference_seals_the_pipeline_opens(form: Format) -> None:
    sa = lab_sa(form)
    pair, key = pair_of_all("opening"), Key(*key_of(sa))
    inner = [udp_packet(sa, flow, size) for flow, size in enumerate((*range(28, 60), 1400))]
    frames = []
    for seq, packet in enumerate(inner, 1):
        said = Packet(packet, sa.spi, seq, implicit_iv=not sa.parameters.iv_len)
        sealed = seal(form.name, key, replace(said, shown=sa.parameters.shown))
        frames.append(around(form, sealed))
    arrived = [frame[ETHERNET:] for frame in pair.open(frames)]
    assert arrived == [with_ttl(packet, 63) for packet in inner]


def around(form: Format, sealed: bytes) -> bytes:
    """The link and the outer IPv4 header of a packet of the lab, and UDP where there is one."""
    if form.udp_port:
        ports = (50000).to_bytes(2) + form.udp_port.to_bytes(2)
        sealed = ports + (8 + len(sealed)).to_bytes(2) + bytes(2) + sealed
    total = (20 + len(sealed)).to_bytes(2)
    addresses = bytes((192, 0, 2, 1, 192, 0, 2, 2))
    head = b"\x45\0" + total + bytes(4) + bytes((64, form.protocol, 0, 0)) + addresses
    return bytes.fromhex("020000000100 020000000201 0800") + with_ttl(head, 64) + sealed


@every_format
def test_every_octet_of_a_packet_is_protected(form: Format) -> None:
    pair = pair_of_all("protection")
    (frame,) = pair.seal([site_frame(udp_packet(lab_sa(form), 0, 36))])
    # Next header of WESP is compared behind the ICV, when the number is used up: a test of its own.
    start = len(frame) - len(esp_of(frame)) + (form.name == "wesp")
    for at in range(start, len(frame)):
        flipped = bytearray(frame)
        flipped[at] ^= 0x80
        with pytest.raises(LabError, match="0 of 1 came out"):
            pair.open([bytes(flipped)])
    assert len(pair.open([frame])) == 1, "and none of it has moved the window"


@every_format
def test_a_sender_with_several_spaces_uses_all_of_them_and_a_receiver_takes_them(form) -> None:
    sa, pair = lab_sa(form), pair_of_all("spaces")
    frames = pair.seal([site_frame(udp_packet(sa, flow, 64)) for flow in range(256)])
    subs = {said_by(sa, esp_of(frame))[0] for frame in frames}
    assert subs == set(range(sa.subs))
    assert len(pair.open(frames)) == 256


@whole_packets
def test_what_the_pipeline_made_is_read_field_by_field(form: Format) -> None:
    sa = lab_sa(form)
    inner = udp_packet(sa, 0, 61)
    (frame,) = pair_of_all().seal([site_frame(inner)])
    sub, _ = said_by(sa, packet := esp_of(frame))
    assert payload_in(packet, open_packet(form, packet, sa.parameters, *key_of(sa, sub))) == inner


def payload_in(packet: bytes, fields: list[Found]) -> bytes:
    """What of the inner packet the fields hold, which are the whole packet."""
    assert sum(found.bits for found in fields) == 8 * len(packet)
    parts = ("Clear Payload", "Payload", "Rest of Payload", "Inner IP Packet")
    return b"".join(found.octets for found in fields if found.field.name in parts)


def test_a_packet_is_built_and_read_for_a_user() -> None:
    packet, fields = built_and_read(PROGRAM, format_named("sub-child"), 61)
    assert payload_in(packet, fields) == udp_packet(digest_sa("sub-child"), 0, 61)


# ------------------------------------------------------------ compare


def test_compare_has_every_format_and_a_figure_in_every_cell() -> None:
    assert [cost.format for cost in costs()] == [form.name for form in FORMATS]
    for cost in costs():
        figures = json.loads(json.dumps(cost.as_dict()))
        numbers = [value for value in flat(figures) if not isinstance(value, str)]
        assert len(numbers) == len(SAMPLES) + 4 + 7 + 2
        assert all(value > 0 for value in numbers), cost
        assert cost.tail in ("no", "engine", "lookup")


def flat(value) -> list:
    if isinstance(value, dict):
        return [item for inner in value.values() for item in flat(inner)]
    return [value]


def test_measured_overhead_is_that_of_the_formula() -> None:
    for cost, form in zip(costs(), FORMATS, strict=True):
        assert cost.overhead == {size: form.overhead(size) for size in SAMPLES}


def test_the_engine_moves_the_text_and_what_is_appended() -> None:
    by_name = {cost.format: cost for cost in costs()}
    plain = by_name["esp"]
    assert plain.encap.engine == MEASURED + MEASURED + 2 + 2 + 16
    assert plain.decap.engine == plain.encap.engine
    assert by_name["crypt-offset"].encap.engine == plain.encap.engine - 2 * 28


def test_header_in_trailer_moves_the_whole_packet_in_the_pipeline_and_no_other_does() -> None:
    for cost in costs():
        whole = cost.format == "header-in-trailer"
        assert (cost.encap.pipeline > 2 * MEASURED) is whole
        assert (cost.decap.pipeline > 2 * MEASURED) is whole


def test_registers_of_a_space_are_within_the_issues_bound_and_spaces_add_up() -> None:
    for cost, form in zip(costs(), FORMATS, strict=True):
        assert cost.spaces == (1 if form.spaces == "one" else SUBS)
        receiver = cost.register_bits // 8 // cost.spaces - 8
        assert receiver <= 40, "octets of a space with a window of 64, sequence number apart"


def test_states_and_tables_are_some_of_the_programs() -> None:
    whole = cost_of(PROGRAM)
    for cost in costs():
        assert cost.parser_depth <= cost.parser_states < whole.parser_states
        assert cost.header_bits < whole.header_bits
        assert cost.tables < whole.keyed_tables


# ------------------------------------------------------------ mistakes


def test_a_program_without_the_tables_is_told_by_name() -> None:
    pair = pair_of_all()
    with pytest.raises(LabError, match="no table format_sideways"):
        pair.sealing.write([Entry("format_sideways", {}, "send_as")])
    with pytest.raises(LabError, match=r"sad: action open_by does not fit \(.*generation"):
        pair.opening.write([Entry("sad", {}, "open_by", {"sa": 1})])
    with pytest.raises(LabError, match="sa_in: no key spi"):
        pair.opening.write([Entry("sa_select", {"policy": 1}, "use_sa", {"sa": 1}),
                            Entry("sa_in", {"spi": 1}, "no_sa_in")])  # fmt: skip


def test_a_drop_is_told_by_its_reason() -> None:
    sa = digest_sa("esp")
    pair = Pair(PROGRAM, [sa])
    (frame,) = pair.seal([site_frame(INNER)])
    pair.open([frame])
    with pytest.raises(LabError, match="0 of 1 came out; drops: REPLAY_DUP 1"):
        pair.open([frame])
