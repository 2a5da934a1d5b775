"""UDP port 4500: ESP, IKE behind the marker, keepalives and the rest (RFC 3948; cases UDP)."""

from __future__ import annotations

import struct
from typing import Any

from harness import esp, frames
from harness import vectors as vec
from harness.ids import Drop, Punt
from harness.testcase import GatewayTest
from harness.topology import UNPROTECTED
from harness.tunnels import NAT_T


def on_4500(payload: bytes, **fields: Any) -> bytes:
    """The frame with a datagram for port 4500."""
    return frames.ethernet(UNPROTECTED, frames.datagram(payload, **fields))


class NatTraversalTest(GatewayTest):
    """Fixture SA-G with the SPI of the vectors."""

    def setUp(self) -> None:
        super().setUp()
        self.tunnel = self.inbound(spi=vec.SPI)


class Udp01EspInUdp(NatTraversalTest):
    """UDP-01: D13; checksum zero, and one that we do not look at: the ICV decides."""

    def runTest(self) -> None:
        self.assertEqual(frames.outer(vec.D1, udp=NAT_T), vec.D13)
        self.accept_esp(frames.ethernet(UNPROTECTED, vec.D13), vec.INNER)
        packet = bytearray(frames.outer(self.tunnel.esp(8, vec.INNER), udp=NAT_T))
        packet[26:28] = b"\xab\xcd"
        self.accept_esp(frames.ethernet(UNPROTECTED, bytes(packet)), vec.INNER)


class Udp02Keepalive(NatTraversalTest):
    """UDP-02: one octet FF: dropped on a counter of its own, with and without padding."""

    def runTest(self) -> None:
        self.refuse(Drop.KEEPALIVE, UNPROTECTED, on_4500(b"\xff"))
        padded = frames.ethernet(UNPROTECTED, frames.datagram(b"\xff"), pad=bytes(17))
        self.refuse(Drop.KEEPALIVE, UNPROTECTED, padded)


class Udp03NotAKeepalive(NatTraversalTest):
    """UDP-03: FF FF, nothing, three octets, and SPI ff000000."""

    def runTest(self) -> None:
        for payload in (b"\xff\xff", b"", b"\xff\xff\xff", b"\xfe", b"\0", b"\xff\0\0\0"):
            self.refuse(Drop.RUNT, UNPROTECTED, on_4500(payload))
        self.refuse(Drop.NO_SA, UNPROTECTED, on_4500(b"\xff" + bytes(63)))


class Udp04MarkedIke(NatTraversalTest):
    """UDP-04: the non-ESP marker leads to the controller, unchanged; a cut one is a runt."""

    def runTest(self) -> None:
        ike = struct.pack("!QQBBBBII", 1, 0, 33, 0x20, 34, 0x08, 0, 28)
        frame = on_4500(bytes(4) + ike)
        self.assertEqual(self.punted(Punt.IKE_NEW, UNPROTECTED, frame).payload, frame)
        for size in (0, 4, 8, 27):
            self.refuse(Drop.RUNT, UNPROTECTED, on_4500(bytes(4) + ike[:size]))


class Udp05ReservedSpi(NatTraversalTest):
    """UDP-05: 1, 2 (WESP, which we do not speak) and 255."""

    def runTest(self) -> None:
        for spi in (1, 2, 255):
            frame = on_4500(struct.pack("!I", spi) + vec.D1[4:])
            self.refuse(Drop.BAD_SPI, UNPROTECTED, frame)


class Udp06DatagramLengthLies(NatTraversalTest):
    """UDP-06: too short for ESP, longer than the packet, shorter than the packet."""

    def runTest(self) -> None:
        for length in (0, 7, 8, 10, 15):
            self.refuse(Drop.RUNT, UNPROTECTED, on_4500(vec.D1, length=length))
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, on_4500(vec.D1, length=8 + len(vec.D1) + 1))
        trailing = on_4500(vec.D1 + b"\xee" * 5, length=8 + len(vec.D1))
        self.accept_esp(trailing, vec.INNER)


class Udp06EveryEspLength(NatTraversalTest):
    """ESP lengths come from the UDP length: below the minimum no crypto call."""

    def runTest(self) -> None:
        for size in range(8, 40):
            verdict = self.gw.send(UNPROTECTED, on_4500(vec.D1, length=8 + size))
            reason = Drop.BAD_ICV if size == 36 else esp.shorter(size)
            self.assert_refused(verdict, reason)
            self.assertEqual(len(verdict.requests), size == 36)


class Udp07BothWrappings(NatTraversalTest):
    """UDP-07, RFC 7296 2.23: plain and encapsulated packets of one SA share its window."""

    def runTest(self) -> None:
        for seq, udp in ((1, None), (2, NAT_T), (3, None)):
            frame = self.tunnel.frame(seq, frames.inner(), udp=udp)
            self.accept_esp(frame, frames.inner())
        twice = self.tunnel.frame(3, frames.inner(), udp=NAT_T)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, twice)


class Udp08SourcePortOfTheNat(NatTraversalTest):
    """UDP-08: the source port is no part of the key."""

    def runTest(self) -> None:
        frame = self.tunnel.frame(1, frames.inner(), udp=(40000, 4500))
        self.accept_esp(frame, frames.inner())


class EspOnPort500IsNotEsp(NatTraversalTest):
    """RFC 7296 2.23: ESP never travels on port 500."""

    def runTest(self) -> None:
        frame = frames.ethernet(UNPROTECTED, frames.outer(vec.D1, udp=(500, 500)))
        verdict = self.gw.send(UNPROTECTED, frame)
        self.assertEqual(verdict.requests, [])
        self.assertEqual(verdict.punts.total(), 1)
