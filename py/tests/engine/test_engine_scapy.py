"""scapy's ESP as second judge: it opens what the engine seals, and the other way round."""

from engine_helpers import GCM, answer, engine_with
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.ipsec import ESP, SecurityAssociation
from scapy.packet import Raw

from p4esp.engine import Direction, Flag, Status
from p4esp.engine.check.requests import open_request, seal_request

SCAPY = {
    GCM: ("AES-GCM", 16),
    "AES-GCM-16-256": ("AES-GCM", 32),
    "CHACHA20-POLY1305": ("CHACHA20-POLY1305", 32),
}
packets = st.builds(
    lambda payload, ttl, port: bytes(
        IP(src="10.1.1.1", dst="10.2.2.2", ttl=ttl) / UDP(sport=5, dport=port) / Raw(payload)
    ),
    st.binary(max_size=1418),
    st.integers(1, 255),
    st.integers(0, 65535),
)
sequence_numbers = st.one_of(st.integers(1, (1 << 32) - 1), st.integers(1 << 32, (1 << 64) - 1))


def scapy_sa(transform: str, material: bytes, seq: int) -> SecurityAssociation:
    name, _ = SCAPY[transform]
    return SecurityAssociation(
        ESP,
        spi=0xC0FFEE01,
        crypt_algo=name,
        crypt_key=material,
        tunnel_header=IP(src="192.0.2.1", dst="198.51.100.2"),
        esn_en=seq >> 32 > 0,
        esn=seq >> 32,
    )


@settings(max_examples=60, deadline=None)
@given(
    packets, sequence_numbers, st.sampled_from(sorted(SCAPY)), st.binary(min_size=36, max_size=36)
)
def test_scapy_opens_what_the_engine_seals(
    inner: bytes, seq: int, transform: str, material: bytes
) -> None:
    key, salt = material[: SCAPY[transform][1]], material[-4:]
    engine, handle = engine_with(Direction.SEAL, transform, key, salt)
    flags = Flag.TRAILER | (Flag.ESN if seq >> 32 else 0)
    reply = answer(engine, seal_request(handle, seq, inner, nh=4, flags=flags))
    outer = IP(src="192.0.2.1", dst="198.51.100.2", proto=50) / Raw(reply.packet[20:])
    judge = scapy_sa(transform, key + salt, seq)
    assert bytes(judge.decrypt(IP(bytes(outer)), esn=seq >> 32)) == inner


@settings(max_examples=60, deadline=None)
@given(
    packets, sequence_numbers, st.sampled_from(sorted(SCAPY)), st.binary(min_size=36, max_size=36)
)
def test_engine_opens_what_scapy_seals(
    inner: bytes, seq: int, transform: str, material: bytes
) -> None:
    key, salt = material[: SCAPY[transform][1]], material[-4:]
    judge = scapy_sa(transform, key + salt, seq)
    packet = judge.encrypt(IP(inner), seq_num=seq & 0xFFFFFFFF or 1, esn=seq >> 32)
    seq = seq >> 32 << 32 | (seq & 0xFFFFFFFF or 1)
    engine, handle = engine_with(Direction.OPEN, transform, key, salt)
    flags = Flag.TRAILER | Flag.TRIM | (Flag.ESN if seq >> 32 else 0)
    reply = answer(engine, open_request(handle, seq, bytes(packet)[20:], flags=flags))
    assert (reply.descriptor.status, reply.packet[36:]) == (Status.DONE, inner)
