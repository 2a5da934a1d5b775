"""Outbound: sequence numbers, lifetimes and the outer header (conformance cases SND, TUN)."""

from __future__ import annotations

import random
from typing import Any

from scapy.layers.inet import IP, UDP

from harness import frames, tables, topology
from harness.gateway import Frame
from harness.ids import Df, Drop, Event, Op, Outcome, Punt
from harness.sa import SEQ32_MAX
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    GATEWAY,
    HOST,
    HOST_VLAN,
    PEER,
    PEER_VLAN,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE,
    SITE_VLAN,
    UNPROTECTED_VLAN,
)
from harness.tunnels import NAT_T, OutboundTunnel

IP_LEN = 20
ESP_LEN = 16  # SPI, sequence number, IV


def sealed_len(inner_len: int) -> int:
    """ESP octets around an inner packet: RFC 4303 2.4 with alignment 4, ICV of 16."""
    return ESP_LEN + inner_len + (-(inner_len + 2)) % 4 + 2 + 16


class OutboundTest(GatewayTest):
    """One protected flow from our site to the remote one."""

    def send_and_open(self, tunnel: OutboundTunnel, packet: bytes) -> IP:
        """Proves that the peer gets ``packet`` with one hop less; the outer packet."""
        wire = self.seal(tunnel, packet)
        self.assertEqual(tunnel.open(wire), frames.rewritten(packet))
        self.assertEqual(frames.internet_checksum(wire[:IP_LEN]), 0)
        self.assertEqual(int.from_bytes(wire[2:4]), len(wire))
        return IP(wire)


class TooBigToSealTakesNoNumber(OutboundTest):
    """SND-06: what would not fit an IPv4 packet once sealed is refused before it is numbered."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        frame = frames.ethernet(PROTECTED, frames.outgoing(size=65100))
        self.refuse(Drop.TOO_BIG, PROTECTED, frame, punt=Punt.TOO_BIG)
        self.assertEqual(self.seal(tunnel, frames.outgoing())[24:28], (1).to_bytes(4))


class Snd01FirstNumberIsOne(OutboundTest):
    """SND-01: 1, 2, 3, with the number as IV."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        for seq in (1, 2, 3):
            wire = self.seal(tunnel, frames.outgoing())
            self.assertEqual(wire[20:24], tunnel.sa.spi.to_bytes(4))
            self.assertEqual(wire[24:28], seq.to_bytes(4))
            self.assertEqual(wire[28:36], seq.to_bytes(8))
            self.assertEqual(tunnel.last(), seq)


class Snd02Block32BitOverflow(OutboundTest):
    """SND-02: FFFFFFFF is the last number; then nothing leaves, never zero."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        tunnel.advance(SEQ32_MAX - 1)
        wire = self.seal(tunnel, frames.outgoing())
        self.assertEqual(wire[24:28], b"\xff\xff\xff\xff")
        event = self.event()
        self.assertEqual((event["kind"], event["sa"]), (Event.HARD_LIMIT, tunnel.sa.sa))
        frame = frames.ethernet(PROTECTED, frames.outgoing())
        self.refuse(Drop.SA_EXPIRED, PROTECTED, frame, frame)
        self.assertEqual(tunnel.last(), SEQ32_MAX)


class Snd04SoftLimitSpeaksAgain(OutboundTest):
    """SND-04: a digest at the soft limit and at every 1,024th number behind it."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(seq_soft=1000)
        frame = frames.ethernet(PROTECTED, frames.outgoing())
        for number in (1000, 2024, 3048):
            tunnel.advance(number - 514)
            self.gw.send(PROTECTED, frame, frame, frame)  # half-way, nothing
            tunnel.advance(number - 2)
            self.gw.send(PROTECTED, frame, frame, frame)  # the one before, it, the one after
            event, sa = self.event(), tunnel.sa
            told = (event["kind"], event["sa"], event["generation"], event["seq"])
            self.assertEqual(told, (Event.SOFT_LIMIT, sa.sa, sa.generation, number))


