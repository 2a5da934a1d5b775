"""EESP and WESP through the pipeline: what it must take, and what it must drop and why."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from format_reference import Key, Packet, _gcm_seal, seal

from p4esp.formats_lab.decoded import key_of
from p4esp.formats_lab.errors import LabError
from p4esp.formats_lab.gateways import ETHERNET, Pair, esp_of, site_frame, udp_packet, with_ttl
from p4esp.formats_lab.sas import SUBS, LabSa
from p4esp.formats_lab.vectors import digest_sa
from p4esp.ipsec.formats import Option, Parameters

PROGRAM = Path(__file__).parents[3] / "bmv2-configs" / "esp_gateway.json"
OPTIMIZED, FULL = digest_sa("eesp-optimized"), digest_sa("eesp-full")
SAS = {
    "optimized": OPTIMIZED,
    "full": FULL,
    "hidden": replace(FULL, parameters=Parameters()),
    "unnumbered": replace(OPTIMIZED, parameters=Parameters(numbered=False)),
    "wesp": digest_sa("wesp-v2"),
    "wesp-hidden": replace(digest_sa("wesp-v2"), parameters=Parameters()),
    "visible": digest_sa("wesp"),
}
LINK = bytes.fromhex("020000000100 020000000201 0800")


def numbered_sa(name: str) -> LabSa:
    place = list(SAS).index(name)
    return replace(SAS[name], number=place, spi=0x1000 + 16 * place)


@cache
def pair() -> Pair:
    """Two gateways with all of these SAs; each test has numbers of its own."""
    return Pair(PROGRAM, [numbered_sa(name) for name in SAS])


@cache
def counter() -> list[int]:
    return [100]


def said(name: str, sub: int = 0) -> Packet:
    """An honest packet with a number that was not seen before."""
    counter()[0] += 1
    sa = numbered_sa(name)
    inner = udp_packet(sa, 0, 61)
    packet = Packet(inner, sa.spi, counter()[0], sub, implicit_iv=not sa.parameters.iv_len)
    return replace(packet, shown=sa.parameters.shown, numbered=sa.parameters.numbered)


def sealed(name: str, packet: Packet) -> bytes:
    sa = numbered_sa(name)
    return seal(sa.form.name, Key(*key_of(sa, packet.sub)), packet)


def authentic(name: str, clear: bytes, text: bytes, iv: int, sub: int = 0) -> bytes:
    """A packet that only a peer with the key can have made, be its header as it may."""
    key = Key(*key_of(numbered_sa(name), sub))
    return clear + _gcm_seal(key, iv.to_bytes(8), text, clear)


def arrives(name: str, data: bytes) -> bytes:
    """The inner packet that comes out of the opening gateway."""
    protocol = numbered_sa(name).form.protocol
    total = (20 + len(data)).to_bytes(2)
    addresses = bytes((192, 0, 2, 1, 192, 0, 2, 2))
    head = b"\x45\0" + total + bytes(4) + bytes((64, protocol, 0, 0)) + addresses
    (frame,) = pair().open([LINK + with_ttl(head, 64) + data])
    return frame[ETHERNET:]


def dropped(name: str, data: bytes, reason: str) -> None:
    before = pair().opening.drops()
    with pytest.raises(LabError):
        arrives(name, data)
    assert reason in difference(before, pair().opening.drops())


def difference(before: str, after: str) -> set[str]:
    """The reasons whose counters moved."""
    changed = set(after.split(", ")) - set(before.split(", "))
    return {entry.split()[0] for entry in changed}


def changed(data: bytes, at: int, digits: str) -> bytes:
    octets = bytes.fromhex(digits)
    return data[:at] + octets + data[at + len(octets) :]


# ------------------------------------------------------------ what must arrive


@pytest.mark.parametrize("name", SAS)
def test_an_honest_packet_of_the_reference_arrives(name: str) -> None:
    packet = said(name)
    assert arrives(name, sealed(name, packet)) == with_ttl(packet.payload, 63)


@pytest.mark.parametrize("shown", [0, 4, 16, 32])
def test_each_packet_of_eesp_shows_what_its_option_says_up_to_the_maximum(shown: int) -> None:
    packet = replace(said("full"), shown=shown)
    assert arrives("full", sealed("full", packet)) == with_ttl(packet.payload, 63)


@pytest.mark.parametrize(("name", "shown"), [("full", 32), ("full", 0), ("hidden", 0)])
def test_a_pad_of_4_octets_is_taken_alone_and_behind_a_crypt_offset(name: str, shown: int) -> None:
    packet = replace(said(name), shown=shown, padded=True)
    assert arrives(name, sealed(name, packet)) == with_ttl(packet.payload, 63)


def test_the_data_of_a_pad_is_authenticated_and_not_looked_at() -> None:
    packet = replace(said("optimized"), padded=True)
    head = changed(sealed("optimized", packet)[:20], 8, "0102dead")
    text = packet.payload + bytes(3)
    data = authentic("optimized", head, text, packet.seq)
    assert arrives("optimized", data) == with_ttl(packet.payload, 63)
    forged = replace(said("optimized"), padded=True)
    dropped("optimized", changed(sealed("optimized", forged), 8, "0102dead"), "BAD_ICV")


@pytest.mark.parametrize("sub", range(SUBS))
def test_every_session_up_to_the_maximum_has_a_key_and_a_window_of_its_own(sub: int) -> None:
    packet = said("optimized", sub)
    data = sealed("optimized", packet)
    assert arrives("optimized", data) == with_ttl(packet.payload, 63)
    dropped("optimized", data, "REPLAY_DUP")


def test_without_numbers_nothing_is_a_replay() -> None:
    data = sealed("unnumbered", said("unnumbered"))
    assert arrives("unnumbered", data) == arrives("unnumbered", data)


@pytest.mark.parametrize("reserved", [1, 2, 3])
def test_reserved_bits_of_wesp_v2_are_ignored(reserved: int) -> None:
    packet = said("wesp")
    clear = changed(sealed("wesp", packet)[:48], 2, f"{28 | reserved:02x}")
    text = packet.payload[28:] + b"\1\1\4"
    data = authentic("wesp", clear, text, packet.seq)
    assert arrives("wesp", data) == with_ttl(packet.payload, 63)


# ------------------------------------------------------------ what must be dropped


@pytest.mark.parametrize("first", ["00", "88", "81", "f8"])
@pytest.mark.parametrize("name", ["optimized", "full"])
def test_other_versions_and_reserved_bits_of_eesp_are_dropped(name: str, first: str) -> None:
    dropped(name, changed(sealed(name, said(name)), 0, first), "BAD_VERSION")


@pytest.mark.parametrize(
    "option",
    [
        "03020000",  # unassigned
        "e0020000",  # private
        # Pad1, which is legal and not ours
        "01030000",
        "02041410",
        "02011410",
        "02021810",  # Payload Offset too far
        "02021010",  # and not far enough
    ],
)
def test_options_that_are_unknown_or_lie_about_lengths_are_dropped(option: str) -> None:
    packet = replace(said("hidden"), padded=True)
    dropped("hidden", changed(sealed("hidden", packet), 8, option), "BAD_OPTION")


@pytest.mark.parametrize("length", ["01", "02", "03", "05", "0c", "ff"])
def test_options_of_other_lengths_are_dropped(length: str) -> None:
    dropped("optimized", changed(sealed("optimized", said("optimized")), 1, length), "BAD_OPTION")


def test_a_crypt_offset_in_the_optimized_format_is_dropped() -> None:
    packet = replace(said("optimized"), padded=True)
    dropped("optimized", changed(sealed("optimized", packet), 8, "02021410"), "BAD_OPTION")


def test_a_crypt_offset_above_the_maximum_is_dropped() -> None:
    dropped("full", sealed("full", replace(said("full"), shown=36)), "BAD_OFFSET")


def test_a_crypt_offset_without_an_announced_maximum_is_dropped() -> None:
    dropped("hidden", sealed("hidden", replace(said("hidden"), shown=4)), "BAD_OFFSET")


def test_a_crypt_offset_beyond_the_packet_is_dropped() -> None:
    packet = said("full")
    clear = sealed("full", packet)[:28] + b"\0\0\4\0" + packet.payload[:24]
    dropped("full", authentic("full", clear, b"", packet.seq), "BAD_OFFSET")


def test_a_session_above_the_maximum_is_dropped_before_the_engine() -> None:
    data = sealed("optimized", said("optimized"))
    dropped("optimized", changed(data, 2, f"{SUBS:04x}"), "BAD_SUB")
    dropped("optimized", changed(data, 2, "ffff"), "BAD_SUB")


def test_another_session_in_flight_selects_another_key_and_fails() -> None:
    packet = said("optimized", 1)
    dropped("optimized", changed(sealed("optimized", packet), 2, "0002"), "BAD_ICV")


def test_number_zero_is_dropped() -> None:
    dropped("full", sealed("full", replace(said("full"), seq=0)), "SEQ_ZERO")


@pytest.mark.parametrize("name", ["full", "hidden", "wesp", "wesp-hidden"])
def test_a_dummy_is_dropped_silently_where_there_is_a_next_header(name: str) -> None:
    packet = replace(said(name), next_header=59)
    dropped(name, sealed(name, packet), "DUMMY")


def test_a_packet_that_is_no_ip_is_dropped_where_nothing_else_says_what_it_is() -> None:
    dropped("optimized", sealed("optimized", replace(said("optimized"), payload=bytes(40))),
            "BAD_INNER")  # fmt: skip


@pytest.mark.parametrize("padding", [7, 251, 255])
@pytest.mark.parametrize("name", ["optimized", "unnumbered"])
def test_padding_up_to_255_octets_is_taken_where_no_length_says_so(name: str, padding: int) -> None:
    packet = said(name)
    longer = replace(packet, payload=packet.payload + bytes(padding))
    assert arrives(name, sealed(name, longer)) == with_ttl(packet.payload, 63)


def test_padding_that_is_not_zero_is_dropped() -> None:
    packet = said("optimized")
    lying = replace(packet, payload=packet.payload + b"\1")
    dropped("optimized", sealed("optimized", lying), "BAD_PAD")


@pytest.mark.parametrize("cut", range(1, 33))
@pytest.mark.parametrize("name", ["optimized", "full", "wesp"])
def test_a_packet_cut_short_is_dropped(name: str, cut: int) -> None:
    data = sealed(name, said(name))
    with pytest.raises(LabError):
        arrives(name, data[:-cut])


@pytest.mark.parametrize("octets", range(0, 40, 4))
@pytest.mark.parametrize("name", ["optimized", "full", "unnumbered", "wesp"])
def test_a_packet_that_ends_in_its_header_is_dropped(name: str, octets: int) -> None:
    data = sealed(name, said(name))
    with pytest.raises(LabError):
        arrives(name, data[:octets])


@pytest.mark.parametrize(
    ("at", "digits"),
    [
        (3, "00"),  # version 0
        (3, "80"),  # version 2
        (3, "c0"),
        (1, "10"),  # header length
        (1, "18"),
        (2, "18"),  # crypt offset
        (2, "20"),
        (2, "00"),
        (3, "41"),  # octets of options
        (3, "7f"),
    ],
)
def test_wesp_v2_that_does_not_say_what_the_sa_says_is_dropped(at: int, digits: str) -> None:
    data = sealed("wesp", said("wesp"))
    dropped("wesp", changed(data, at, digits), "ENCAP_MISMATCH")


def test_an_option_of_wesp_v2_that_is_not_there_hides_the_spi() -> None:
    dropped("wesp", changed(sealed("wesp", said("wesp")), 3, "44"), "NO_SA")


def test_a_pad_of_wesp_v2_is_taken_over_ipv4_too() -> None:
    packet = replace(said("wesp"), padded=True)
    assert arrives("wesp", sealed("wesp", packet)) == with_ttl(packet.payload, 63)


def test_a_next_header_in_front_that_is_not_the_trailers_is_dropped_behind_the_engine() -> None:
    packet = said("wesp")
    clear = changed(sealed("wesp", packet)[:48], 0, "29")
    data = authentic("wesp", clear, packet.payload[28:] + b"\1\1\4", packet.seq)
    dropped("wesp", data, "ENCAP_MISMATCH")


@pytest.mark.parametrize("protocol", [0, 41])
def test_a_next_header_of_wesp_that_is_not_the_trailers_is_dropped(protocol: int) -> None:
    data = sealed("visible", said("visible"))
    dropped("visible", changed(data, 0, f"{protocol:02x}"), "ENCAP_MISMATCH")


@pytest.mark.parametrize(
    ("at", "digits"), [(1, "10"), (1, "18"), (2, "0c"), (3, "20"), (3, "10"), (3, "40"), (3, "80")]
)
def test_wesp_that_does_not_say_what_the_sa_says_is_dropped(at: int, digits: str) -> None:
    data = changed(sealed("visible", said("visible")), at, digits)
    with pytest.raises(LabError):
        arrives("visible", data)


@pytest.mark.parametrize("reserved", [1, 15])
def test_reserved_bits_of_wesp_are_ignored(reserved: int) -> None:
    packet = said("visible")
    data = changed(sealed("visible", packet), 3, f"{reserved:02x}")
    assert arrives("visible", data) == with_ttl(packet.payload, 63)


def test_with_all_encrypted_the_next_header_in_front_must_be_59() -> None:
    data = sealed("wesp-hidden", said("wesp-hidden"))
    assert data[0] == 59
    dropped("wesp-hidden", changed(data, 0, "04"), "ENCAP_MISMATCH")


def test_plain_esp_on_an_sa_of_wesp_v2_is_dropped() -> None:
    sa = numbered_sa("wesp")
    data = seal("esp", Key(sa.key, sa.salt), said("wesp"))
    total = (20 + len(data)).to_bytes(2)
    head = b"\x45\0" + total + bytes(4) + bytes((64, 50, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2))
    before = pair().opening.drops()
    with pytest.raises(LabError):
        pair().open([LINK + with_ttl(head, 64) + data])
    assert "ENCAP_MISMATCH" in difference(before, pair().opening.drops())


# ------------------------------------------------------------ what is sent


@pytest.mark.parametrize("name", SAS)
def test_the_first_number_is_1_and_each_session_counts_by_itself(name: str) -> None:
    sa = replace(numbered_sa(name), number=0)
    fresh = Pair(PROGRAM, [sa])
    frames = [fresh.seal([site_frame(udp_packet(sa, 0, 61))], port=port)[0] for port in (1, 2, 1)]
    opened = fresh.open(frames)
    assert len(opened) == 3
    if name.startswith(("optimized", "full", "hidden")):
        numbers = [number_of(esp_of(frame)) for frame in frames]
        assert numbers == [(1, 1), (2, 1), (1, 2)]


def number_of(packet: bytes) -> tuple[int, int]:
    at = 8 + packet[1]
    return int.from_bytes(packet[2:4]), int.from_bytes(packet[at : at + 8])


def test_padding_of_the_optimized_format_is_0_3_2_1() -> None:
    sa = numbered_sa("optimized")
    lengths = [
        len(esp_of(pair().seal([site_frame(udp_packet(sa, 0, octets))])[0])) - octets
        for octets in (36, 37, 38, 39)
    ]
    assert lengths == [32, 35, 34, 33]


def test_a_packet_shorter_than_what_the_sa_shows_is_not_sent() -> None:
    sa = replace(numbered_sa("full"), number=0)
    parameters = Parameters(shown=64, options=(Option.OFFSET,))
    fresh = Pair(PROGRAM, [replace(sa, parameters=parameters)])
    with pytest.raises(LabError, match="BAD_OFFSET 1"):
        fresh.seal([site_frame(udp_packet(sa, 0, 59))])
    assert len(fresh.seal([site_frame(udp_packet(sa, 0, 60))])) == 1
