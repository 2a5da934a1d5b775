"""Several sequence spaces in one SA: sub-child SAs (digest a), anti-replay subspaces (digest b)."""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Sequence

from scapy.layers.inet import IP, UDP

from harness import frames, tables, topology
from harness.esp import Key
from harness.format_modes import End, FormatModeTest
from harness.formats import LAYOUTS, Packet, Peer
from harness.gateway import Frame
from harness.ids import SPACES, ControlStatus, Drop, Event, Format, Op, Role, Spread
from harness.modes import packet_of
from harness.sa import Layout, cells_for
from harness.topology import (
    HOST,
    NO_INTERFACE,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE_HOST,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)
from harness.tunnels import InboundTunnel

SPLIT = ("subspaces", "sub-child", "spi-block", "eesp-optimized")
IN_THE_NUMBER = ("subspaces", "sub-child")
ONE_KEY = "subspaces"
WINDOW = 64
MILLION = 1_000_000
FORGED = 1000
CELL_OCTETS = 8
MOST_OCTETS = 40
"""Of register memory for a sequence space with a window of 64 (issue 5)."""
FAR_CELLS = 200_000
"""Where no other test has cells."""

PACKET = packet_of(4, 60, ours=False)


def spread_by(name: str, spread: Spread) -> Layout:
    """A sender's layout."""
    known = LAYOUTS[name]
    return Layout(known.format, last_sub=known.last_sub, key_step=known.key_step, spread=spread)


def outgoing(dscp: int = 0, sport: int = 5000) -> bytes:
    """A packet of a class and a flow."""
    datagram = UDP(sport=sport, dport=2000) / bytes(20)
    return bytes(IP(src=HOST, dst=REMOTE_HOST, id=1, ttl=64, tos=dscp << 2) / datagram)


def bucket_of(packet: bytes) -> int:
    """CRC-32 over addresses, protocol and ports, modulo 256."""
    return zlib.crc32(packet[12:20] + packet[9:10] + packet[20:24]) % 256


class SpacesTest(FormatModeTest):
    """Sub by sub, and number by number."""

    def take(self, end: End, *numbers: tuple[int, int]) -> None:
        """Proves: packets are delivered; (sub, number)."""
        sent = [end.frame(PACKET, number, sub) for sub, number in numbers]
        verdict = self.gw.send(UNPROTECTED, *sent)
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(verdict.outputs, [end.arrived(PACKET)] * len(sent))

    def leave(self, end: End, reason: Drop, *numbers: tuple[int, int]) -> None:
        """Proves: they are refused and leave no trace."""
        sent = [end.frame(PACKET, number, sub) for sub, number in numbers]
        self.without_a_trace(reason, end.speaking, *sent)

    def counted(self, end: End, found: Sequence[Packet], subs: Sequence[int]) -> None:
        """Proves: packets had these subs, and each sub numbers of its own without a gap."""
        self.assertEqual([packet.sub for packet in found], list(subs))
        seen: Counter[int] = Counter()
        for packet in found:
            seen[packet.sub] += 1
            self.assertEqual(packet.seq, seen[packet.sub])
        self.assertEqual(self.last_of(end.speaking), [seen[n] for n in range(4)])


