"""The benchmark's frames are real packets: scapy takes them apart, checks and decrypts them."""

import pytest
from bench import topology as top
from bench.packets import OUTER_LEN, SEQ_AT, Pass, traffic
from bench.suites import gateway_path
from scapy.layers.inet import IP, UDP
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.layers.l2 import Ether

SIZES = (64, 512, 1400)


def checksum_is_right(packet: IP) -> bool:
    written = packet.chksum
    del packet.chksum
    return IP(bytes(packet)).chksum == written


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("which", [Pass.OUTBOUND_1, Pass.INBOUND_1])
def test_frames_at_data_ports_are_well_formed_ipv4(which: Pass, size: int) -> None:
    for frame in traffic(which, size).frames[:16]:
        packet = Ether(frame)[IP]
        assert len(frame) == 14 + packet.len
        assert checksum_is_right(packet)


@pytest.mark.parametrize("size", SIZES)
def test_size_is_the_length_of_the_inner_packet(size: int) -> None:
    clear = Ether(traffic(Pass.OUTBOUND_1, size).frames[0])[IP]
    opened = IP(traffic(Pass.INBOUND_2, size).frames[0][14 + 32 + OUTER_LEN :])
    assert clear.len == opened.len == size


def test_flows_differ_in_their_five_tuple_and_use_every_sa() -> None:
    packets = [Ether(frame) for frame in traffic(Pass.OUTBOUND_1, 64).frames]
    tuples = {(p[IP].src, p[IP].dst, p[UDP].sport, p[UDP].dport) for p in packets}
    assert len(tuples) == top.FLOWS
    assert len({p[IP].dst for p in packets}) == top.FLOWS


def test_flows_spread_over_a_large_number_of_sas() -> None:
    spis = [Ether(f)[ESP].spi for f in traffic(Pass.INBOUND_1, 64, sas=50_000).frames]
    assert len(set(spis)) == top.FLOWS
    assert max(spis) - min(spis) > 49_000


@pytest.mark.parametrize("sas", [1, 16, 256, 50_000])
def test_no_sequence_number_is_opened_twice_on_an_sa(sas: int) -> None:
    opened = traffic(Pass.INBOUND_2, 64, sas=sas)
    frames = [frame for number in range(3) for frame in opened.round(number)]
    seen = [(frame[30:33], frame[SEQ_AT : SEQ_AT + 8]) for frame in frames]
    assert len(set(seen)) == len(seen)


def test_scapy_decrypts_the_esp_that_the_open_benchmark_feeds() -> None:
    frame = gateway_path.esp_frames(seq=7)[3]
    sa = SecurityAssociation(
        ESP,
        spi=top.spi(3),
        crypt_algo="AES-GCM",
        crypt_key=gateway_path.key_of(3) + gateway_path.SALT,
        tunnel_header=IP(src=str(top.PEER), dst=str(top.GATEWAY)),
        esn_en=True,
    )
    inner = sa.decrypt(Ether(frame)[IP])
    assert (inner.src, inner.len) == (str(top.remote_host(3)), gateway_path.SIZE)
