"""Every mode, family, transform and wrapping, both ways, over sampled sizes (ICV-16)."""

from __future__ import annotations

import random
from collections import Counter

from harness import frames
from harness.gateway import Frame
from harness.ids import Wrap
from harness.modes import ModeTest, Peer, Shape, key_of, packet_of, shapes
from harness.topology import PROTECTED, UNPROTECTED
from harness.transforms import TRANSFORMS, VISIBLE
from harness.tunnels import NAT_T

LARGEST = 1446
SAMPLES = 5


def sizes(shape: Shape, seed: str) -> list[int]:
    """Of whole packets: the least that has a payload, the most, and some in between."""
    least = (21, 41)[shape.inner == 6]
    some = random.Random(f"{shape} {seed}").sample(range(least + 1, LARGEST), SAMPLES)
    return [least, *some, LARGEST]


class RoundTripTest(ModeTest):
    """Runs one transform through all shapes."""

    transform = ""

    def all_shapes(self) -> list[Shape]:
        """With and without UDP and WESP."""
        visible = Wrap.VISIBLE if self.transform in VISIBLE else Wrap.ENCRYPTED
        wrappings = [(wrap, udp) for wrap in (Wrap.NONE, visible) for udp in (None, NAT_T)]
        return [shape for wrap, udp in wrappings for shape in shapes(wrap=wrap, udp=udp)]

    def inwards(self, shape: Shape, key_number: int) -> None:
        """The peer's packets are delivered."""
        key = key_of(self.transform, key_number)
        _, peer = self.receiving(shape, key=key)
        packets = [packet_of(shape.inner, n, ours=False) for n in sizes(shape, self.transform)]
        verdict = self.gw.send(UNPROTECTED, *self.sealed(peer, packets))
        self.assertEqual(verdict.drops, Counter())
        expected = [frames.rewritten(peer.arrived(packet)) for packet in packets]
        frames_out = [Frame(PROTECTED, frames.delivered(PROTECTED, data)) for data in expected]
        self.assertEqual(verdict.outputs, frames_out)

    def sealed(self, peer: Peer, packets: list[bytes]) -> list[bytes]:
        """The frames in which they come."""
        return [
            frames.ethernet(UNPROTECTED, peer.send(packet, seq))
            for seq, packet in enumerate(packets, start=1)
        ]

    def outwards(self, shape: Shape, key_number: int) -> None:
        """The peer gets our packets."""
        tunnel, peer = self.sending(shape, key=key_of(self.transform, key_number))
        packets = [packet_of(shape.inner, n, ours=True) for n in sizes(shape, self.transform)]
        data = [frames.ethernet(PROTECTED, packet) for packet in packets]
        verdict = self.gw.send(PROTECTED, *data)
        self.assertEqual(verdict.drops, Counter())
        skip = len(frames.link_header(UNPROTECTED))
        received = [peer.receive(out.data[skip:]) for out in verdict.outputs]
        expected = [peer.arrived(frames.rewritten(packet)) for packet in packets]
        self.assertEqual(received, expected)
        self.assertEqual(tunnel.last(), len(packets))

    def both_ways(self) -> None:
        """The test."""
        self.shows_payload = self.transform in VISIBLE
        for number, shape in enumerate(self.all_shapes()):
            with self.subTest(shape=str(shape)):
                self.inwards(shape, 2 * number)
                self.outwards(shape, 2 * number + 1)
            self.gw.reset(self.entries)

    def setUp(self) -> None:
        super().setUp()
        self.entries = self.gw.installed()


def _test(name: str) -> type[RoundTripTest]:
    def run(self: RoundTripTest) -> None:
        self.both_ways()

    title = "Icv16RoundTrip" + name.title().replace("-", "")
    fields = {"transform": name, "runTest": run, "__doc__": f"{name}.", "__module__": __name__}
    return type(title, (RoundTripTest,), fields)


globals().update({case.__name__: case for case in map(_test, TRANSFORMS)})