class Snd04HardLimit(OutboundTest):
    """SND-04: after the hard limit of 1100 packets every packet is SA_EXPIRED."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(seq_soft=1000, seq_hard=1100)
        tunnel.advance(1098)
        frame = frames.ethernet(PROTECTED, frames.outgoing())
        verdict = self.gw.send(PROTECTED, *[frame] * 5)
        self.assertEqual(dict(verdict.drops), {Drop.SA_EXPIRED: 3})
        self.assertEqual(len(verdict.outputs), 2)
        self.assertEqual(self.event()["kind"], Event.HARD_LIMIT)


class Snd04RekeyWithoutGap(OutboundTest):
    """SND-04: one write moves the traffic to the new SA; no packet is lost on the way."""

    def runTest(self) -> None:
        old = self.protected_outbound()
        new = self.outbound()
        packets = [frames.outgoing(id=number) for number in range(6)]
        wires = [self.seal(old, packet) for packet in packets[:3]]
        self.gw.modify(tables.sa_select(1, REMOTE, new.sa.sa))
        wires += [self.seal(new, packet) for packet in packets[3:]]
        opened = [
            tunnel.open(wire) for tunnel, wire in zip([old] * 3 + [new] * 3, wires, strict=True)
        ]
        self.assertEqual(opened, [frames.rewritten(packet) for packet in packets])
        self.assertEqual((old.last(), new.last()), (3, 3))


class LastNumbersOfAll(OutboundTest):
    """The largest SA index, space, generation, handle and SPI work in both directions."""

    def runTest(self) -> None:
        numbers: dict[str, Any] = {"sa": 65_535, "space": 65_535, "generation": 255}
        numbers |= {"handle": 0xFFFFFFFF, "spi": 0xFFFFFFFF}
        self.send_and_open(self.protected_outbound(**numbers), frames.outgoing())
        self.accept(self.inbound(**numbers), 1)


class Snd05TwoPortsOneSa(OutboundTest):
    """SND-05: packets from two ports share one SA: every number once, no gap."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        rule = tables.spd(Traffic(src=SITE_VLAN, dst=REMOTE), "protect", policy=1)
        self.gw.insert(rule)
        sources = ((PROTECTED, HOST), (PROTECTED_VLAN, HOST_VLAN))
        pair = [
            Frame(port, frames.ethernet(port, frames.outgoing(src=src))) for port, src in sources
        ]
        verdict = self.gw.exchange(pair * 16)
        numbers = [int.from_bytes(out.data[38:42]) for out in verdict.outputs]
        self.assertEqual(sorted(numbers), list(range(1, 33)))
        self.assertEqual(tunnel.last(), 32)


class Snd06DropsTakeNoNumber(OutboundTest):
    """SND-06: whatever drops before the engine leaves no gap."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        discard = Traffic(src="10.2.2.66/32")
        self.gw.insert(tables.spd(discard, "discard", priority=200))
        dead = frames.ethernet(PROTECTED, frames.outgoing(ttl=1))
        self.refuse(Drop.TTL, PROTECTED, dead, punt=Punt.TTL)
        unwanted = frames.ethernet(PROTECTED, frames.outgoing(src="10.2.2.66"))
        self.refuse(Drop.POLICY_DISCARD, PROTECTED, unwanted)
        self.assertEqual(tunnel.last(), 0)
        self.without(*topology.engine_entries())
        self.refuse(Drop.NO_ENGINE, PROTECTED, frames.ethernet(PROTECTED, frames.outgoing()))
        self.assertEqual(tunnel.last(), 0)


class Icv16EverySize(OutboundTest):
    """ICV-16: minimum padding and right lengths for all residues; scapy opens it."""

    SIZES = (*range(28, 41), 64, 100, 511, 512, 1400, 1445, 1446)

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        for size in self.SIZES:
            with self.subTest(size=size):
                outer = self.send_and_open(tunnel, frames.outgoing(size))
                self.assertEqual(outer.len, IP_LEN + sealed_len(size))


class EthernetPaddingIsNotSealed(OutboundTest):
    """A short packet in a padded frame goes out without the padding."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        packet = frames.outgoing(28)
        out = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet, pad=b"\xee" * 18))
        wire = out.data[14:]
        self.assertEqual(len(wire), IP_LEN + sealed_len(28))
        self.assertEqual(tunnel.open(wire), frames.rewritten(packet))


