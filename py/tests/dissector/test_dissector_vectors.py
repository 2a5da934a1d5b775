"""tshark with our dissector opens every packet of the digest, and sees what is wrong with one."""

import random
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.packet import Raw
from tshark_dissector import (
    DISSECTOR,
    LINK,
    PING,
    Sealed,
    destination,
    judged,
    needs_tshark,
    run,
    vectors,
    write,
)

pytestmark = needs_tshark


@cache
def sealed() -> tuple[Sealed, ...]:
    return tuple(vectors())


def lines(version: int = 4) -> list[str]:
    return [item.key_line(place, version) for place, item in enumerate(sealed())]


def _words(capture: Path, keys: Path) -> tuple[str, ...]:
    return ("-X", f"lua_script:{DISSECTOR}", "-o", f"p4esp.keys:{keys}", "-r", str(capture))


@pytest.mark.parametrize("version", [4, 6])
def test_every_vector_is_authentic_and_its_inner_packet_is_shown(tmp_path, version) -> None:
    packets = [item.over(place, version) for place, item in enumerate(sealed())]
    rows = judged(tmp_path, packets, lines(version))
    for item, row in zip(sealed(), rows, strict=True):
        assert (row.good, row.faults) == ("1", frozenset()), item.name
        assert row.inner == item.inner, item.name


def test_each_vector_has_the_format_of_its_sa(tmp_path) -> None:
    packets = [item.over(place) for place, item in enumerate(sealed())]
    rows = judged(tmp_path, packets, lines())
    for item, row in zip(sealed(), rows, strict=True):
        assert f"format={row.format}" == item.line.split()[0]


def test_display_filters_find_what_is_inside(tmp_path) -> None:
    capture, keys = tmp_path / "all.pcap", tmp_path / "all.keys"
    write(capture, [item.over(place) for place, item in enumerate(sealed())])
    keys.write_text("\n".join(lines()))
    found = run(
        *_words(capture, keys), "-Y", "ip.src == 10.1.0.1 && udp.dstport == 53"
    ).splitlines()
    without = ("VG4", "VG6", "VJ")
    assert len(found) == len([item for item in sealed() if item.name not in without])


def test_esp_in_udp_is_opened_and_wesp_behind_its_marker(tmp_path) -> None:
    named = {item.name: item for item in sealed()}
    plain = replace(named["VA"], udp=4500)
    marked = replace(named["VF2"], udp=4500, octets=bytes((0, 0, 0, 2)) + named["VF2"].octets)
    pair = (plain, marked)
    packets = [item.over(place) for place, item in enumerate(pair)]
    rows = judged(tmp_path, packets, [item.key_line(place) for place, item in enumerate(pair)])
    assert [row.good for row in rows] == ["1", "1"]
    assert [row.inner for row in rows] == [named["VA"].inner] * 2


def test_every_flipped_bit_shows(tmp_path) -> None:
    packets, said = [], []
    for place, item in enumerate(sealed()):
        for at in range(len(item.octets)):
            for mask in (0x80, 0x01):
                octets = bytearray(item.octets)
                octets[at] ^= mask
                packets.append(item.over(place, octets=bytes(octets)))
                said.append((item.name, at, mask))
    for row, where in zip(judged(tmp_path, packets, lines()), said, strict=True):
        assert row.good != "1" or row.faults, where
        assert row.good == "0" or row.faults, where
        assert row.inner == b"" or row.good != "0", where


def test_a_wrong_key_and_no_key_show_nothing_of_the_inside(tmp_path) -> None:
    packets = [item.over(place) for place, item in enumerate(sealed())]
    wrong = [line.replace("=0001", "=ff01").replace("=4041", "=ff41") for line in lines()]
    wrong = [line.replace("master0=34", "master0=35") for line in wrong]
    for item, row in zip(sealed(), judged(tmp_path, packets, wrong), strict=True):
        assert (row.good, row.inner, row.faults) == ("0", b"", {"bad_icv"}), item.name
    other = "format=esp spi=0x999 encryption=aes128gcm16 key=" + "00" * 16 + " salt=00000000"
    for item, row in zip(sealed(), judged(tmp_path, packets, [other]), strict=True):
        assert row.good == "", item.name
        # WESP shows an integrity-only payload to everybody: that is what it is for.
        assert row.inner == (item.inner if item.name == "VF1" else b""), item.name
        assert row.faults & {"no_sa", "no_key"}, item.name


def test_truncated_packets_are_no_error_of_the_dissector(tmp_path) -> None:
    packets, said = [], []
    for place, item in enumerate(sealed()):
        for length in range(len(item.octets)):
            packets.append(item.over(place, octets=item.octets[:length]))
            said.append((item.name, length))
    for row, where in zip(judged(tmp_path, packets, lines()), said, strict=True):
        if where[1] or row.protocol not in ("IPv4", "UDP"):
            assert row.good != "1", where
            assert row.faults, where


