"""Bases of the tests of formats: round trips, bad input, an engine whose answers are changed."""

from __future__ import annotations

import random
from collections.abc import Iterable

from harness import frames
from harness.engine import BASE
from harness.format_modes import (
    HEADER_LEN,
    End,
    FormatModeTest,
    layout_of,
    least_of,
    shapes_of,
)
from harness.ids import CRYPTO_PORT, Drop, Mode, Outcome
from harness.modes import Shape, packet_of
from harness.sa import Layout
from harness.topology import PROTECTED, UNPROTECTED
from harness.tunnels import NAT_T

LENGTHS = (*range(71), 127, 128, 255, 256, 257, 511, 512, 1000, 1399, 1446, 1460, 1499, 1500)
"""Of the payload behind the inner IP header."""
WHOLE = (Shape(), Shape(outer=6, inner=6))
SAMPLES = 4
LONGEST = 1500
PACKET = packet_of(4, 60, ours=False)
SHAPES = (Shape(), Shape(outer=6, inner=6), Shape(Mode.TRANSPORT), Shape(udp=NAT_T))


def named(shape: Shape, lengths: Iterable[int], layout: Layout, *, ours: bool) -> list[bytes]:
    """Packets with those payload lengths that the SA takes."""
    least, head = least_of(shape, layout), HEADER_LEN[shape.inner]
    return [packet_of(shape.inner, head + n, ours=ours) for n in lengths if n >= least]


def sampled(name: str, shape: Shape) -> list[int]:
    """The least, all remainders modulo the alignment, some in between, and the longest."""
    least = least_of(shape, layout_of(name, shape))
    some = random.Random(f"{name} {shape}").sample(range(least + 4, LONGEST), SAMPLES)
    return [*range(least, least + 4), *some, LONGEST]


class RoundTripTest(FormatModeTest):
    """Proves that a format's packets pass, both ways."""

    shows_payload = True  # the encryption offset

    def round_trip(self, name: str, shape: Shape, lengths: Iterable[int]) -> None:
        """With the SAs of one shape."""
        entries = self.gw.installed()
        with self.subTest(format=name, shape=str(shape), way="in"):
            end = self.from_peer(name, shape, window=512)
            self.deliver(end, named(shape, lengths, end.layout, ours=False))
            self.assertGreater(min(self.tops_of(end.speaking)), 0)
        with self.subTest(format=name, shape=str(shape), way="out"):
            end = self.to_peer(name, shape)
            packets = named(shape, lengths, end.layout, ours=True)
            found = self.emit(end, packets)
            for sub, last in enumerate(self.last_of(end.speaking)):
                numbers = [packet.seq for packet in found if packet.sub == sub]
                self.assertEqual(numbers, list(range(1, last + 1)))
        self.gw.reset(entries)

    def every_length(self, name: str) -> None:
        """Payloads of 0 to 1500 octets, inner IPv4 and IPv6."""
        for shape in WHOLE:
            self.round_trip(name, shape, LENGTHS)

    def every_shape(self, name: str) -> None:
        """Modes, families and UDP, over sampled lengths."""
        for shape in shapes_of(name):
            self.round_trip(name, shape, sampled(name, shape))


def flipped(octets: bytes, place: int, mask: int = 1) -> bytes:
    """With some bits of one octet changed."""
    return octets[:place] + bytes([octets[place] ^ mask]) + octets[place + 1 :]


class BadInputTest(FormatModeTest):
    """Refuses, and looks at the registers."""

    shows_payload = True

    def ignored(self, reason: Drop, end: End, *octets: bytes) -> None:
        """Proves: the pipeline itself refuses the packets, and no register changes."""
        sent = [end.around(PACKET, each) for each in octets]
        verdict = self.without_a_trace(reason, end.speaking, *sent)
        self.assertEqual(verdict.requests, [])

    def forged(self, end: End, *octets: bytes) -> None:
        """Proves: BAD_ICV, and no register changes."""
        sent = [end.around(PACKET, each) for each in octets]
        self.without_a_trace(Drop.BAD_ICV, end.speaking, *sent)

    def used_up(self, reason: Drop, end: End, *octets: bytes) -> None:
        """Proves: authentic packets 1, 2, ... are refused, and their numbers are gone."""
        self.refuse(reason, UNPROTECTED, *(end.around(PACKET, each) for each in octets))
        self.assertEqual(self.tops_of(end.speaking)[0], len(octets))

    def still_good(self, end: End, seq: int = 50) -> None:
        """Proves: the SA works."""
        verdict = self.gw.send(UNPROTECTED, end.frame(PACKET, seq))
        self.assertEqual((dict(verdict.drops), verdict.outputs), ({}, [end.arrived(PACKET)]))


def shapes_for(name: str) -> Iterable[Shape]:
    """Some shapes that a format takes."""
    return (shape for shape in SHAPES if shape in shapes_of(name))


def flipped_answer(frame: bytes, place: int, mask: int = 0x21) -> bytes:
    """The frame with some bits of an octet of its packet changed."""
    at = BASE + place
    return frame[:at] + bytes([frame[at] ^ mask]) + frame[at + 1 :]


class HostileEngineTest(FormatModeTest):
    """Requests caught on their way, and answers that the test has changed."""

    shows_payload = True

    def hold(self, port: int, frame: bytes) -> bytes:
        """The request that a frame leads to."""
        with self.gw.held_requests():
            verdict = self.gw.send(port, frame)
        self.assertEqual(dict(verdict.outcomes), {Outcome.TO_ENGINE: 1})
        (request,) = verdict.requests
        return request

    def answered(self, request: bytes) -> bytes:
        """A right answer."""
        (reply,) = self.gw.engine.answer(request)
        return reply

    def seal_request(self, name: str, shape: Shape = SHAPES[0]) -> tuple[End, bytes]:
        """An SA, and the request for its first packet."""
        end = self.to_peer(name, shape)
        return end, self.request_of(end)

    def request_of(self, end: End) -> bytes:
        """The request for the first packet of an SA that is there."""
        packet = packet_of(end.shape.inner, 91, ours=True)
        return self.hold(PROTECTED, frames.ethernet(PROTECTED, packet))

    def open_request(self, name: str, shape: Shape = SHAPES[0], sub: int = 0) -> tuple[End, bytes]:
        """The same inwards."""
        end = self.from_peer(name, shape)
        return end, self.open_of(end, sub)

    def open_of(self, end: End, sub: int = 0) -> bytes:
        """The same for an SA that is there."""
        packet = packet_of(end.shape.inner, 91, ours=False)
        return self.hold(UNPROTECTED, end.frame(packet, 1, sub))

    def not_ours(self, *answers: bytes, reason: Drop = Drop.CLEAR_OUT) -> None:
        """Proves: what came back as sealed does not leave."""
        self.refuse(reason, CRYPTO_PORT, *answers)

    def leaves(self, end: End, reply: bytes) -> None:
        """Proves: the right answer does."""
        verdict = self.gw.send(CRYPTO_PORT, reply)
        self.assertEqual(dict(verdict.outcomes), {Outcome.FORWARDED: 1})
        found, _ = end.received(verdict.outputs[0].data)
        self.assertEqual(found.seq, 1)

    def arrives(self, end: End, reply: bytes) -> None:
        """Proves: the right answer is delivered."""
        verdict = self.gw.send(CRYPTO_PORT, reply)
        packet = packet_of(end.shape.inner, 91, ours=False)
        self.assertEqual(verdict.outputs, [end.arrived(packet)])
