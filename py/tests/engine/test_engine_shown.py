"""SHOWN: any header in front of the IV, clear bytes behind it, all of it authenticated.

Requests are written field by field here, apart from the conformance kit's.
"""

from dataclasses import dataclass, replace

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from engine_helpers import answer, changed, status_of
from hypothesis import given, settings
from hypothesis import strategies as st

from p4esp.engine import CryptoFrame, Descriptor, Direction, Engine, Flag, KeySpec, Op, Status
from p4esp.engine.check.requests import ETHERNET, OUTER

GCM, IIV = "AES-GCM-16-128", "AES-GCM-16-IIV-128"
AT = len(OUTER)
INNER = bytes.fromhex("4500002400014000401126c30a0100010a02000212340035001000004142434445464748")
KEY, SALT = bytes(range(16)), bytes.fromhex("a0a1a2a3")
SUB_KEY = bytes.fromhex("263fc6916fcc7ab78a2ee846f17817696c378700")
KD1 = (SUB_KEY[:16], SUB_KEY[16:])
SHOWN, TRAILER, TRIM, TIH = (int(f) for f in (Flag.SHOWN, Flag.TRAILER, Flag.TRIM, Flag.TIH))


@dataclass(frozen=True)
class Known:
    """A known answer of the formats.

    It has ``head`` bytes up to the IV and ``clear`` bytes behind it, then the ``text``, sealed.
    """

    esp: str
    flags: int
    head: int
    clear: int
    text: bytes
    transform: str = GCM
    key: tuple[bytes, bytes] = (KEY, SALT)
    nh: int = 4
    padding: int = 0
    seq: int = 1

    @property
    def iv_len(self) -> int:
        return 8 if self.transform == GCM else 0

    @property
    def text_at(self) -> int:
        return self.head + self.iv_len + self.clear

    def seal(self, handle: int) -> CryptoFrame:
        packet = OUTER + bytes.fromhex(self.esp)[: self.text_at] + self.text
        return CryptoFrame(ETHERNET, self._asked(Op.SEAL, handle, len(self.text)), packet)

    def open(self, handle: int) -> CryptoFrame:
        esp = bytes.fromhex(self.esp)
        asked = self._asked(Op.OPEN, handle, len(esp) - self.text_at)
        return CryptoFrame(ETHERNET, asked, OUTER + esp)

    def _asked(self, op: Op, handle: int, length: int) -> Descriptor:
        return Descriptor(
            *(op, handle, self.seq, length, AT + self.text_at, self.flags),
            nh=self.nh if op is Op.SEAL else 0,
            aad_off=AT,
            aad_len=self.head,
            iv_len=self.iv_len,
        )

    def spec(self, direction: Direction) -> KeySpec:
        return KeySpec(direction, self.transform, *self.key)


DATAGRAM = bytes.fromhex("00001100") + INNER[20:]
KNOWN = {
    "VC2": Known(
        "000010010000000100000000000000010000040003711cd66c853750c77d60d4d10594671bf0198184c18097"
        "6de18b105de41c56aebd89e36a661b489a8abb7cd98824d6a9176820",
        *(SHOWN | TIH, 8, 4, INNER),
    ),
    "VE": Known(
        "000010010000000100000000000000014500002400014000401126c30a0100010a0200021234003500100000"
        "07335fb629c23018866e441356414105ad23e65232f5469bf33b397b",
        *(SHOWN | TRAILER, 8, 28, INNER[28:]),
        padding=2,
    ),
    "VF2": Known(
        "04141c40000010010000000100000000000000014500002400014000401126c30a0100010a02000212340035"
        "0010000007335fb629c23018866e44132b54218c481be43d7c01a6d1b6cb596e",
        *(SHOWN | TRAILER, 12, 28, INNER[28:]),
        padding=2,
    ),
    "VG1": Known(
        "80000001000010010000000000000001ad78c45b8288b1b4bbc0cb7553843c61ad6a204dcc60e12082aaadd8"
        "c667ec654e25fb5b1f873d71b2ed11395507a2ba452b9ab6",
        *(SHOWN | TRIM, 16, 0, INNER, IIV, KD1),
    ),
    "VG2": Known(
        "8000000100001001000000000000000111223344556677884f64aa2ba3f1d93cf8e88ed49687ee6ab5b9b795"
        "979fe162a32ccd280300d1ff2d3a50c8441884a386328665ba84996c6dee2f1f",
        *(SHOWN | TRIM, 16, 0, INNER, GCM, KD1),
    ),
    "VG3": Known(
        "800400010000100102021c8000000000000000011122334455667788000004004500002400014000401126c3"
        "0a0100010a02000212340035001000004b26e94be6b6de7440f332781124b5c3257f6f920d8e9a02",
        *(SHOWN | TIH, 20, 32, INNER[28:], GCM, KD1),
    ),
    "VG4": Known(
        "80000001000010010000000000000001e878d57f90bdf181fbc1edb618c77f24e22e670739957871c04f9ec9"
        "e40f443530cc184f",
        *(SHOWN | TIH, 16, 0, DATAGRAM, IIV, KD1, 17),
    ),
    "VG5": Known(
        "800000010000100111223344556677884f64aa2ba3f1d93cf8e88ed49687ee6ab5b9b795979fe162a32ccd28"
        "0300d1ff2d3a50c8b1a5b101e81ad8c030629c0e46f3cf11",
        *(SHOWN | TRIM, 8, 0, INNER, GCM, KD1),
        seq=0,
    ),
    "VG6": Known(
        "8004000100001001010200000000000000000001e878d57f90bdf181fbc1edb618c77f24e22e6707768aa53c"
        "2346e90f58d32f4f8f879023",
        *(SHOWN | TIH, 20, 0, DATAGRAM, IIV, KD1, 17),
    ),
}
EACH = pytest.mark.parametrize("known", KNOWN.values(), ids=KNOWN)