class Tun07InnerTimeToLive(OutboundTest):
    """TUN-07: 2 is sent as 1; 1 and 0 go to the controller, and no number is consumed."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        self.send_and_open(tunnel, frames.outgoing(ttl=2))
        for ttl in (1, 0):
            frame = frames.ethernet(PROTECTED, frames.outgoing(ttl=ttl))
            verdict = self.refuse(Drop.TTL, PROTECTED, frame, punt=Punt.TTL)
            (packet,) = verdict.packet_ins
            self.assertEqual((packet.op, packet.status), (Punt.TTL, Drop.TTL))
            self.assertEqual((packet.port, packet.payload), (PROTECTED, frame))
        self.assertEqual(tunnel.last(), 1)


class Tun09OuterTimeToLive(OutboundTest):
    """TUN-09: a constant of the SA, whatever the inner packet has."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(ttl=33)
        for ttl in (2, 64, 255):
            self.assertEqual(self.send_and_open(tunnel, frames.outgoing(ttl=ttl)).ttl, 33)


class Tun10DontFragment(OutboundTest):
    """TUN-10: inner DF 0 and 1 against set, clear, copy; the outer ID fits (RFC 6864)."""

    def runTest(self) -> None:
        for mode in Df:
            tunnel = self.protected_outbound(df=mode)
            for number, flags in enumerate(("", "DF"), start=1):
                with self.subTest(mode=mode.name, inner=flags):
                    outer = self.send_and_open(tunnel, frames.outgoing(flags=flags))
                    wanted = {Df.COPY: flags, Df.SET: "DF", Df.CLEAR: ""}[mode]
                    self.assertEqual(str(outer.flags), wanted)
                    self.assertEqual(outer.frag, 0)
                    self.assertEqual(outer.id, 0 if wanted else number)
            self.gw.reset(self.session.base)


class Tun11CodePoint(OutboundTest):
    """TUN-11: inner DSCP 46 is copied, or mapped to the SA's value."""

    def runTest(self) -> None:
        for fixed in (None, 0, 10):
            tunnel = self.protected_outbound(dscp=fixed)
            outer = self.send_and_open(tunnel, frames.outgoing(tos=46 << 2))
            self.assertEqual(outer.tos, (46 if fixed is None else fixed) << 2)
            self.gw.reset(self.session.base)


class Tun13CongestionBits(OutboundTest):
    """TUN-13: ECN is copied (RFC 6040 4.1, normal mode), also beside a fixed DSCP."""

    def runTest(self) -> None:
        for fixed in (None, 10):
            tunnel = self.protected_outbound(dscp=fixed)
            for ecn in range(4):
                outer = self.send_and_open(tunnel, frames.outgoing(tos=46 << 2 | ecn))
                self.assertEqual(outer.tos, (46 if fixed is None else fixed) << 2 | ecn)
            self.gw.reset(self.session.base)


