"""scapy as second judge of every transform: all short payloads and some long ones, both ways.

scapy has no implicit IVs: such a packet is the one with an explicit IV, less the IV. Its AES-GCM
has one tag length; its general cipher interface has others.
"""

import copy
import random
from itertools import chain

import pytest
from cryptography.hazmat.primitives.ciphers import modes
from engine_helpers import answer, any_key
from scapy.layers.ipsec import CRYPT_ALGOS, ESP, CryptAlgo, SecurityAssociation, _ESPPlain
from scapy.packet import Raw

from p4esp.engine import Direction, Engine, Flag, KeySpec, Status
from p4esp.engine.check.requests import OUTER, open_request, seal_request
from p4esp.engine.transforms import Transform, lookup, names

SPI = 0xC0FFEE01
SIZES = [*range(201), 255, 256, 257, 576, 1280, 1400, 1446, 8946]
HMACS = {16: "SHA2-256-128", 24: "SHA2-384-192", 32: "SHA2-512-256"}
ESN = pytest.mark.parametrize("high", [0, 0xFEDCBA98], ids=["32-bit", "esn"])
TRANSFORM = pytest.mark.parametrize("transform", names())
octets = random.Random(4303).randbytes


class Scapy:
    """The security association of a key in scapy, without IP around it."""

    def __init__(self, spec: KeySpec, high: int) -> None:
        self.sizes = lookup(spec.transform)
        self.sa = SecurityAssociation(
            *(ESP, SPI),
            crypt_algo=scapy_name(spec.transform),
            crypt_key=spec.key + spec.salt,
            crypt_icv_size=None if spec.integrity_key else self.sizes.icv_len,
            auth_algo=HMACS[self.sizes.icv_len] if spec.integrity_key else None,
            auth_key=spec.integrity_key,
        )
        self.sa.crypt_algo = with_tag(self.sa.crypt_algo, self.sizes)
        self.high = {"esn_en": high > 0, "esn": high}

    def seal(self, seq: int, nh: int, payload: bytes) -> bytes:
        algorithm, iv = self.sa.crypt_algo, octets(self.sa.crypt_algo.iv_size)
        if self.implicit_iv:
            iv = self.number(seq)
        plain = algorithm.pad(_ESPPlain(spi=SPI, seq=seq, iv=iv, data=Raw(payload), nh=nh))
        packet = algorithm.encrypt(
            *(self.sa, plain, self.sa.crypt_key, self.sa.crypt_icv_size), **self.high
        )
        self.sa.auth_algo.sign(packet, self.sa.auth_key, **self.high)
        return bytes(packet)[:8] + bytes(packet)[16 if self.implicit_iv else 8 :]

    def open(self, seq: int, esp: bytes) -> tuple[int, bytes, int]:
        """Next header, payload and pad length, or scapy's IPSecIntegrityError."""
        packet = ESP(esp[:8] + (self.number(seq) if self.implicit_iv else b"") + esp[8:])
        self.sa.check_spi(packet)
        self.sa.auth_algo.verify(packet, self.sa.auth_key, **self.high)
        icv_size = self.sizes.icv_len
        plain = self.sa.crypt_algo.decrypt(
            *(self.sa, packet, self.sa.crypt_key, icv_size), **self.high
        )
        assert plain.padding == bytes(range(1, plain.padlen + 1))
        return plain.nh, bytes(plain.data), plain.padlen

    @property
    def implicit_iv(self) -> bool:
        return self.sizes.guarded and not self.sizes.iv_len

    def number(self, seq: int) -> bytes:
        return (self.high["esn"] << 32 | seq).to_bytes(8)


def scapy_name(transform: str) -> str:
    if transform.startswith("AES-GMAC"):
        return "AES-NULL-GMAC"
    if transform.startswith("CHACHA20"):
        return "CHACHA20-POLY1305"
    return next(name for name in ("NULL", "AES-CBC", "AES-GCM") if transform.startswith(name))


def with_tag(algorithm: CryptAlgo, sizes: Transform) -> CryptAlgo:
    """scapy's AES-GCM with a short tag, all else as it is."""
    if sizes.icv_len in (8, 12):
        algorithm = copy.copy(algorithm)
        algorithm.cipher, algorithm.ciphers_aead_api = CRYPT_ALGOS["AES-CBC"].cipher, False
        algorithm.mode = modes.GCM
    return algorithm


def flags_of(high: int) -> Flag:
    return Flag.TRAILER | (Flag.ESN if high else Flag(0))


@ESN
@TRANSFORM
def test_icv_16_scapy_opens_what_the_engine_seals(transform: str, high: int) -> None:
    spec = any_key(Direction.SEAL, transform, octets(100))
    engine, judge, sizes = Engine(), Scapy(spec, high), lookup(transform)
    handle = engine.install(spec)
    for seq, size in enumerate(SIZES, 1):
        payload, fields = octets(size), {"transform": transform, "flags": flags_of(high)}
        request = seal_request(handle, high << 32 | seq, payload, nh=17, **fields)
        reply = answer(engine, request)
        esp = reply.packet[len(OUTER) :]
        assert judge.open(seq, esp) == (17, payload, reply.descriptor.pad)
        assert reply.descriptor.pad == -(size + 2) % sizes.align


@ESN
@TRANSFORM
def test_icv_16_the_engine_opens_what_scapy_seals(transform: str, high: int) -> None:
    spec = any_key(Direction.OPEN, transform, octets(100))
    engine, judge = Engine(), Scapy(spec, high)
    handle = engine.install(spec)
    for seq, size in chain(enumerate(SIZES[1:], 1), [(5000, 0)]):
        nh, payload = 17 if size else 59, octets(size)
        fields = {"transform": transform, "flags": flags_of(high)}
        sealed = judge.seal(seq, nh, payload)
        request = open_request(handle, high << 32 | seq, sealed, **fields)
        reply = answer(engine, request)
        text = reply.packet[request.descriptor.ct_off :]
        assert (reply.descriptor.status, reply.descriptor.nh, text) == (Status.DONE, nh, payload)