class SubsCountIndependentlyByClass(SpacesTest):
    """a.5, 0.5: the sender takes the sub from the DSCP, modulo the subs; each has a counter."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                entries = self.gw.installed()
                end = self.to_peer(name, layout=spread_by(name, Spread.DSCP))
                classes = [0, 1, 1, 2, 46, 3, 3, 3, 5, 63, 0, 4]
                found = self.emit(end, [outgoing(dscp) for dscp in classes])
                self.counted(end, found, [dscp % 4 for dscp in classes])
                self.gw.reset(entries)


class SubsCountIndependentlyByPort(SpacesTest):
    """a.5: the same by ingress port, the "core" of a switch."""

    def runTest(self) -> None:
        inside = {NO_INTERFACE: 1, UNPROTECTED_VLAN: 3}
        ports = {PROTECTED: 0, PROTECTED_VLAN: 2, **inside}
        mac = topology.gateway_mac(PROTECTED)
        for port in inside:
            self.gw.insert(tables.port_role(port, Role.PROTECTED, 0, mac))
        for name in SPLIT:
            with self.subTest(format=name):
                entries = self.gw.installed()
                end = self.to_peer(name, layout=spread_by(name, Spread.PORT))
                order = [*ports, *ports, PROTECTED, PROTECTED_VLAN, PROTECTED]
                known = dict.fromkeys(inside, PROTECTED)
                sent = [
                    Frame(port, frames.ethernet(known.get(port, port), outgoing()))
                    for port in order
                ]
                verdict = self.gw.exchange(sent)
                found = [end.received(out.data)[0] for out in verdict.outputs]
                self.counted(end, found, [ports[port] for port in order])
                self.gw.reset(entries)


class SubsCountIndependentlyByFlow(SpacesTest):
    """0.5: the same by a hash of the inner flow, so that no flow is spread over two windows."""

    def runTest(self) -> None:
        packets = [outgoing(sport=1000 + number) for number in range(24)] * 2
        subs = [bucket_of(packet) % 4 for packet in packets]
        self.assertEqual(set(subs), {0, 1, 2, 3})
        for name in SPLIT:
            with self.subTest(format=name):
                entries = self.gw.installed()
                end = self.to_peer(name, layout=spread_by(name, Spread.FLOW))
                self.counted(end, self.emit(end, packets), subs)
                self.gw.reset(entries)


class SpisOfABlockAreOneSa(SpacesTest):
    """a.12 9: 0x2000..0x2003 resolve to one SA, the SPI behind them does not: NO_SA."""

    def runTest(self) -> None:
        end = self.from_peer("spi-block")
        self.take(end, *((sub, 1) for sub in range(4)))
        self.assertEqual(self.gw.traffic("sa_in_traffic", end.speaking.sa.sa)[0], 4)
        last = end.octets(PACKET, 2, 3)
        for step in (-4, 1):
            spi = int.from_bytes(last[:4]) + step
            frame = end.around(PACKET, spi.to_bytes(4) + last[4:])
            self.without_a_trace(Drop.NO_SA, end.speaking, frame)


class EqualNumbersOnTwoSubs(SpacesTest):
    """a.12 2, b.11 4: both are accepted, and equal plaintext does not look equal: with one key,
    too, the nonces differ."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                end = self.from_peer(name)
                self.take(end, (2, 7), (3, 7))
                self.assertEqual(self.tops_of(end.speaking), [0, 0, 7, 7])
                two, three = end.octets(PACKET, 7, 2), end.octets(PACKET, 7, 3)
                self.assertNotEqual(two[-40:-16], three[-40:-16])


class ReplayOnOneSub(SpacesTest):
    """a.12 3: dropped; the same number on the next sub is not a replay."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                end = self.from_peer(name)
                self.take(end, (1, 5), (1, 6))
                self.leave(end, Drop.REPLAY_DUP, (1, 5), (1, 6))
                self.take(end, (2, 5), (2, 6))
                self.leave(end, Drop.REPLAY_DUP, (1, 5), (2, 6), (1, 6), (2, 5))
                self.leave(end, Drop.SEQ_ZERO, (0, 0), (1, 0))


class WindowEdgeOfEachSub(SpacesTest):
    """b.11 10: the left edge is top - W + 1: top - W is refused, on each sub by its own top."""

    def runTest(self) -> None:
        for name, window in itertools.product(SPLIT, (32, 64, 128)):
            with self.subTest(format=name, window=window):
                end = self.from_peer(name, window=window)
                tops = [1000, 500, 2000]
                self.take(end, *enumerate(tops))
                edges = [top - window + 1 for top in tops]
                self.leave(end, Drop.REPLAY_OLD, *((sub, e - 1) for sub, e in enumerate(edges)))
                self.take(end, *enumerate(edges))
                self.leave(end, Drop.REPLAY_DUP, *enumerate(edges))
                self.assertEqual(self.tops_of(end.speaking), [*tops, 0])


class WithoutAntiReplayService(SpacesTest):
    """RFC 4303 3.4.3: with a window of 0 each number is accepted again, on any sub, and nothing is
    remembered; ids above the negotiated are refused all the same."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                end = self.from_peer(name, window=0)
                self.take(end, (0, 9), (0, 9), (3, 1000), (3, 1), (3, 1))
                self.assertEqual(self.tops_of(end.speaking), [0] * 4)
                if name != "spi-block":
                    octets, at = end.octets(PACKET, 1), 4 if name in IN_THE_NUMBER else 2
                    frame = end.around(PACKET, octets[:at] + b"\0\4" + octets[at + 2 :])
                    self.refuse(Drop.BAD_SUB, UNPROTECTED, frame)


class ForgedPacketsAllocateNothing(SpacesTest):
    """a.12 5 and 6, b.11 6: 1,000 forged packets on an unused sub leave all registers alone; they
    are counted as forgeries of the SA."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                end = self.from_peer(name)
                self.take(end, (0, 3))
                octets = [end.octets(PACKET, 1 + n * 37, 2) for n in range(FORGED)]
                sent = [end.around(PACKET, o[:-1] + bytes([o[-1] ^ 1])) for o in octets]
                self.without_a_trace(Drop.BAD_ICV, end.speaking, *sent)
                self.assertEqual(self.state_of(end.speaking)[0], [3, 0, 0, 0])
                self.assertEqual(self.cells_of(end.speaking, 2), [0] * cells_for(WINDOW))
                self.assertEqual(self.gw.traffic("sa_in_forged", end.speaking.sa.sa)[0], FORGED)


class ExtremeSkewOfTwoSubs(SpacesTest):
    """b.11 5: sub 0 at 10^6, sub 1 at 1: both accepted, and none disturbs the other afterwards."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                end = self.from_peer(name)
                self.take(end, (0, MILLION), (1, 1), (0, MILLION - 63), (1, 2), (0, MILLION + 1))
                self.assertEqual(self.tops_of(end.speaking), [MILLION + 1, 2, 0, 0])