class Tun14OptionsOutbound(OutboundTest):
    """TUN-14: IHL 6 to 15 inside, always 5 outside."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        for words in range(1, 11):
            options = bytes([1] * (4 * words - 1)) + b"\0"
            packet = frames.outgoing(100, options=options)
            with self.subTest(ihl=5 + words):
                self.assertEqual(self.send_and_open(tunnel, packet).ihl, 5)


class OuterHeaderWhole(OutboundTest):
    """Every field of the outer header, plain and in UDP 4500 (RFC 3948 2.1)."""

    def runTest(self) -> None:
        packet = frames.outgoing(100, tos=0xB9, flags="DF")
        for udp in (None, NAT_T, (4500, 40000)):
            tunnel = self.protected_outbound(udp=udp)
            wire = self.seal(tunnel, packet)
            fields = {"src": GATEWAY, "dst": PEER, "ttl": 64, "tos": 0xB9, "flags": "DF", "id": 0}
            sealed = wire[28:] if udp else wire[20:]
            self.assertEqual(wire, frames.outer(sealed, udp=udp, **fields))
            self.assertEqual(len(sealed), sealed_len(100))
            self.assertEqual(tunnel.open(wire), frames.rewritten(packet))
            self.gw.reset(self.session.base)


class UdpChecksumIsZero(OutboundTest):
    """RFC 3948 2.1: zero over IPv4; the length covers header and ESP."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound(udp=NAT_T)
        wire = self.seal(tunnel, frames.outgoing(61))
        datagram = UDP(wire[20:28])
        self.assertEqual((datagram.sport, datagram.dport, datagram.chksum), (4500, 4500, 0))
        self.assertEqual(datagram.len, 8 + sealed_len(61))


class VlanOnBothSides(OutboundTest):
    """A tagged site packet leaves tagged as the unprotected side has it, with priority 0."""

    def runTest(self) -> None:
        tunnel = self.outbound(dst=PEER_VLAN)
        rule = tables.spd(Traffic(src=SITE_VLAN, dst=REMOTE), "protect", policy=3)
        self.gw.insert(rule, tables.sa_select(3, REMOTE, tunnel.sa.sa))
        packet = frames.outgoing(src=HOST_VLAN)
        frame = bytearray(frames.ethernet(PROTECTED_VLAN, packet))
        frame[14] |= 0xE0  # priority 7 inside our site
        out = self.forward(PROTECTED_VLAN, bytes(frame))
        header = frames.delivered(UNPROTECTED_VLAN, b"")
        self.assertEqual((out.port, out.data[:18]), (UNPROTECTED_VLAN, header))
        self.assertEqual(tunnel.open(out.data[18:]), frames.rewritten(packet))


class InnerFragmentsAreCarried(OutboundTest):
    """FRG-05 outbound: a rule without ports carries first and later fragments."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        for fields in ({"flags": "MF"}, {"frag": 185}, {"flags": "MF", "frag": 185}):
            self.send_and_open(tunnel, frames.outgoing(100, **fields))


class OutboundTrafficIsCounted(OutboundTest):
    """Per SA, in pass 2: octets of the frame on the crypto port."""

    def runTest(self) -> None:
        tunnel = self.protected_outbound()
        for _ in range(3):
            self.seal(tunnel, frames.outgoing(100))
        packets, octets = self.gw.traffic("sa_out_traffic", tunnel.sa.sa)
        self.assertEqual(packets, 3)
        self.assertEqual(octets, 3 * (14 + 32 + IP_LEN + sealed_len(100)))


class OutcomesAddUp(OutboundTest):
    """A protected packet is two packets for the pipeline: one to the engine, one forwarded."""

    def runTest(self) -> None:
        self.protected_outbound()
        verdict = self.gw.send(PROTECTED, frames.ethernet(PROTECTED, frames.outgoing()))
        self.assertEqual(dict(verdict.outcomes), {Outcome.TO_ENGINE: 1, Outcome.FORWARDED: 1})


class RandomPacketsRoundTrip(OutboundTest):
    """Random payloads, sizes and header fields: scapy gets back what went in."""

    def runTest(self) -> None:
        rng = random.Random(4303)
        tunnel = self.protected_outbound()
        for _ in range(100):
            fields = {"tos": rng.randrange(256), "id": rng.randrange(1 << 16), "ttl": 64}
            packet = frames.outgoing(rng.randrange(28, 1400), **fields)
            self.send_and_open(tunnel, packet)
        self.assertEqual(self.gw.read(Op.READ_SEQ, tunnel.sa.space), 100)
