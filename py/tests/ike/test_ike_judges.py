"""Our messages read by scapy and tshark, and scapy's messages read by us."""

import os
import re
import shutil
import subprocess

import pytest
from ike_lab import EAST, WEST, Lab, east_config, make_node, path_between, west_config
from scapy.contrib import ikev2
from scapy.layers.inet import IP, UDP
from scapy.utils import wrpcap

from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import Nonce
from p4esp.ike.config import DEFAULT_IKE, Settings
from p4esp.ike.crypto.curves import X25519
from p4esp.ike.errors import KeyExportError
from p4esp.ike.events import ChildRekeyed, ChildUp, IkeEstablished
from p4esp.ike.keylog import esp_lines, ike_line
from p4esp.ike.proposals import Template
from p4esp.ipsec.algorithms import SUITES

TSHARK = shutil.which("tshark")
DISSECTED = (
    *("aes128gcm16", "aes256gcm16", "aes192gcm12", "aes128gcm8"),
    *("aes128-sha256", "aes192-sha384", "aes256-sha512", "3des-sha1"),
)


def plain_chain(lab, index):
    """Message number `index`, opened with the endpoints' own keys, as scapy sees header and SK."""
    return ikev2.IKEv2(lab.wire[index][1].data)


@pytest.fixture(scope="module")
def lab():
    lab = Lab()
    ike = lab.connect()
    (spi,) = (event.child.spi_in for event in lab.west.of(ChildUp))
    lab.west.endpoint.rekey_child(spi, lab.now)
    lab.settle()
    lab.west.endpoint.delete_ike(ike, lab.now)
    lab.settle()
    return lab


def test_scapy_reads_our_ike_sa_init(lab):
    for index, response in ((0, False), (1, True)):
        message = plain_chain(lab, index)
        assert message.exch_type == 34
        assert message.length == len(lab.wire[index][1].data)
        assert bool(message.flags & "Response") is response
        proposal = message[ikev2.IKEv2_SA].prop
        assert (proposal.proposal, proposal.proto) == (1, 1)
        assert message[ikev2.IKEv2_KE].group == 31
        assert len(message[ikev2.IKEv2_KE].ke) == 32
        assert len(message[ikev2.IKEv2_Nonce].nonce) == 32
        assert message[ikev2.IKEv2_Notify].type == 16388


def transforms_of(message):
    transform, found = message[ikev2.IKEv2_SA].prop.trans, []
    while isinstance(transform, ikev2.IKEv2_Transform):
        bits = transform.key_length if transform.transform_type == 1 else None
        found.append((transform.transform_type, transform.transform_id, bits))
        transform = transform.payload
    return found


def test_scapy_finds_the_transforms_we_offered_and_chose(lab):
    offered, chosen = plain_chain(lab, 0), plain_chain(lab, 1)
    assert offered[ikev2.IKEv2_SA].prop.trans_nb == len(DEFAULT_IKE[0].transforms)
    assert chosen[ikev2.IKEv2_SA].prop.trans_nb == 3
    assert transforms_of(chosen) == [(1, 20, 256), (2, 5, None), (4, 31, None)]


def test_we_read_an_ike_sa_init_that_scapy_built():
    ours = X25519(lambda size: bytes(range(size)))
    transforms = (
        ikev2.IKEv2_Transform(
            transform_type="Encryption", transform_id=20, length=12, key_length=256
        )
        / ikev2.IKEv2_Transform(transform_type="PRF", transform_id=5)
        / ikev2.IKEv2_Transform(transform_type="GroupDesc", transform_id=31)
    )
    packet = (
        ikev2.IKEv2(init_SPI=b"scapyspi", exch_type=34, flags="Initiator", next_payload="SA")
        / ikev2.IKEv2_SA(
            prop=ikev2.IKEv2_Proposal(proto="IKE", trans_nb=3, trans=transforms), next_payload="KE"
        )
        / ikev2.IKEv2_KE(group=31, ke=ours.public, next_payload="Nonce")
        / ikev2.IKEv2_Nonce(nonce=b"n" * 32)
    )
    data = bytes(packet)
    assert parse_message(data).clear.one(Nonce).data == b"n" * 32
    east = make_node([Lab().east_config], 2)
    east.endpoint.receive_datagram(data, path_between(EAST, WEST), 0.0)
    (answer,) = east.endpoint.datagrams_to_send(0.0)
    reply = ikev2.IKEv2(answer.data)
    assert reply.init_SPI == b"scapyspi"
    assert reply[ikev2.IKEv2_KE].group == 31


def capture(lab, path):
    """The lab's wire as a capture file."""
    packets = []
    for time, datagram in lab.wire:
        local, remote = datagram.path.local, datagram.path.remote
        packet = (
            IP(src=str(local.host), dst=str(remote.host))
            / UDP(sport=local.port, dport=remote.port)
            / datagram.data
        )
        packet.time = time
        packets.append(packet)
    wrpcap(str(path), packets)


