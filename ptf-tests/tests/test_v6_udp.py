"""UDP port 4500 over IPv6, and IKE on both ports (RFC 3948, RFC 7296; cases UDP, POL-02)."""

from __future__ import annotations

import struct
from typing import Any

from scapy.layers.inet import UDP
from scapy.layers.inet6 import IPv6

from harness import esp, frames, tables
from harness import vectors as vec
from harness.families import FamilyTest, datagram6
from harness.ids import Drop, Punt
from harness.tables import Traffic
from harness.topology import (
    GATEWAY6,
    HOST6,
    PEER6,
    PROTECTED,
    SITE6,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)
from harness.tunnels import NAT_T

MARKER = bytes(4)
INITIATOR = 0x08
OURS = 0x1111_2222_3333_4444
THEIRS = 0x5555_6666_7777_8888
HOP_BY_HOP, ROUTING, DESTINATION = 0, 43, 60


def ike(spi_i: int, spi_r: int, flags: int = INITIATOR, body: bytes = b"body") -> bytes:
    """An IKE message with this header (RFC 7296 3.1)."""
    length = 28 + len(body)
    return struct.pack("!QQBBBBII", spi_i, spi_r, 33, 0x20, 34, flags, 0, length) + body


def on_4500(payload: bytes, **fields: Any) -> bytes:
    """The frame with a datagram for port 4500."""
    return frames.ethernet(UNPROTECTED, datagram6(payload, **fields))


def on_500(payload: bytes, port: int = UNPROTECTED, **fields: Any) -> bytes:
    """The frame with a datagram for port 500."""
    return frames.ethernet(port, datagram6(payload, sport=500, dport=500, **fields))


def with_checksum(packet: bytes, flip: int = 0) -> bytes:
    """The checksum that scapy finds, with some bits flipped."""
    made = IPv6(packet)
    del made[UDP].chksum
    octets = bytes(made)
    value = int.from_bytes(octets[46:48]) ^ flip
    return octets[:46] + value.to_bytes(2) + octets[48:]


class Udp6Test(FamilyTest):
    """Fixture SA-G over IPv6 with the SPI of the vectors."""

    def setUp(self) -> None:
        super().setUp()
        self.tunnel = self.inbound(outer=6, spi=vec.SPI)

    def reaches_controller(self, reason: Punt, frame: bytes, port: int = UNPROTECTED) -> None:
        """As it came."""
        self.assertEqual(self.punted(reason, port, frame).payload, frame)


class Udp01EspInUdp(Udp6Test):
    """UDP-01: checksum zero, right, and wrong: it is not looked at, the ICV decides."""

    def runTest(self) -> None:
        self.accept_esp(on_4500(vec.D1), vec.INNER)
        for seq, flip in ((8, 0), (9, 0x0100), (10, 0xFFFF)):
            packet = with_checksum(datagram6(self.tunnel.esp(seq, vec.INNER)), flip)
            self.accept_esp(frames.ethernet(UNPROTECTED, packet), vec.INNER)


class Udp02Keepalive(Udp6Test):
    """UDP-02: one octet FF: dropped on a counter of its own, with and without padding."""

    def runTest(self) -> None:
        self.refuse(Drop.KEEPALIVE, UNPROTECTED, on_4500(b"\xff"))
        padded = frames.ethernet(UNPROTECTED, datagram6(b"\xff"), pad=bytes(17))
        self.refuse(Drop.KEEPALIVE, UNPROTECTED, padded)
        chain = [frames.options6(DESTINATION)]
        self.refuse(Drop.KEEPALIVE, UNPROTECTED, on_4500(b"\xff", chain=chain))
        self.assertEqual(self.tunnel.top(), 0)


class Udp03NotAKeepalive(Udp6Test):
    """UDP-03: FF FF, nothing, three octets, and SPI ff000000."""

    def runTest(self) -> None:
        for payload in (b"\xff\xff", b"", b"\xff\xff\xff", b"\xfe", b"\0", b"\xff\0\0\0"):
            self.refuse(Drop.RUNT, UNPROTECTED, on_4500(payload))
        self.refuse(Drop.NO_SA, UNPROTECTED, on_4500(b"\xff" + bytes(63)))


class Udp04MarkedIke(Udp6Test):
    """UDP-04: the non-ESP marker leads to the controller, unchanged; a cut one is a runt."""

    def runTest(self) -> None:
        message = ike(1, 0, body=b"")
        self.reaches_controller(Punt.IKE_NEW, on_4500(MARKER + message))
        for size in (0, 4, 8, 27):
            self.refuse(Drop.RUNT, UNPROTECTED, on_4500(MARKER + message[:size]))


class Udp05ReservedSpi(Udp6Test):
    """UDP-05: 1 and 255 are reserved; 2 is WESP, which this SA does not speak."""

    def runTest(self) -> None:
        for spi in (1, 255):
            self.refuse(Drop.BAD_SPI, UNPROTECTED, on_4500(struct.pack("!I", spi) + vec.D1[4:]))
        wrapped = on_4500(b"\0\0\0\2" + b"\0\0\0\x20" + vec.D1)
        self.refuse(Drop.ENCAP_MISMATCH, UNPROTECTED, wrapped)