class AThousandNumbersOnTwoSubs(SpacesTest):
    """a.12 1: two subs, each 1..1000, in an order scrambled by 500: none is lost with W = 64."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                end = self.from_peer(name)
                times = [(n + 500 * sub, sub, n) for n in range(1, 1001) for sub in (0, 1)]
                self.take(end, *((sub, n) for _, sub, n in sorted(times)))
                self.assertEqual(self.tops_of(end.speaking), [1000, 1000, 0, 0])


class HardLimitOfEachSub(SpacesTest):
    """a.12 8: the last number is sent and reported, the next packet of that sub is SA_EXPIRED; the
    other subs go on."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                entries = self.gw.installed()
                end = self.to_peer(name, layout=spread_by(name, Spread.DSCP), seq_hard=100)
                self.gw.control(Op.ADVANCE_SEQ, end.speaking.sa.space + 1, 98)
                self.assertEqual(self.emit(end, [outgoing(1)])[0].seq, 99)
                self.assertEqual(self.emit(end, [outgoing(1)])[0].seq, 100)
                event = self.event()
                sub = int(name in IN_THE_NUMBER)
                self.assertEqual(
                    (event["kind"], event["sa"]), (Event.HARD_LIMIT, end.speaking.sa.sa)
                )
                self.assertEqual(event["seq"], sub << 48 | 100)
                frame = frames.ethernet(PROTECTED, outgoing(1))
                self.refuse(Drop.SA_EXPIRED, PROTECTED, frame, frame)
                self.assertEqual(self.last_of(end.speaking), [0, 100, 0, 0])
                found = self.emit(end, [outgoing(0), outgoing(2)])
                self.assertEqual([packet.seq for packet in found], [1, 1])
                self.gw.reset(entries)