def test_packets_that_the_capture_has_cut_are_told_so(tmp_path) -> None:
    packets, said = [], []
    for place, item in enumerate(sealed()):
        whole = bytes(item.over(place))
        start = len(whole) - len(item.octets)
        for length in range(start + 1, len(whole)):
            packet = Raw(whole[:length])
            packet.wirelen = len(whole)
            packets.append(packet)
            said.append((item.name, length - start))
    for row, where in zip(judged(tmp_path, packets, lines()), said, strict=True):
        assert row.good == "", where
        assert row.faults & {"cut", "no_sa", "truncated", "bad_version"}, where


def test_pings_in_clear_are_read_and_what_is_wrong_with_them_is_told(tmp_path) -> None:
    good = bytes.fromhex(PING)
    reply = bytes((0, 0, 0, 8)) + good[4:8] + b"\x03" + good[9:]
    empty = bytes.fromhex("00000007000000000102023b")
    returned = good[:9] + b"\x80" + good[10:16] + bytes(4) + good[16:]
    wrong = (good[:8] + b"\x03" + good[9:], good[:10] + b"\xff" + good[11:], good[:15])
    sent = (good, reply, empty, returned, *wrong)
    rows = judged(tmp_path, [Sealed("ping", 50, s, "", b"").over(0) for s in sent], [])
    assert [row.protocol for row in rows] == ["ESP ping"] * len(sent)
    faults = [set(row.faults) for row in rows]
    assert faults == [set()] * 4 + [{"mismatch"}, {"bad_length"}, {"truncated"}]


def test_without_a_key_file_esp_is_wiresharks_own(tmp_path) -> None:
    rows = judged(tmp_path, [sealed()[0].over(0)], [])
    assert (rows[0].protocol, rows[0].faults) == ("ESP", frozenset())


def test_a_key_file_that_cannot_be_read_is_told_with_every_packet(tmp_path) -> None:
    bad = [
        *("nonsense", "format=else spi=1", "format=esp", "format=esp spi=1 encryption=none"),
        "format=esp spi=1 encryption=aes128gcm16",
        "format=esp spi=1 encryption=aes128gcm16 key=00",
        "format=esp spi=1 encryption=aes128gcm16 key=0g salt=",
        f"format=esp spi=1 encryption=aes128gcm16 key={'00' * 16} salt=00",
        f"format=diet-esp spi=1 encryption=aes128gcm16 key={'00' * 16} salt=00000000",
        "# a comment",
    ]
    packet = sealed()[0]
    (row,) = judged(tmp_path, [packet.over(0)], [*bad, packet.key_line(0)])
    assert (row.good, row.faults) == ("1", {"key_file"})


def test_no_key_file_whatever_it_says_is_an_error_of_the_dissector(tmp_path) -> None:
    values = ("", "-1", "0", "1.5", "1e99", "nan", "0x", "99999999999999999999", "yes", "\xff", "=")
    good = [words for line in lines() for words in line.split()]
    names = sorted({word.partition("=")[0] for word in good})
    sealed_lines = lines()
    bad = [f"{line} {name}={value}" for name in names for value in values for line in sealed_lines]
    packets = [item.over(place) for place, item in enumerate(sealed())]
    rows = judged(tmp_path, packets, random.Random(1).sample(bad, 300))
    assert all("key_file" in row.faults for row in rows)


def test_what_a_key_file_says_wrong_is_not_shown_when_it_may_be_a_key(tmp_path) -> None:
    capture, keys = tmp_path / "one.pcap", tmp_path / "one.keys"
    write(capture, [sealed()[0].over(0)])
    keys.write_text("format=esp spi=1 key=5ec4e75ec4e7\nformat=esp 5ec4e75ec4e7\n")
    text = run(*_words(capture, keys), "-V")
    assert "line 1: key is not understood" in text
    assert "5ec4e7" not in text


def test_the_scripts_make_no_globals(tmp_path) -> None:
    capture, keys, strict = (tmp_path / name for name in ("one.pcap", "one.keys", "strict.lua"))
    write(capture, [item.over(place) for place, item in enumerate(sealed())])
    keys.write_text("\n".join(lines()))
    forbid = "setmetatable(_G, { __newindex = function(_, name) error(name) end })"
    strict.write_text(f"{forbid}\ndofile({str(DISSECTOR)!r})\n")
    words = ("-X", f"lua_script:{strict}", "-o", f"p4esp.keys:{keys}", "-r", str(capture))
    assert len(run(*words, "-Y", "p4esp.icv_good == 1").splitlines()) == len(sealed())


def test_only_the_destination_of_an_sa_is_opened_with_its_key(tmp_path) -> None:
    item = sealed()[0]
    (row,) = judged(tmp_path, [item.over(1)], [item.key_line(0)])
    assert (row.good, row.faults) == ("", {"no_sa"})
    assert destination(0) != destination(1)


def test_isakmp_on_port_4500_stays_what_it_is(tmp_path) -> None:
    ike = bytes(4) + bytes(range(1, 17)) + bytes.fromhex("21202208000000000000001c")
    packet = LINK / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4500, dport=4500) / Raw(ike)
    keepalive = LINK / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=4500, dport=4500) / b"\xff"
    rows = judged(tmp_path, [packet, keepalive], lines())
    assert [row.protocol for row in rows] == ["ISAKMP", "UDPENCAP"]