class Udp06DatagramLengthLies(Udp6Test):
    """UDP-06: too short for ESP, longer than the packet, shorter than the packet."""

    def runTest(self) -> None:
        for length in (0, 7, 8, 10, 15):
            self.refuse(Drop.RUNT, UNPROTECTED, on_4500(vec.D1, length=length))
        self.refuse(Drop.BAD_OUTER, UNPROTECTED, on_4500(vec.D1, length=8 + len(vec.D1) + 1))
        trailing = on_4500(vec.D1 + b"\xee" * 5, length=8 + len(vec.D1))
        self.accept_esp(trailing, vec.INNER)


class Udp06EveryEspLength(Udp6Test):
    """ESP lengths come from the UDP length: below the minimum no crypto call."""

    def runTest(self) -> None:
        for size in range(8, 40):
            verdict = self.gw.send(UNPROTECTED, on_4500(vec.D1, length=8 + size))
            self.assert_refused(verdict, Drop.BAD_ICV if size == 36 else esp.shorter(size))
            self.assertEqual(len(verdict.requests), size == 36)


class Udp07BothWrappings(Udp6Test):
    """UDP-07, RFC 7296 2.23: plain and encapsulated packets of one SA share its window."""

    def runTest(self) -> None:
        for seq, udp in ((1, None), (2, NAT_T), (3, None), (4, (40000, 4500))):
            frame = self.tunnel.frame(seq, frames.inner(), udp=udp)
            self.accept_esp(frame, frames.inner())
        twice = self.tunnel.frame(3, frames.inner(), udp=NAT_T)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, twice)


class EspOnPort500IsNotEsp(Udp6Test):
    """RFC 7296 2.23: ESP never travels on port 500."""

    def runTest(self) -> None:
        frame = frames.ethernet(UNPROTECTED, frames.outer6(vec.D1, udp=(500, 500)))
        verdict = self.gw.send(UNPROTECTED, frame)
        self.assertEqual(verdict.requests, [])
        self.assertEqual(verdict.punts.total(), 1)


class IkeInThreeClasses(Udp6Test):
    """POL-02: new, of a live IKE SA, and other, on both ports; nothing of policy is asked."""

    def runTest(self) -> None:
        self.gw.insert(tables.ike_sa(OURS), tables.spd(Traffic(src="::/0"), "discard"))
        cases = (
            (Punt.IKE_NEW, ike(THEIRS, 0)),
            (Punt.IKE_KNOWN, ike(THEIRS, OURS)),
            (Punt.IKE_KNOWN, ike(OURS, THEIRS, flags=0)),
            (Punt.IKE_OTHER, ike(OURS, THEIRS)),
            (Punt.IKE_OTHER, ike(THEIRS, THEIRS)),
        )
        for reason, message in cases:
            self.reaches_controller(reason, on_500(message))
            self.reaches_controller(reason, on_4500(MARKER + message))


class IkeBehindHeaders(Udp6Test):
    """IKE is found behind extension headers and a VLAN tag."""

    def runTest(self) -> None:
        for chain in (
            [frames.options6(HOP_BY_HOP)],
            [frames.options6(DESTINATION, 3)],
            [frames.options6(HOP_BY_HOP), frames.routing6(), frames.options6(DESTINATION)],
        ):
            self.reaches_controller(Punt.IKE_NEW, on_500(ike(1, 0), chain=chain))
            self.reaches_controller(Punt.IKE_NEW, on_4500(MARKER + ike(1, 0), chain=chain))
        tagged = on_500(ike(1, 0), UNPROTECTED_VLAN)
        self.reaches_controller(Punt.IKE_NEW, tagged, UNPROTECTED_VLAN)


class IkeTooShort(Udp6Test):
    """Less than an IKE header on port 500 is ordinary traffic for us."""

    def runTest(self) -> None:
        for size in (0, 1, 27):
            self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, on_500(ike(1, 2)[:size]))
        self.bypass(Traffic(dst=f"{GATEWAY6}/128"))
        for size in (0, 1, 27):
            self.reaches_controller(Punt.LOCAL, on_500(ike(1, 2)[:size]))


class IkeOnlyWhenForUs(Udp6Test):
    """Transit on ports 500 and 4500 is ordinary traffic: policy decides, nothing is changed."""

    def runTest(self) -> None:
        packets = (
            datagram6(ike(1, 0), sport=500, dport=500, dst=HOST6),
            datagram6(MARKER + ike(1, 0), dst=HOST6),
            datagram6(b"\xff", dst=HOST6),
            datagram6(b"", dst=HOST6),
            datagram6(b"\0\0\0\1short", dst=HOST6),
            frames.outer6(bytes(64), dst=HOST6),
        )
        for packet in packets:
            self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        self.bypass(Traffic(src=f"{PEER6}/128", dst=SITE6))
        for packet in packets:
            out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
            self.assertEqual(out.data, frames.delivered(PROTECTED, frames.rewritten(packet)))
