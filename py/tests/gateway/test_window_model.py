"""The anti-replay window against a set (RFC 4303 3.4.3 and appendix A; RPL-16, ESN-06)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import pytest
from gateway_bed import CRYPTO_PORT
from gateway_packets import Packet4, frame, udp
from gateway_pair import EAST, OWN_MAC, UNPROTECTED_PORT, WEST, Gateway, Sa, inbound
from hypothesis import given, settings
from hypothesis import strategies as st

from p4esp.engine.descriptor import BASE, CryptoFrame, Descriptor, Status

WINDOWS = (32, 64, 96, 128, 256, 512, 992, 1024, 2048, 4064, 4096)
END_OF_SPACE = 1 << 37
SUBSPACE = 1 << 32
KEY = 77
INNER = Packet4(*Sa(1).hosts(WEST), 17, udp(1, 2, bytes(4))).octets()
ICV_LEN = 16


@dataclass
class SetModel:
    """Which numbers are fresh; ``top`` is where the window ends."""

    window: int
    esn: bool
    top: int = 0
    seen: set[int] = field(default_factory=set)

    def take(self, seq: int) -> bool:
        """Whether the packet is delivered; it is authentic, and ``seq`` its sender's number.

        With ESN only the low half travels: what is read is the one number with these 32 bits in
        the 2^32 from the window's bottom on, and a packet with another one is not authentic.
        """
        bottom = max(0, self.top - self.window + 1)
        readable = not self.esn or bottom <= seq < bottom + SUBSPACE
        fresh = readable and bottom <= seq < END_OF_SPACE and seq not in self.seen and seq > 0
        if fresh:
            self.seen.add(seq)
            self.top = max(self.top, seq)
        return fresh


@lru_cache(maxsize=1)
def east() -> Gateway:
    """One side without SAs of its own."""
    return Gateway(EAST, (), random.Random(1).randbytes)


@dataclass
class Receiver:
    """An SA at the gateway whose engine knows the number that the sender used."""

    window: int
    esn: bool
    top: int = 0

    def __post_init__(self) -> None:
        self.sa = Sa(1, esn=self.esn, window=self.window)
        self.gateway = east()
        self.rows = list(inbound(EAST, self.sa, KEY))
        self.gateway.scrub(self.sa.space, self.sa.cells, self.top)

    def __enter__(self) -> Receiver:
        self.gateway.put(*self.rows)
        return self

    def __exit__(self, *_: object) -> None:
        self.gateway.remove(*self.rows)

    def verdicts(self, numbers: Iterable[int]) -> Iterator[bool]:
        """For each number whether its packet is delivered."""
        before, after = sealed_frame(self.sa)
        send = self.gateway.send
        for seq in numbers:
            packet = before + (seq & 0xFFFFFFFF).to_bytes(4, "big") + after
            ((port, request),) = send(UNPROTECTED_PORT, packet) or ((None, b""),)
            yield port == CRYPTO_PORT and bool(send(CRYPTO_PORT, self._answer(request, seq)))

    def _answer(self, request: bytes, seq: int) -> bytes:
        asked = CryptoFrame.decode(request).descriptor
        if asked.seq != seq:
            return _reply(asked, Status.BAD_ICV, request[:14], request[BASE : BASE + asked.ct_off])
        head = request[BASE : BASE + asked.ct_off]
        return _reply(asked, Status.DONE, request[:14], head + INNER)

    @property
    def state(self) -> tuple[int, list[tuple[int, int]]]:
        """The window as the switch has it."""
        return self.gateway.window(self.sa.space, self.sa.cells)


def _reply(asked: Descriptor, status: Status, link: bytes, packet: bytes) -> bytes:
    descriptor = bytearray(asked.reply(status).encode())
    if status is Status.DONE:
        descriptor[3] = 4
        descriptor[28:30] = len(INNER).to_bytes(2, "big")
    return link + bytes(descriptor) + packet


def sealed_frame(sa: Sa) -> tuple[bytes, bytes]:
    """What stands before and behind the sequence number of a packet to the gateway."""
    text = bytes(8 + len(INNER) + 2 + -(len(INNER) + 2) % 4 + ICV_LEN)
    head = sa.spi(WEST).to_bytes(4, "big")
    outer = Packet4(*sa.ends(WEST), 50, head + bytes(4) + text).octets()
    octets = frame(OWN_MAC + UNPROTECTED_PORT, outer)
    return octets[:38], octets[42:]


def compare(receiver: Receiver, model: SetModel, numbers: list[int]) -> None:
    """Switch and model say the same to every number, and end with the same window."""
    for place, (seq, got) in enumerate(zip(numbers, receiver.verdicts(numbers), strict=True)):
        assert got == model.take(seq), (place, hex(seq), got)
    top, cells = receiver.state
    assert top == model.top
    bottom = max(0, top - receiver.window + 1)
    marked = {tag << 5 | bit for tag, bits in cells for bit in range(32) if bits >> bit & 1}
    assert {seq for seq in marked if seq >= bottom} == {s for s in model.seen if s >= bottom}


# --- a hundred thousand ---------------------------------------------------------------------


def arrivals(rng: random.Random, model: SetModel, count: int) -> Iterator[int]:
    """60 % the next number, 30 % inside +-2W, 10 % far ahead; ``model`` takes them on its way."""
    for _ in range(count):
        kind = rng.random()
        if kind < 0.6:
            yield model.top + 1
        elif kind < 0.9:
            yield max(0, model.top + rng.randint(-2 * model.window, 2 * model.window))
        else:
            yield model.top + rng.randint(1, 20 * model.window)


@pytest.mark.parametrize("esn", [False, True])
@pytest.mark.parametrize("window", [32, 64, 256, 1024, 4096])
def test_rpl_16_a_hundred_thousand_numbers_agree_with_a_set(window: int, esn: bool) -> None:
    """RPL-16: 10,000 numbers in each of ten windows; with ESN around the end of a subspace."""
    start = SUBSPACE - 20 * window if esn else 0
    guide, model = (SetModel(window, esn, start) for _ in range(2))
    numbers = []
    for seq in arrivals(random.Random(window), guide, 10_000):
        guide.take(seq)
        numbers.append(seq)
    with Receiver(window, esn, start) as receiver:
        compare(receiver, model, numbers)
    accepted = len(model.seen)
    assert 5_000 < accepted < 9_900, "both verdicts are common"


def test_esn_06_ten_thousand_forgeries_move_nothing() -> None:
    """ESN-06: whatever their numbers, the top stays and the next packet is taken."""
    rng, top = random.Random(6), SUBSPACE - 5
    with Receiver(64, True, top) as receiver:
        before, after = sealed_frame(receiver.sa)
        for number in range(10_000):
            low = rng.randint(0, 0xFFFFFFFF)
            leaving = east().send(UNPROTECTED_PORT, before + low.to_bytes(4, "big") + after)
            for _, request in leaving:
                # No sender has used 2^37.
                assert east().send(CRYPTO_PORT, receiver._answer(request, END_OF_SPACE)) == []
            if number % 1000 == 0:
                top += 1
                assert list(receiver.verdicts([top])) == [True]
            assert receiver.gateway.device.register_array("window_top").read(1) == top


# --- any order --------------------------------------------------------------------------------


@st.composite
def lives(draw: st.DrawFn) -> tuple[int, bool, int, list[int]]:
    """A window, ESN or not, where it starts, and steps from the top or from a border."""
    window, esn = draw(st.sampled_from(WINDOWS)), draw(st.booleans())
    if not esn:
        start = draw(st.sampled_from([0, 0, 1000, SUBSPACE - 2 * window]))
    else:
        edge = draw(st.integers(0, 31)) * SUBSPACE
        start = max(0, edge + draw(st.integers(-3 * window, 3 * window)))
        start = draw(st.sampled_from([start, 0, END_OF_SPACE - 2 * window]))
    near = st.integers(-window - 2, window + 2)
    edges = st.sampled_from([-window, 1 - window, 0, 1, window, window + 1, 31, 32, 33])
    far = st.integers(1, 40 * window)
    wraps = st.sampled_from([SUBSPACE - window, SUBSPACE - window + 1, SUBSPACE, -SUBSPACE])
    steps = st.one_of(st.just(1), near, edges, near, far, wraps if esn else far)
    return window, esn, start, draw(st.lists(steps, max_size=60))


@settings(max_examples=300, deadline=None)
@given(lives())
def test_rpl_16_any_order_of_arrival_agrees_with_a_set(
    life: tuple[int, bool, int, list[int]],
) -> None:
    """All window sizes, around every border of ESN, and up to the end of a space."""
    window, esn, start, steps = life
    guide, limit = SetModel(window, esn, start), (END_OF_SPACE + 64 if esn else SUBSPACE - 1)
    numbers = []
    for step in steps:
        seq = min(max(0, guide.top + step), limit)
        guide.take(seq)
        numbers.append(seq)
    with Receiver(window, esn, start) as receiver:
        compare(receiver, SetModel(window, esn, start), numbers)
