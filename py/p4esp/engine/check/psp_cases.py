"""Conformance cases of PSP (docs/crypto-port.md, section 9)."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from p4esp.engine.check.bench import Bench, CheckError, same_frame
from p4esp.engine.check.case import Case
from p4esp.engine.check.judge import psp_key
from p4esp.engine.check.layouts import INNER
from p4esp.engine.check.requests import ETHERNET, GCM, OUTER
from p4esp.engine.descriptor import CryptoFrame, Descriptor, Flag, Op, Status
from p4esp.engine.errors import KeyStoreError
from p4esp.engine.features import PSP, PSP_RENEW, SHOWN
from p4esp.engine.keystore import Direction, KeySpec
from p4esp.engine.psp import MASTER_LEN, PAIR_LEN
from p4esp.engine.subkeys import HKDF_SHA2_256

PSP128: Final = "PSP-AES-GCM-128"
PSP256: Final = "PSP-AES-GCM-256"
#: SPIs of the first and of the second master key.
_SPIS: Final = (0x1A345678, 0x9A345678, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
#: Master keys and derived keys of google/psp.
KNOWN_PAIR: Final = bytes.fromhex(
    "34448a064292601b11a0978f56a2d34cf3fc35ede1a6bc04f8db3e5243a2b0ca"
    "563952565d3a78ae773ec1b779f2f2d99f4a7f53a6fbb9b07d5b71f39364d739"
)
KNOWN_KEYS: Final = {
    (PSP128, 0x1A345678): "3fe9b90602a41ce17e20971810e9a6a0",
    (PSP128, 0x9A345678): "3946da2554eae46ad1ef77a64372edc4",
    (PSP256, 0x1A345678): "184eecc110d0ecfcf85e6f7c9eedab4d21122fb2d2b8c344af3a1c38d0b6adfd",
    (PSP256, 0x9A345678): "fa00f609df6020289a1c93d6027081a637ad45b24a5576b36e6f49dd43114d80",
}


@dataclass(frozen=True, slots=True)
class PspPacket:
    """A PSP packet behind UDP: base header, bytes that stay clear, text."""

    spi: int
    iv: int
    clear: bytes
    text: bytes
    front: bytes = b"\x04\x01\x00\x01"

    @property
    def head(self) -> bytes:
        """Everything in front of the text, all of it authenticated."""
        return self.front + self.salt + self.iv.to_bytes(8, "big") + self.clear

    @property
    def salt(self) -> bytes:
        """The SPI in 4 bytes, with which the nonce begins."""
        return self.spi.to_bytes(4, "big")

    def sealed(self, key: bytes) -> bytes:
        """Seal by hand."""
        nonce = self.salt + self.iv.to_bytes(8, "big")
        return self.head + AESGCM(key).encrypt(nonce, self.text, self.head)

    def seal(self, handle: int, seq: int = 0) -> CryptoFrame:
        """Build a seal request, for a derived key."""
        asked = self._asked(Op.SEAL, handle, seq, len(self.text))
        return CryptoFrame(ETHERNET, asked, OUTER + self.head + self.text)

    def open(self, handle: int, sealed: bytes, **fields: Any) -> CryptoFrame:
        """Build an open request, for master keys."""
        asked = self._asked(Op.OPEN, handle, 0, len(sealed) - len(self.head))
        return CryptoFrame(ETHERNET, replace(asked, **fields), OUTER + sealed)

    def _asked(self, op: Op, handle: int, seq: int, length: int) -> Descriptor:
        text_at, flags = len(OUTER + self.head), int(Flag.SHOWN)
        return Descriptor(op, handle, seq, length, text_at, flags, aad_off=len(OUTER))


_COOKIE: Final = bytes(8)
#: VH1 to VH3 of the ESP evolution digest: packets of the known pair, and their text.
VECTORS: Final = {
    "VH1": (
        PspPacket(0x1A345678, 1, INNER[:24], INNER[24:], b"\x04\x01\x06\x01"),
        "040106011a34567800000000000000014500002400014000401126c30a0100010a020002123400355791aa05"
        "bb6691c249bda4a1edf3166febe685291b00a43b7ab875a9",
    ),
    "VH2": (
        PspPacket(0x1A345678, 2, b"", _COOKIE + INNER, b"\x04\x02\x00\x03"),
        "040200031a3456780000000000000002f4fc7e538c7047d5dc1f85e8c01752d7a93dd58fe6b3c0aed46e3439"
        "c0c43f046852f8b536a5d6a31d24cc80b8ab807796a1c918d1d8bf4c820834bc",
    ),
    "VH3": (
        PspPacket(0x1A345678, 2, _COOKIE + INNER[:24], INNER[24:], b"\x04\x02\x08\x03"),
        "040208031a345678000000000000000200000000000000004500002400014000401126c30a0100010a020002"
        "12340035f4ec7e53cd320491dc59c284bfa0619858ebdb305190216b5c0539f2",
    ),
}


def key_length(transform: str) -> int:
    """Tell how long derived keys are."""
    return 32 if transform == PSP256 else 16


async def _pair(bench: Bench, transform: str = PSP128) -> tuple[int, bytes]:
    handle, spec = await bench.fresh(Direction.OPEN, transform=transform)
    return handle, bytes(spec.key)


async def _opens(bench: Bench, packet: PspPacket, request: CryptoFrame) -> None:
    """The text is as long as it is; next header and pad stay."""
    asked = replace(request.descriptor.reply(Status.DONE), plain_len=len(packet.text))
    expected = CryptoFrame(ETHERNET, asked, OUTER + packet.head + packet.text)
    same_frame(await bench.reply(request), expected)


def _same_key(spi: int, got: bytes, expected: bytes) -> None:
    if not hmac.compare_digest(got, expected):
        raise CheckError(f"the key of SPI {spi:#x} has {len(got)} bytes and is another one")


async def known(bench: Bench, transform: str) -> None:
    """Derive hands out the keys that google/psp has."""
    handle = await bench.install(KeySpec(Direction.OPEN, transform, KNOWN_PAIR, b""))
    for (name, spi), key in KNOWN_KEYS.items():
        if name == transform:
            _same_key(spi, await bench.keys.derive(handle, spi), bytes.fromhex(key))


async def open_vector(bench: Bench, name: str) -> None:
    """The packet of the digest holds its payload."""
    packet, sealed = VECTORS[name]
    handle = await bench.install(KeySpec(Direction.OPEN, PSP128, KNOWN_PAIR, b""))
    await _opens(bench, packet, packet.open(handle, bytes.fromhex(sealed)))


async def tampering(bench: Bench, name: str) -> None:
    """A flipped bit in any byte is BAD_ICV, in the SPI's, too."""
    packet, sealed = VECTORS[name]
    handle = await bench.install(KeySpec(Direction.OPEN, PSP128, KNOWN_PAIR, b""))
    for position in range(len(sealed) // 2):
        spoilt = bytearray.fromhex(sealed)
        spoilt[position] ^= 0x80
        await bench.expect(packet.open(handle, bytes(spoilt)), Status.BAD_ICV)


async def handed_out(bench: Bench, transform: str) -> None:
    """Whoever has the key of an SPI seals with AES-GCM-16, and the masters open that."""
    masters, pair = await _pair(bench, transform)
    length = key_length(transform)
    for spi in _SPIS:
        key = await bench.keys.derive(masters, spi)
        _same_key(spi, key, psp_key(pair, spi, length))
        salt = spi.to_bytes(4, "big")
        spec = KeySpec(Direction.SEAL, f"AES-GCM-16-{8 * length}", key, salt)
        sealer = await bench.install(spec)
        for iv, (shown, size) in enumerate(((0, 1), (4, 9), (28, 0), (24, 33), (252 - 36, 64)), 1):
            octets = bench.random_bytes(shown + size)
            packet = PspPacket(spi, iv << 40, octets[:shown], octets[shown:])
            sealed = (await bench.answered(packet.seal(sealer), spec)).packet[len(OUTER) :]
            sealed = sealed[: len(packet.head) + size + 16]
            await _opens(bench, packet, packet.open(masters, sealed))


async def many(bench: Bench) -> None:
    """Packets of many SPIs, forged ones among them; what was opened is opened again."""
    masters, pair = await _pair(bench)
    packets = [PspPacket(n * 0x9E3779B1 % (1 << 32), n, INNER[:4], INNER[4:]) for n in range(300)]
    sealed = [packet.sealed(psp_key(pair, packet.spi, 16)) for packet in packets]
    for seq in (0, 1 << 63):
        for packet, esp in zip(packets, sealed, strict=True):
            await _opens(bench, packet, packet.open(masters, esp, seq=seq))
            other = replace(packet, spi=packet.spi ^ 1 << 31)
            forged = other.open(masters, other.head + esp[len(packet.head) :])
            await bench.expect(forged, Status.BAD_ICV)


async def rotation(bench: Bench) -> None:
    """A new pair has the current master key still; the next one has it no more."""
    first, old = await _pair(bench)
    masters = [old]
    for start in (0, MASTER_LEN):  # the first rotation renews the first one, the second the second
        latest, fresh = masters[-1], bench.random_bytes(MASTER_LEN)
        masters.append(latest[:start] + fresh + latest[start + MASTER_LEN :])
    specs = [KeySpec(Direction.OPEN, PSP128, pair, b"") for pair in masters[1:]]
    handles = [first, *[await bench.install(spec) for spec in specs]]
    packet = PspPacket(0x80000001, 1, b"", INNER)
    sealed = packet.sealed(psp_key(old, packet.spi, 16))
    for handle in handles[:2]:
        await _opens(bench, packet, packet.open(handle, sealed))
    await bench.expect(packet.open(handles[2], sealed), Status.BAD_ICV)
    await bench.remove(first)
    await bench.expect(packet.open(first, sealed), Status.NO_KEY)
    await _opens(bench, packet, packet.open(handles[1], sealed))


async def renewed(bench: Bench) -> None:
    """Renew replaces one master key under the same handle, and what it had opened before is not."""
    handle, pair = await _pair(bench)
    for half, spi in enumerate((0x7FFFFFFF, 0x80000001)):
        packet, other = PspPacket(spi, 1, b"", INNER), PspPacket(spi ^ 1 << 31, 1, b"", INNER)
        old, beside = (p.sealed(psp_key(pair, p.spi, 16)) for p in (packet, other))
        await _opens(bench, packet, packet.open(handle, old))
        at, fresh = half * MASTER_LEN, bench.random_bytes(MASTER_LEN)
        await bench.keys.renew(handle, half, fresh)
        pair = pair[:at] + fresh + pair[at + MASTER_LEN :]
        await bench.expect(packet.open(handle, old), Status.BAD_ICV)
        await _opens(bench, packet, packet.open(handle, packet.sealed(psp_key(pair, spi, 16))))
        await _opens(bench, other, other.open(handle, beside))
        _same_key(spi, await bench.keys.derive(handle, spi), psp_key(pair, spi, 16))


async def not_renewed(bench: Bench) -> None:
    """A master key has 32 bytes and is a new one; ordinary keys and unknown handles have none."""
    masters, pair = await _pair(bench)
    ordinary, _ = await bench.fresh(Direction.OPEN)
    halves = pair[:MASTER_LEN], pair[MASTER_LEN:]
    fresh = bench.random_bytes(MASTER_LEN)
    wrong = [(masters, half, key) for half in (0, 1) for key in (*halves, fresh[1:], b"", pair)]
    wrong += [(handle, 0, fresh) for handle in (0, ordinary)]
    for handle, half, key in wrong:
        try:
            await bench.keys.renew(handle, half, key)
        except KeyStoreError as error:
            if key[:8] and key[:8].hex() in str(error):
                raise CheckError("a refusal shows a master key") from None
        else:
            raise CheckError(f"a master key of {len(key)} bytes is taken for handle {handle}")
    for spi in _SPIS:
        _same_key(spi, await bench.keys.derive(masters, spi), psp_key(pair, spi, 16))


async def refused(bench: Bench) -> None:
    """Master keys open, have one length, and no refusal shows them."""
    pair = bench.random_bytes(PAIR_LEN)
    spec = KeySpec(Direction.OPEN, PSP128, pair, b"")
    for fields in (
        *({"direction": Direction.SEAL}, {"key": pair[:-1]}, {"key": pair[:MASTER_LEN]}),
        *({"key": pair + b"\0"}, {"salt": b"salt"}, {"integrity_key": pair[:MASTER_LEN]}),
        *({"subs": 2, "kdf": HKDF_SHA2_256}, {"transform": "PSP-AES-GCM-192"}),
    ):
        try:
            await bench.install(replace(spec, **fields))
        except KeyStoreError as error:
            if pair[:8].hex() in str(error):
                raise CheckError("a refusal shows a master key") from None
        else:
            raise CheckError(f"masters with another {', '.join(fields)} are taken")


async def derived_of_nothing(bench: Bench) -> None:
    """Derive takes the handle of master keys alone, while they are installed."""
    masters, _ = await _pair(bench)
    ordinary, _ = await bench.fresh(Direction.OPEN)
    await bench.remove(masters)
    for handle in (0, masters, ordinary):
        try:
            await bench.keys.derive(handle, 1)
        except KeyStoreError:
            continue
        raise CheckError(f"handle {handle} is that of no master keys, and has a key for SPI 1")


_MALFORMED: Final[tuple[dict[str, int], ...]] = (
    *({"flags": flags} for flags in (0, 0x41, 0x42, 0x44, 0x46, 0x4C, 0xC0, 0xC4)),
    *({"aad_len": 12}, {"aad_len": 4}, {"iv_len": 0}, {"ct_off": 34}, {"icv": 12}, {"align": 3}),
    *({"plain_len": 15}, {"plain_len": 0xFFFF}, {"pad": 1}),
)


async def malformed(bench: Bench) -> None:
    """A PSP packet has clear bytes or none, and neither number, trailer nor padding."""
    masters, pair = await _pair(bench)
    packet = PspPacket(1, 1, b"", INNER)
    sealed = packet.sealed(psp_key(pair, 1, 16))
    for fields in _MALFORMED:
        await bench.expect(packet.open(masters, sealed, **fields), Status.BAD_DESCRIPTOR)
    mode = {"flags": int(Flag.SHOWN | Flag.MODE), "nh": 9, "seq": (1 << 64) - 1}
    await _opens(bench, packet, packet.open(masters, sealed, **mode))


async def others(bench: Bench) -> None:
    """An ordinary key opens a PSP packet as well: that of its SPI."""
    packet, sealed = VECTORS["VH1"]
    key = bytes.fromhex(KNOWN_KEYS[PSP128, packet.spi])
    handle = await bench.install(KeySpec(Direction.OPEN, GCM, key, packet.salt))
    await _opens(bench, packet, packet.open(handle, bytes.fromhex(sealed)))


def psp_cases() -> Iterator[Case]:
    """Yield these cases in the order of the report."""
    needs = (PSP, SHOWN)
    for transform in (PSP128, PSP256):
        what, run = "the keys of google/psp are derived", partial(known, transform=transform)
        yield Case(f"psp.known.{transform}", what, run, transform, needs)
        what = "senders seal with a derived key, master keys open"
        run = partial(handed_out, transform=transform)
        yield Case(f"psp.sealed.{transform}", what, run, transform, needs)
    for name in VECTORS:
        yield Case(f"open.{name}", f"{name}, psp", partial(open_vector, name=name), PSP128, needs)
        what = f"{name}: a flipped bit in any byte is BAD_ICV"
        yield Case(f"tampered.{name}", what, partial(tampering, name=name), PSP128, needs)
    for name, what, case in (
        ("many", "300 SPIs, and forged packets among theirs", many),
        ("rotation", "old SPIs work until the second rotation", rotation),
        ("refused", "master keys of other lengths, or for sealing, are refused", refused),
        ("derive", "Derive takes the handle of master keys alone", derived_of_nothing),
        ("descriptor", "inconsistent requests are BAD_DESCRIPTOR", malformed),
        ("others", "an ordinary key opens what a derived one sealed", others),
    ):
        yield Case(f"psp.{name}", what, case, PSP128, needs)
    renews = (*needs, PSP_RENEW)
    what = "a renewed master key opens nothing of the one before"
    yield Case("psp.renew", what, renewed, PSP128, renews)
    what = "a master key of another length, or one that is there already, is refused"
    yield Case("psp.renew.refused", what, not_renewed, PSP128, renews)