def tshark(directory, lab, row, *arguments):
    """Dissect the lab's wire with a Wireshark profile that holds the exported rows."""
    capture(lab, directory / "ike.pcap")
    profile = directory / "profiles" / "exported"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ikev2_decryption_table").write_text(f"{row}\n")
    command = [TSHARK, "-C", "exported", "-r", str(directory / "ike.pcap"), *arguments]
    environment = {**os.environ, "WIRESHARK_CONFIG_DIR": str(directory)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return run.stdout


@pytest.mark.skipif(TSHARK is None, reason="tshark missing")
@pytest.mark.parametrize("cipher", DISSECTED)
@pytest.mark.parametrize("forced", [False, True], ids=["port 500", "port 4500"])
def test_tshark_decrypts_the_whole_conversation_with_our_exported_keys(tmp_path, cipher, forced):
    proposals = (Template.ike(f"{cipher}-prfsha256-x25519", allow_weak=True),)
    east = east_config(proposals=proposals)
    lab = Lab(west_config(proposals=proposals, force_encapsulation=forced), east)
    ike = lab.connect()
    lab.west.endpoint.rekey_child(lab.west.one(ChildUp).child.spi_in, lab.now)
    lab.settle()
    lab.west.endpoint.delete_ike(ike, lab.now)
    lab.settle()
    row = ike_line(*lab.west.keys[0])
    assert row == ike_line(*lab.east.keys[0])
    fields = "isakmp.exchangetype", "isakmp.typepayload", "_ws.malformed", "_ws.expert.message"
    options = [option for field in fields for option in ("-e", field)]
    rows = tshark(tmp_path, lab, row, "-T", "fields", "-E", "separator=|", *options)
    lines = [line.split("|") for line in rows.splitlines()]
    # Exchanges: handshake, rekey, delete of the old child SA, delete of the IKE SA.
    assert [line[0] for line in lines] == ["34"] * 2 + ["35"] * 2 + ["36"] * 2 + ["37"] * 4
    assert {line[2] for line in lines} == {""}
    payloads = [set(line[1].split(",")) for line in lines]
    assert {"33", "35", "36", "39", "41", "44", "45", "46"} <= payloads[2]
    assert {"33", "36", "39", "44", "45", "46"} <= payloads[3]
    assert {"33", "40", "41", "44", "45", "46"} <= payloads[4]
    assert "42" in payloads[6] & payloads[7] & payloads[8]
    text = tshark(tmp_path, lab, row, "-V")
    new = lab.west.one(ChildRekeyed).new
    assert "west.example" in text
    assert f"SPI: {new.spi_in:08x}" in text
    size = SUITES[cipher].icv_size
    assert len(re.findall(rf"\({size} bytes\)( <[^>]+>)?\[correct\]", text)) == len(lines) - 2
    assert "incorrect" not in text


@pytest.mark.skipif(TSHARK is None, reason="tshark missing")
def test_tshark_puts_our_fragments_together(tmp_path):
    lab = Lab(settings=Settings(fragment_size=220))
    lab.connect()
    text = tshark(tmp_path, lab, ike_line(*lab.west.keys[0]), "-V")
    assert text.count("[Message fragment count: 2]") == 2
    assert text.count("(16 bytes)[correct]") == 4
    assert text.count("Identification Data:west.example") == 1
    assert text.count("Payload: Authentication (39)") == 2
    assert "Malformed" not in text
    assert max(int(size) for size in re.findall(r"Total Length: (\d+)", text)[2:]) <= 220


@pytest.mark.skipif(TSHARK is None, reason="tshark missing")
def test_tshark_with_another_key_shows_the_judge_can_fail(tmp_path):
    lab = Lab()
    lab.connect()
    row = ike_line(*lab.west.keys[0])
    spoiled = row[:40] + ("0" if row[40] != "0" else "1") + row[41:]
    assert "west.example" not in tshark(tmp_path, lab, spoiled, "-V")


def test_esp_rows_name_direction_spi_and_key_with_salt():
    lab = Lab()
    lab.connect()
    child = lab.west.one(ChildUp).child
    inbound, outbound = esp_lines(child)
    keys = child.keymat.inbound
    assert inbound == (
        f'"IPv4","192.0.2.2","192.0.2.1","0x{child.spi_in:08x}",'
        '"AES-GCM with 16 octet ICV [RFC4106]",'
        f'"0x{keys.key.hex()}{keys.salt.hex()}","NULL",""'
    )
    assert f'"192.0.2.1","192.0.2.2","0x{child.spi_out:08x}"' in outbound
    assert set(esp_lines(lab.east.one(ChildUp).child)) == {inbound, outbound}


def test_keys_wireshark_cannot_use_are_refused_by_name():
    proposals = (Template.ike("chacha20poly1305-prfsha256-x25519"),)
    lab = Lab(west_config(proposals=proposals), east_config(proposals=proposals))
    lab.connect()
    assert lab.west.one(IkeEstablished)
    with pytest.raises(KeyExportError, match="cannot decrypt chacha20poly1305"):
        ike_line(*lab.west.keys[0])