@EACH
def test_packet_of_the_digest_is_sealed_to_the_byte(known: Known) -> None:
    engine = Engine()
    request = known.seal(engine.install(known.spec(Direction.SEAL)))
    reply = answer(engine, request)
    assert reply.descriptor == replace(request.descriptor.reply(Status.DONE), pad=known.padding)
    assert reply.packet[AT:].hex() == known.esp
    assert status_of(engine, request) is Status.NONCE_REFUSED


@EACH
def test_packet_of_the_digest_is_opened(known: Known) -> None:
    engine = Engine()
    reply = answer(engine, known.open(engine.install(known.spec(Direction.OPEN))))
    found = reply.descriptor
    assert (found.status, found.nh, found.pad) == (Status.DONE, known.nh, known.padding)
    assert (found.plain_len, reply.packet[AT + known.text_at :]) == (len(known.text), known.text)
    assert reply.packet[AT : AT + known.text_at].hex() == known.esp[: 2 * known.text_at]


@EACH
def test_flipped_bit_anywhere_in_a_packet_of_the_digest_is_bad_icv(known: Known) -> None:
    engine = Engine()
    request = known.open(engine.install(known.spec(Direction.OPEN)))
    for bit in range(8 * AT, 8 * len(request.packet)):
        flipped = bytearray(request.packet)
        flipped[bit // 8] ^= 1 << bit % 8
        assert status_of(engine, replace(request, packet=bytes(flipped))) is Status.BAD_ICV


@EACH
def test_iv_stands_behind_aad_len_bytes_of_header(known: Known) -> None:
    """The guard looks there: of two requests with one IV there, one is refused."""
    engine = Engine()
    request = known.seal(engine.install(known.spec(Direction.SEAL)))
    assert status_of(engine, request) is Status.DONE
    at, other = AT + known.head, bytearray(request.packet)
    if known.iv_len:
        other[at : at + 8] = bytes(7) + b"\x77"
        other = replace(request, packet=bytes(other))
    else:
        other = changed(request, seq=0x77)
    assert status_of(engine, other) is Status.DONE
    assert status_of(engine, other) is Status.NONCE_REFUSED


@settings(max_examples=300, deadline=None)
@given(
    st.integers(2, 40).map(lambda words: 4 * words),
    st.integers(0, 12).map(lambda words: 4 * words),
    st.sampled_from([GCM, IIV]),
    st.integers(0, (1 << 64) - 1),
    st.binary(max_size=60),
)
def test_any_header_and_any_clear_bytes_are_the_aad(
    head: int, clear: int, transform: str, seq: int, text: bytes
) -> None:
    """Neither TRAILER nor TIH nor TRIM: the text is as long as it is."""
    seq = seq if head > 8 else seq & 0xFFFFFFFF
    front = bytes(range(head)) + seq.to_bytes(8, "big") * (transform == GCM) + bytes(clear)
    known = Known(front.hex(), SHOWN, head, clear, text, transform, seq=seq)
    engine = Engine()
    sealed = answer(engine, known.seal(engine.install(known.spec(Direction.SEAL))))
    assert sealed.descriptor.status == Status.DONE
    expected = AESGCM(KEY).encrypt(SALT + seq.to_bytes(8, "big"), text, front)
    assert sealed.packet == OUTER + front + expected
    again = replace(known, esp=sealed.packet[AT:].hex())
    opened = answer(engine, again.open(engine.install(known.spec(Direction.OPEN))))
    assert (opened.descriptor.status, opened.packet) == (Status.DONE, OUTER + front + text)


@pytest.mark.parametrize(
    "fields",
    [
        *({"aad_len": n, "ct_off": AT + n + 8} for n in (0, 4, 7, 9, 10, 17, 18)),
        *({"ct_off": AT + 24 + n} for n in (-24, -8, -4, -1, 1, 2, 3, 6)),
        *({"aad_len": 20}, {"aad_len": 252}, {"aad_len": 255}, {"aad_off": 255}),
        *({"iv_len": 0}, {"iv_len": 16}, {"flags": SHOWN | TRIM | int(Flag.ESN)}),
    ],
)
def test_header_below_8_bytes_or_no_multiple_of_4_is_a_bad_descriptor(
    fields: dict[str, int],
) -> None:
    engine, known = Engine(), KNOWN["VG2"]
    sealer, opener = (engine.install(known.spec(direction)) for direction in Direction)
    for request in (known.seal(sealer), known.open(opener)):
        reply = answer(engine, changed(request, **fields))
        assert (reply.descriptor.status, reply.packet) == (Status.BAD_DESCRIPTOR, b"")
    assert status_of(engine, known.seal(sealer)) is Status.DONE


def test_header_may_be_as_long_as_ct_off_can_tell() -> None:
    head = 224
    front = bytes(head) + bytes(7) + b"\x01"
    known = Known(front.hex(), SHOWN, head, 0, b"text")
    engine = Engine()
    reply = answer(engine, known.seal(engine.install(known.spec(Direction.SEAL))))
    assert (reply.descriptor.status, reply.descriptor.ct_off) == (Status.DONE, 252)


@pytest.mark.parametrize(("name", "limit"), [("VG2", 64), ("VG3", 64), ("VC2", 32), ("VG5", 32)])
def test_seq_may_have_64_bits_where_the_header_is_longer_than_8_bytes(
    name: str, limit: int
) -> None:
    engine, known = Engine(), KNOWN[name]
    request = known.open(engine.install(known.spec(Direction.OPEN)))
    assert status_of(engine, changed(request, seq=(1 << 32) - 1)) is Status.DONE
    expected = Status.DONE if limit == 64 else Status.BAD_DESCRIPTOR
    assert status_of(engine, changed(request, seq=1 << 32)) is expected


def test_tih_behind_the_iv_is_in_the_text_where_nothing_is_shown() -> None:
    """It counts in plain_len then, and must be there."""
    engine, known = Engine(), KNOWN["VG4"]
    sealer = engine.install(known.spec(Direction.SEAL))
    for length in range(4):
        short = changed(known.seal(sealer), plain_len=length)
        assert status_of(engine, short) is Status.BAD_DESCRIPTOR
    reply = answer(engine, changed(known.seal(sealer), plain_len=17))
    assert (reply.descriptor.status, reply.descriptor.pad) == (Status.DONE, 3)
    shown, sealer = KNOWN["VG3"], engine.install(KNOWN["VG3"].spec(Direction.SEAL))
    reply = answer(engine, changed(shown.seal(sealer), plain_len=1))
    assert (reply.descriptor.status, reply.descriptor.pad) == (Status.DONE, 3)


@pytest.mark.parametrize(
    ("tih", "status"),
    [
        ("00001101", Status.BAD_PAD),
        ("10001100", Status.BAD_PAD),
        ("00011100", Status.BAD_PAD),
        ("00001111", Status.BAD_PADLEN),
        ("00003b00", Status.DONE),
    ],
)
def test_tih_in_the_text_is_read_behind_a_right_icv(tih: str, status: Status) -> None:
    known = KNOWN["VG4"]
    head = bytes.fromhex(known.esp)[:16]
    sealed = AESGCM(KD1[0]).encrypt(KD1[1] + head[8:], bytes.fromhex(tih) + INNER[20:], head)
    engine = Engine()
    spoilt = replace(known, esp=(head + sealed).hex())
    assert status_of(engine, spoilt.open(engine.install(known.spec(Direction.OPEN)))) is status
