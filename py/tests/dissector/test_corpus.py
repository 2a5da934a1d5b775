"""The published captures are those that the command makes, and tshark shows what they hide."""

import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from format_vectors import ANSWERS
from tshark_dissector import DISSECTOR, REPOSITORY, Row, dissect, needs_tshark, run

from p4esp.formats_lab.corpus import captures, files, write
from p4esp.formats_lab.gateways import esp_of
from p4esp.formats_lab.vectors import VECTORS
from p4esp.ipsec.formats import FORMATS

PROGRAM = REPOSITORY / "bmv2-configs" / "esp_gateway.json"
CORPUS = REPOSITORY / "docs" / "corpus"
INDEX = json.loads((CORPUS / "index.json").read_text())


@cache
def made():
    return tuple(captures(PROGRAM))


@cache
def rows(name: str) -> list[Row]:
    """What tshark says of a capture."""
    return dissect(CORPUS / f"{name}.pcap", CORPUS / f"{name}.keys")


def test_the_command_makes_the_committed_corpus() -> None:
    wanted = {path.name: path.read_bytes() for path in CORPUS.iterdir()}
    assert dict(files(made())) == wanted, "run `p4esp formats corpus`"


def test_it_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    written = write(made(), tmp_path / "new" / "place")
    assert {path.name: path.read_bytes() for path in written} == dict(files(made()))


def test_every_format_and_every_vector_has_a_capture() -> None:
    formats = {item["format"] for item in INDEX}
    assert formats >= {form.name for form in FORMATS}
    assert {item["vector"] for item in INDEX} - {""} == {vector.id for vector in VECTORS}


def test_the_first_packet_is_the_vector() -> None:
    for capture in made():
        if capture.vector in ANSWERS:
            wanted = ANSWERS[capture.vector][2]
            assert esp_of(capture.frames[0]).hex() == wanted, capture.name


@needs_tshark
@pytest.mark.parametrize("item", INDEX, ids=lambda item: item["name"])
def test_tshark_verifies_every_packet_and_shows_what_it_hides(item) -> None:
    shown = rows(item["name"])
    assert len(shown) == item["packets"]
    assert [row.faults for row in shown] == [frozenset()] * len(shown)
    if item["inner"]:
        assert [row.good for row in shown] == ["1"] * len(shown)
        for row, inner in zip(shown, item["inner"], strict=True):
            assert row.inner
            assert bytes.fromhex(inner).endswith(row.inner)
        assert {row.format for row in shown} == {item["format"]}


@needs_tshark
def test_wireshark_by_itself_opens_plain_esp(tmp_path: Path) -> None:
    (tmp_path / "esp_sa").write_text((CORPUS / "esp.esp_sa").read_text())
    preferences = ("esp.enable_encryption_decode", "esp.enable_authentication_check")
    words = [word for name in preferences for word in ("-o", f"{name}:TRUE")]
    capture = ["-r", str(CORPUS / "esp.pcap"), "-Y", "esp.icv_good == 1 && ip.src == 10.1.0.1"]
    capture += ["-d", "udp.port==53,data"]
    found = run(*words, *capture, profile=tmp_path)
    assert len(found.splitlines()) == len(rows("esp"))


@needs_tshark
def test_an_echo_and_its_reply_are_shown() -> None:
    request, reply = rows("esp-ping")
    assert (request.protocol, request.sources) == ("ESP ping", ("192.0.2.1",))
    assert (reply.protocol, reply.sources) == ("ESP ping", ("192.0.2.2",))


@needs_tshark
def test_a_list_of_packets_says_what_they_are() -> None:
    named = {"esp-VJ": "encrypted ESP ping", "esp-ping": "ESP ping", "esp-V1": "UDP"}
    for name, wanted in named.items():
        keys = ["-o", f"p4esp.keys:{CORPUS / name}.keys"]
        words = ["-X", f"lua_script:{DISSECTOR}", *keys, "-r", str(CORPUS / f"{name}.pcap")]
        assert all(wanted in line for line in run(*words).splitlines()[1:]), name


@needs_tshark
@pytest.mark.parametrize("page", ["docs/dissector.md", "docs/corpus/README.md"])
def test_the_commands_of_a_page_show_packets(page: str) -> None:
    text = (REPOSITORY / page).read_text()
    commands = [
        line
        for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
        for line in block.replace("\\\n", " ").splitlines()
        if line.startswith("tshark") and "docs/corpus" in line
    ]
    assert commands
    for command in commands:
        assert str(DISSECTOR.relative_to(REPOSITORY)) in command
        assert "10.1.0.1" in run(*shlex.split(command)[1:])
