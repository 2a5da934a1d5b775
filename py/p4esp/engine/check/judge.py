"""What a sound seal request must be answered with, computed apart from the engine's own code."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from p4esp.engine.descriptor import CryptoFrame, Descriptor, Flag, Status
from p4esp.engine.keystore import KeySpec

_DIGESTS: Final = {32: "sha256", 48: "sha384", 64: "sha512"}
_TAG_LEN: Final = 16


def sealed_reply(request: CryptoFrame, spec: KeySpec, iv: bytes = b"") -> CryptoFrame:
    """Compute the reply to a sound seal request; ``iv`` is what the engine wrote into a CBC packet.

    What a frame with FILL lacks counts as zeros. A UDP checksum is written where one is asked for.
    """
    asked = request.descriptor
    ending = _ending(asked)
    iv = iv or _given_iv(request)
    iv_at = asked.aad_off + asked.aad_len
    head = request.packet[:iv_at] + iv[: asked.iv_len]
    head += request.packet[len(head) : asked.ct_off]
    header = head[asked.aad_off : asked.ct_off if asked.flags & Flag.SHOWN else iv_at]
    packet = head + _sealed(spec, asked, header, iv, _payload(request) + ending)
    if asked.pad:
        packet = _with_checksum(packet, asked.pad)
    pad = len(ending) - (2 if asked.flags & Flag.TRAILER else 0)
    descriptor = replace(asked.reply(Status.DONE), pad=pad)
    return CryptoFrame(request.ethernet, descriptor, packet)


def _payload(request: CryptoFrame) -> bytes:
    start, length = request.descriptor.ct_off, request.descriptor.plain_len
    return request.packet[start : start + length].ljust(length, b"\0")


def _ending(asked: Descriptor) -> bytes:
    if asked.flags & Flag.TRAILER:
        pad = -(asked.plain_len + 2) % asked.align
        return bytes((*range(1, pad + 1), pad, asked.nh))
    padded = asked.flags & (Flag.TIH | Flag.TRIM)
    return bytes(-asked.plain_len % asked.align) if padded else b""


def _given_iv(request: CryptoFrame) -> bytes:
    asked = request.descriptor
    if asked.iv_len:
        return request.packet[asked.aad_off + asked.aad_len :][: asked.iv_len]
    return asked.seq.to_bytes(8, "big")


def sub_key(root: bytes | bytearray, sub: int, length: int) -> bytes:
    """HKDF-Expand of RFC 5869 section 2.3 with SHA-256, by hand: key and salt of a sub-SA."""
    output, block, info = b"", b"", sub.to_bytes(2, "big")
    while len(output) < length:
        block = hmac.digest(bytes(root), block + info + bytes((len(output) // 32 + 1,)), "sha256")
        output += block
    return output[:length]


def psp_key(pair: bytes, spi: int, length: int) -> bytes:
    """PSP's key derivation by hand: the CMAC of RFC 4493 over one whole block is one AES more."""
    encryptor = Cipher(AES(pair[32 * (spi >> 31) :][:32]), modes.ECB()).encryptor()
    zeros = int.from_bytes(encryptor.update(bytes(16)), "big")
    doubled = zeros << 1 ^ (0x87 | 1 << 128 if zeros >> 127 else 0)
    words = (int.from_bytes(b"Pv0\0" if length == 16 else b"Pv1\0", "big"), spi, 8 * length)
    rest = b"".join(word.to_bytes(4, "big") for word in words)
    blocks = (int.from_bytes(n.to_bytes(4, "big") + rest, "big") for n in (1, 2))
    key = b"".join(encryptor.update((block ^ doubled).to_bytes(16, "big")) for block in blocks)
    return key[:length]


def _sealed(spec: KeySpec, asked: Descriptor, header: bytes, iv: bytes, plain: bytes) -> bytes:
    if spec.integrity_key:
        return _with_hmac(spec, asked, header, iv[: asked.iv_len], plain)
    esn = asked.flags & Flag.ESN
    aad = header[:4] + asked.seq.to_bytes(8, "big") + header[8:] if esn else header
    if spec.transform.startswith("AES-GMAC"):
        return plain + AESGCM(spec.key).encrypt(spec.salt + iv, b"", aad + iv + plain)
    cipher = ChaCha20Poly1305 if spec.transform.startswith("CHACHA") else AESGCM
    whole = cipher(spec.key).encrypt(spec.salt + iv, plain, aad)
    return whole[: len(whole) - _TAG_LEN + asked.icv]


def _with_hmac(spec: KeySpec, asked: Descriptor, header: bytes, iv: bytes, plain: bytes) -> bytes:
    text = plain
    if spec.key:
        encryptor = Cipher(AES(spec.key), modes.CBC(iv)).encryptor()
        text = encryptor.update(plain) + encryptor.finalize()
    seqh = asked.seq.to_bytes(8, "big")[:4] if asked.flags & Flag.ESN else b""
    digest = _DIGESTS[len(spec.integrity_key)]
    icv = hmac.digest(bytes(spec.integrity_key), header + iv + text + seqh, digest)
    return text + icv[: asked.icv]


def _with_checksum(packet: bytes, udp_at: int) -> bytes:
    """Write the checksum of RFC 8200 section 8.1, word by word as RFC 1071 has it."""
    udp = packet[udp_at : udp_at + 6] + bytes(2) + packet[udp_at + 8 :]
    pseudo = packet[8:40] + len(udp).to_bytes(4, "big") + bytes((0, 0, 0, 17))
    total = sum(_words(pseudo + udp))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    checksum = 0xFFFF - total or 0xFFFF
    return packet[: udp_at + 6] + checksum.to_bytes(2, "big") + packet[udp_at + 8 :]


def _words(data: bytes) -> Iterator[int]:
    even = data + bytes(len(data) % 2)
    return (even[at] << 8 | even[at + 1] for at in range(0, len(even), 2))