class IdFlippedInFlight(SpacesTest):
    """b.11 3, a.12 10: the id is authenticated, and where subs have keys it chooses the wrong one:
    BAD_ICV, and no window moves."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                end = self.from_peer(name)
                place = 5 if name in IN_THE_NUMBER else 3
                for sub, other in itertools.permutations(range(4), 2):
                    octets = bytearray(end.octets(PACKET, 9, sub))
                    octets[place] ^= sub ^ other
                    frame = end.around(PACKET, bytes(octets))
                    self.without_a_trace(Drop.BAD_ICV, end.speaking, frame)


class AKeyPerSub(SpacesTest):
    """a.4: a packet under the key of sub 0 is none of sub 1, whatever its header says."""

    def runTest(self) -> None:
        for name in ("sub-child", "spi-block", "eesp-optimized"):
            with self.subTest(format=name):
                end = self.from_peer(name)
                first = end.speaking.peer.keys(0)
                octets = self.under(end, first).seal(Packet(1, PACKET, sub=1))
                self.without_a_trace(Drop.BAD_ICV, end.speaking, end.around(PACKET, octets))

    def under(self, end: End, key: Key) -> Peer:
        """A peer that has but one key."""
        return Peer(end.layout, end.speaking.sa.spi, lambda _: key)


class CountersOf48Bits(SpacesTest):
    """b.4, b.11 7: the counter is 48 bits wide; the receiver's range ends at 2^37 (SEQ_RANGE), and
    one subspace alone is plain 48-bit ESP."""

    def runTest(self) -> None:
        for last_sub in (0, 3):
            end = self.from_peer(ONE_KEY, layout=Layout(Format.SUBSPACES, last_sub=last_sub))
            high = 1 << 32
            self.take(end, (last_sub, high - 1), (last_sub, high), (last_sub, high + 5))
            self.take(end, (last_sub, (1 << 37) - 1))
            self.leave(end, Drop.SEQ_RANGE, (last_sub, 1 << 37), (last_sub, (1 << 48) - 1))
            entries = self.gw.installed()
            layout = Layout(Format.SUBSPACES, last_sub=last_sub, spread=Spread.DSCP)
            out = self.to_peer(ONE_KEY, layout=layout, seq_hard=(1 << 48) - 1)
            self.gw.control(Op.ADVANCE_SEQ, out.speaking.sa.space + last_sub, (1 << 40) - 1)
            self.assertEqual(self.emit(out, [outgoing(last_sub)])[0].seq, 1 << 40)
            self.gw.reset(entries)


class TwoPathsWithASkewOf200(SpacesTest):
    """Issue 5: packets of two paths, of which one is 200 packets slower, make one shared window of
    64 drop what the slow path brings; with a subspace for each path nothing is lost."""

    skew = 200
    count = 1200

    def arrivals(self) -> list[int]:
        """Packets in order of arrival; even ones take the fast path."""
        return sorted(range(self.count), key=lambda n: n + (self.skew if n % 2 else 0))

    def runTest(self) -> None:
        shared, split = self.from_peer("esp"), self.from_peer(ONE_KEY)
        late = self.shared_window(shared)
        self.assertGreater(late, self.count // 3)
        sent = [split.frame(PACKET, n // 2 + 1, n % 2) for n in self.arrivals()]
        verdict = self.gw.send(UNPROTECTED, *sent)
        self.assertEqual(dict(verdict.drops), {})
        self.assertEqual(len(verdict.outputs), self.count)
        self.assertEqual(self.tops_of(split.speaking), [self.count // 2] * 2 + [0, 0])

    def shared_window(self, end: End) -> int:
        """Proves: what is more than a window late is REPLAY_OLD, and nothing else; how many."""
        numbers, tunnel = [n + 1 for n in self.arrivals()], end.speaking.tunnel
        assert isinstance(tunnel, InboundTunnel)
        sent = [tunnel.frame(number, PACKET) for number in numbers]
        verdict = self.gw.send(UNPROTECTED, *sent)
        tops = list(itertools.accumulate(numbers, max))
        late = sum(number + WINDOW <= top for number, top in zip(numbers, tops, strict=True))
        self.assertEqual(dict(verdict.drops), {Drop.REPLAY_OLD: late})
        self.assertEqual(len(verdict.outputs), self.count - late)
        return late


class FortyOctetsForASpace(SpacesTest):
    """Issue 5: a space with a window of 64 has a top and four cells of 8 octets, no more than 40 in
    all; there are 65,536 spaces each way, with cells for all of them."""

    def runTest(self) -> None:
        registers = {r.preamble.alias: r for r in self.session.client.schema.p4info.registers}
        widths = {name: r.type_spec.bitstring.bit.bitwidth // 8 for name, r in registers.items()}
        cells = cells_for(WINDOW)
        size = widths["window_top"] + cells * widths["window_cell"]
        self.assertLessEqual(size, MOST_OCTETS)
        self.assertGreaterEqual(registers["window_top"].size, SPACES)
        self.assertGreaterEqual(registers["sequence"].size, SPACES)
        self.assertGreaterEqual(registers["window_cell"].size, SPACES * cells)
        for op in (Op.READ_TOP, Op.READ_SEQ):
            self.assertEqual(self.status_of(op, SPACES - 1), ControlStatus.OK)
            self.assertEqual(self.status_of(op, SPACES), ControlStatus.BAD_INDEX)


class NeighbouringSpacesShareNothing(SpacesTest):
    """Issue 5: a sub writes its own top and its own four cells, and no others: full windows side by
    side."""

    def runTest(self) -> None:
        for name in SPLIT:
            with self.subTest(format=name):
                end = self.from_peer(name)
                for sub in (2, 1):
                    before = self.state_of(end.speaking)
                    self.take(end, *((sub, n) for n in range(33, 33 + 2 * WINDOW)))
                    after = self.state_of(end.speaking)
                    for other in {0, 1, 2, 3} - {sub}:
                        self.assertEqual(after[0][other], before[0][other])
                        self.assertEqual(after[1 + other], before[1 + other])
                    self.assertEqual(after[0][sub], 32 + 2 * WINDOW)
                    self.assertTrue(all(after[1 + sub]))


class SubspacesOfTheWholeTable(SpacesTest):
    """b.8: N = 65,536 subspaces of one SA: the last one has the last space and cells of its own."""

    def runTest(self) -> None:
        last = SPACES - 1
        layout = Layout(Format.SUBSPACES, last_sub=last)
        end = self.from_peer(ONE_KEY, layout=layout, space=0, cell_base=FAR_CELLS)
        first_cell = FAR_CELLS + last * cells_for(WINDOW)
        self.take(end, (last, 5), (last, 6))
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, end.frame(PACKET, 5, last))
        self.assertEqual(self.gw.read(Op.READ_TOP, last), 6)
        self.assertEqual(self.gw.read(Op.READ_CELL, first_cell), 0b110_0000)
        self.gw.control(Op.SCRUB_TOP, last)
        self.gw.control(Op.SCRUB_CELLS, first_cell, cells_for(WINDOW))
