"""Transport mode over IPv6: where ESP stands in the chain (RFC 4303 3.1.1; cases TRN)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness import frames, wire
from harness.frames import Extension, fragment6, options6, routing6
from harness.ids import Drop, Mode, Wrap
from harness.modes import TRANSPORT6, ModeTest, Peer, Shape, packet_of
from harness.topology import HOST6, PROTECTED, REMOTE_HOST6, UNPROTECTED
from harness.tunnels import NAT_T

HOP_BY_HOP, DESTINATION, ROUTING, FRAGMENT, PSEUDO_HEADER = 0, 60, 43, 44, 94
UDP_PROTOCOL = 17

Chain = Sequence[Extension]

IN_FRONT: tuple[Chain, ...] = (
    (),
    (options6(HOP_BY_HOP),),
    (routing6(),),
    (options6(DESTINATION), routing6()),
    (options6(HOP_BY_HOP, 1), options6(DESTINATION, 2), routing6(4)),
)
"""Chains in front of ESP; destination options are there only before a routing header."""

WRAPPINGS = tuple((wrap, udp) for wrap in (Wrap.NONE, Wrap.ENCRYPTED) for udp in (None, NAT_T))


class ChainTest(ModeTest):
    """Packets with extension headers."""

    def from_us(self, chain: Chain, size: int = 260) -> bytes:
        """Of our host."""
        return frames.outgoing6(size, chain=chain)

    def to_us(self, chain: Chain, size: int = 260) -> bytes:
        """For our host."""
        return frames.inner6(size=size, chain=chain)


class Trn02EspBehindTheRoutingHeader(ChainTest):
    """TRN-02: hop-by-hop, destination options and routing header stay in front, the last of them
    names ESP, and the peer finds the packet as it was."""

    def runTest(self) -> None:
        for wrap, udp in WRAPPINGS:
            entries = self.gw.installed()
            shape = Shape(Mode.TRANSPORT, 6, 6, wrap, udp)
            tunnel, peer = self.sending(shape)
            for chain in IN_FRONT:
                with self.subTest(shape=str(shape), chain=[part.number for part in chain]):
                    packet = self.from_us(chain)
                    out = self.send_to(tunnel, peer, packet)
                    self.assert_in_front(out, packet, chain)
            self.gw.reset(entries)

    def assert_in_front(self, out: bytes, packet: bytes, chain: Chain) -> None:
        """The headers are as they were, but for the next header of the last one."""
        end = 40 + sum(map(len, chain))
        place, at = wire.protocol_at(out)
        self.assertEqual(at, end)
        self.assertIn(out[place], (wire.ESP, wire.WESP, wire.UDP))
        before = bytearray(frames.rewritten(packet)[:end])
        before[4:6], before[place] = out[4:6], out[place]
        self.assertEqual(out[:end], bytes(before))


class Trn02ChainIsRestored(ChainTest):
    """TRN-02: the inverse, for what scapy seals; it leaves destination options in front."""

    def runTest(self) -> None:
        chains = (
            *IN_FRONT,
            (options6(DESTINATION),),
            (options6(HOP_BY_HOP), options6(DESTINATION)),
        )
        for wrap, udp in WRAPPINGS:
            entries = self.gw.installed()
            shape = Shape(Mode.TRANSPORT, 6, 6, wrap, udp)
            _, peer = self.receiving(shape)
            for seq, chain in enumerate(chains, start=1):
                with self.subTest(shape=str(shape), chain=[part.number for part in chain]):
                    self.accept_from(peer, seq, self.to_us(chain))
            self.gw.reset(entries)


class Trn04DestinationOptionsInside(ChainTest):
    """TRN-04: those for the last destination are sealed, with and without a routing header."""

    def runTest(self) -> None:
        tunnel, peer = self.sending(TRANSPORT6)
        for front in IN_FRONT:
            with self.subTest(front=[part.number for part in front]):
                packet = self.from_us((*front, options6(DESTINATION)))
                out = self.seal(tunnel, packet)
                self.assertEqual(wire.protocol_at(out)[1], 40 + sum(map(len, front)))
                self.assertEqual(peer.receive(out), frames.rewritten(packet))


class Trn04NextHeader60IsRestored(ChainTest):
    """TRN-04: NH 60 inside ESP: the chain is as it was."""

    def runTest(self) -> None:
        _, peer = self.receiving(TRANSPORT6)
        for seq, front in enumerate(IN_FRONT, start=1):
            packet = self.to_us((*front, options6(DESTINATION)))
            self.accept_esp(self.split(peer, seq, packet, front), packet)

    def split(self, peer: Peer, seq: int, packet: bytes, front: Chain) -> bytes:
        """The frame in which only ``front`` stands before ESP."""
        end = 40 + sum(map(len, front))
        head = frames.ipv6(b"", DESTINATION, chain=front, src=REMOTE_HOST6, dst=HOST6, hlim=64)
        plain = peer.sealed(seq, packet[end:], DESTINATION)
        return frames.ethernet(UNPROTECTED, carrying_at(head, plain))


class OptionsBeforeAndBehindEsp(ChainTest):
    """A peer may put destination options in front and inside; both stay where they are."""

    def runTest(self) -> None:
        _, peer = self.receiving(TRANSPORT6)
        front, inside = options6(DESTINATION, 1), options6(DESTINATION)
        packet = self.to_us((front, inside))
        head = frames.ipv6(b"", wire.ESP, chain=(front,), src=REMOTE_HOST6, dst=HOST6, hlim=64)
        plain = peer.sealed(1, packet[40 + len(front) :], DESTINATION)
        self.accept_esp(frames.ethernet(UNPROTECTED, carrying_at(head, plain)), packet)


def carrying_at(head: bytes, sealed: bytes) -> bytes:
    """ESP behind a header and its chain."""
    at = len(head)
    place = 6
    here = 40
    while here < at:
        place, here = here, here + 8 * (head[here + 1] + 1)
    return wire.resized(head[:place] + bytes([wire.ESP]) + head[place + 1 :] + sealed)


class RoutingInsideIsNotMixedUp(ChainTest):
    """What stands inside ESP behind destination options is the destination's: a routing header
    there takes nothing from the one in front."""

    def runTest(self) -> None:
        _, peer = self.receiving(TRANSPORT6)
        inside = (options6(DESTINATION, 1), routing6(4))
        for seq, front in enumerate(IN_FRONT, start=1):
            packet = self.to_us((*front, *inside))
            head = frames.ipv6(b"", wire.ESP, chain=front, src=REMOTE_HOST6, dst=HOST6, hlim=64)
            plain = peer.sealed(seq, packet[len(head) :], DESTINATION)
            with self.subTest(front=[part.number for part in front]):
                frame = frames.ethernet(UNPROTECTED, carrying_at(head, plain))
                self.accept_esp(frame, packet)


class Trn04HeadersThatStandInFront(ChainTest):
    """TRN-04: NH 44, 0 and 43 inside ESP, and NH 94: BAD_NH; the numbers are used up."""

    def runTest(self) -> None:
        tunnel, peer = self.receiving(TRANSPORT6)
        parts = (fragment6(), fragment6(more=False), options6(HOP_BY_HOP), routing6())
        packet = self.to_us(())
        for seq, part in enumerate(parts, start=1):
            payload = part.octets(UDP_PROTOCOL) + packet[40:]
            frame = frames.ethernet(UNPROTECTED, peer.by_hand(packet, seq, payload, part.number))
            self.refuse(Drop.BAD_NH, UNPROTECTED, frame)
            self.assertEqual(tunnel.top(), seq)
        payload = bytes([UDP_PROTOCOL, 0, 0, 0, 1, 1, 1, 1]) + packet[40:]
        frame = frames.ethernet(UNPROTECTED, peer.by_hand(packet, 9, payload, PSEUDO_HEADER))
        self.refuse(Drop.BAD_NH, UNPROTECTED, frame)


class FragmentBehindOptionsInside(ChainTest):
    """A fragment header does not come in behind destination options either."""

    def runTest(self) -> None:
        _, peer = self.receiving(TRANSPORT6)
        packet = self.to_us((options6(DESTINATION), fragment6()))
        plain = carrying_at(packet[:40], peer.sealed(1, packet[40:], DESTINATION))
        self.refuse(Drop.BAD_NH, UNPROTECTED, frames.ethernet(UNPROTECTED, plain))


class Frg04Ipv6FragmentsAreRefused(ChainTest):
    """FRG-04: with a fragment header, atomic ones among them; no number is taken."""

    def runTest(self) -> None:
        tunnel, _ = self.sending(TRANSPORT6)
        for part in (fragment6(), fragment6(9), fragment6(more=False)):
            for front in ((), (options6(HOP_BY_HOP),), (routing6(),), (options6(DESTINATION),)):
                frame = frames.ethernet(PROTECTED, self.from_us((*front, part)))
                self.refuse(Drop.INNER_FRAGMENT, PROTECTED, frame)
        self.assertEqual(tunnel.last(), 0)


class LongHeadersOut(ChainTest):
    """The text must begin within 255 octets: a longer chain is refused, no number is taken."""

    def runTest(self) -> None:
        tunnel, peer = self.sending(TRANSPORT6)
        self.send_to(tunnel, peer, self.from_us((options6(HOP_BY_HOP, 23),), 400))
        for units in (24, 30):
            frame = frames.ethernet(PROTECTED, self.from_us((options6(HOP_BY_HOP, units),), 400))
            self.refuse(Drop.LONG_HEADERS, PROTECTED, frame)
        self.assertEqual(tunnel.last(), 1)


class LongHeadersIn(ChainTest):
    """The same towards us: no crypto call, and the window stays."""

    def runTest(self) -> None:
        tunnel, peer = self.receiving(TRANSPORT6)
        self.accept_from(peer, 1, self.to_us((options6(HOP_BY_HOP, 23),), 400))
        packet = self.to_us((options6(HOP_BY_HOP, 24),), 400)
        frame = frames.ethernet(UNPROTECTED, peer.send(packet, 2))
        verdict = self.refuse(Drop.LONG_HEADERS, UNPROTECTED, frame)
        self.assertEqual((verdict.requests, tunnel.top()), ([], 1))


class Ipv6HeaderFieldsArePassedOn(ChainTest):
    """Traffic class, flow label and hop limit are the packet's own."""

    def runTest(self) -> None:
        tunnel, peer = self.sending(TRANSPORT6, ttl=9, dscp=10, flow_label=5)
        _, sender = self.receiving(TRANSPORT6)
        for seq, (traffic_class, label) in enumerate(((0, 0), (3, 1), (0xB9, 0xFFFFF)), start=1):
            fields: dict[str, Any] = {"tc": traffic_class, "fl": label, "hlim": 33}
            out = self.send_to(tunnel, peer, frames.outgoing6(**fields))
            self.assertEqual(out[:4], frames.outgoing6(**fields)[:4])
            self.accept_from(sender, seq, frames.inner6(**fields))


class OptionsAreSelectedThrough(ChainTest):
    """Policy sees the layer behind the options that came out of ESP."""

    def runTest(self) -> None:
        _, peer = self.receiving(TRANSPORT6)
        packet = self.to_us((options6(DESTINATION),))
        payload = packet[40:]
        self.assertEqual(packet_of(6, 60, ours=False)[6], UDP_PROTOCOL)
        cut = payload[:12]  # the options, and half of a UDP header
        plain = carrying_at(packet[:40], peer.sealed(1, cut, DESTINATION))
        self.refuse(Drop.BAD_INNER, UNPROTECTED, frames.ethernet(UNPROTECTED, plain))
