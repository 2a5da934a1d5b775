"""What is for the controller: IKE in three classes, ARP, our own addresses; and its meters."""

from __future__ import annotations

import struct
from typing import Any

from finsy import P4MeterConfig, P4MeterEntry
from finsy.proto import p4r
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from harness import frames, tables
from harness.ids import Drop, Outcome, Punt, Role
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    GATEWAY,
    GATEWAY_2,
    GATEWAY_INSIDE,
    HOST,
    PEER,
    PROTECTED,
    REMOTE_HOST,
    UNPROTECTED,
    UNPROTECTED_VLAN,
    VID,
)

INITIATOR = 0x08
OURS = 0x1111_2222_3333_4444
THEIRS = 0x5555_6666_7777_8888
MARKER = bytes(4)


def ike(spi_i: int, spi_r: int, flags: int = INITIATOR, body: bytes = b"body") -> bytes:
    """An IKE message with this header (RFC 7296 3.1)."""
    length = 28 + len(body)
    return struct.pack("!QQBBBBII", spi_i, spi_r, 33, 0x20, 34, flags, 0, length) + body


def on_500(message: bytes, port: int = UNPROTECTED, **fields: Any) -> bytes:
    """The frame with a datagram for port 500."""
    packet = frames.datagram(message, sport=500, dport=500, **fields)
    return frames.ethernet(port, packet)


def on_4500(message: bytes, **fields: Any) -> bytes:
    """The same behind the non-ESP marker."""
    packet = frames.datagram(MARKER + message, **fields)
    return frames.ethernet(UNPROTECTED, packet)


class LocalTest(GatewayTest):
    """Checks that the controller gets the frame as it came."""

    def reaches_controller(self, reason: Punt, frame: bytes, port: int = UNPROTECTED) -> None:
        self.assertEqual(self.punted(reason, port, frame).payload, frame)


class IkeNew(LocalTest):
    """Responder SPI zero: the first message of somebody."""

    def runTest(self) -> None:
        for frame in (on_500(ike(THEIRS, 0)), on_4500(ike(THEIRS, 0))):
            self.reaches_controller(Punt.IKE_NEW, frame)
        self.reaches_controller(Punt.IKE_NEW, on_500(ike(THEIRS, 0), dst=GATEWAY_2))


class IkeKnown(LocalTest):
    """Our SPI is the responder's in what an initiator sends, else the initiator's."""

    def runTest(self) -> None:
        self.gw.insert(tables.ike_sa(OURS))
        for message in (ike(THEIRS, OURS), ike(OURS, THEIRS, flags=0)):
            self.reaches_controller(Punt.IKE_KNOWN, on_500(message))
            self.reaches_controller(Punt.IKE_KNOWN, on_4500(message))
        cookie_request = ike(OURS, 0, flags=0x20)
        self.reaches_controller(Punt.IKE_KNOWN, on_500(cookie_request))


class IkeOther(LocalTest):
    """An SPI that is of no live IKE SA, or stands in the wrong place."""

    def runTest(self) -> None:
        self.gw.insert(tables.ike_sa(OURS))
        for message in (ike(OURS, THEIRS), ike(THEIRS, OURS, flags=0), ike(THEIRS, THEIRS)):
            self.reaches_controller(Punt.IKE_OTHER, on_500(message))
        self.gw.delete(tables.ike_sa(OURS))
        self.reaches_controller(Punt.IKE_OTHER, on_500(ike(THEIRS, OURS)))


class IkeOverVlan(LocalTest):
    """Tagged, and behind IP options."""

    def runTest(self) -> None:
        frame = on_500(ike(THEIRS, 0), UNPROTECTED_VLAN)
        self.reaches_controller(Punt.IKE_NEW, frame, UNPROTECTED_VLAN)
        self.reaches_controller(Punt.IKE_NEW, on_500(ike(THEIRS, 0), options=b"\1\1\1\0"))


class IkeTooShort(LocalTest):
    """Less than an IKE header on port 500 is ordinary traffic for us."""

    def runTest(self) -> None:
        self.bypass(Traffic(dst=f"{GATEWAY}/32"))
        for size in (0, 1, 27):
            self.reaches_controller(Punt.LOCAL, on_500(ike(1, 2)[:size]))


class IkeOnlyWhenForUs(LocalTest):
    """Transit on ports 500 and 4500 is ordinary traffic: policy decides, nothing is changed."""

    def runTest(self) -> None:
        packets = (
            frames.datagram(ike(1, 0), sport=500, dport=500, dst=HOST),
            frames.datagram(MARKER + ike(1, 0), dst=HOST),
            frames.datagram(b"\xff", dst=HOST),
            frames.datagram(b"", dst=HOST),
            frames.datagram(b"\0\0\0\1short", dst=HOST),
            frames.outer(bytes(64), dst=HOST),
        )
        for packet in packets:
            self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        self.bypass(Traffic(src="192.0.2.0/24", dst="10.2.2.0/24"))
        for packet in packets:
            out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
            self.assertEqual(out.data, frames.delivered(PROTECTED, frames.rewritten(packet)))


class TransitFirstFragmentOnPort500(LocalTest):
    """A first fragment shorter than an IKE header, on its way to somebody else, is untouched."""

    def runTest(self) -> None:
        self.bypass(Traffic(src="192.0.2.0/24", dst="10.2.2.0/24"))
        for port in (500, 4500):
            packet = frames.datagram(bytes(8), dport=port, length=900, dst=HOST, flags="MF")
            out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
            self.assertEqual(out.data, frames.delivered(PROTECTED, frames.rewritten(packet)))


class IkeFragmentForUs(LocalTest):
    """IP fragments for us are refused before anything looks into them."""

    def runTest(self) -> None:
        for fields in ({"flags": "MF"}, {"frag": 1}):
            self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, on_500(ike(1, 0), **fields))


class LocalPackets(LocalTest):
    """ICMP and whatever else is for one of our addresses: from outside if policy lets it."""

    def runTest(self) -> None:
        self.bypass(Traffic(dst=f"{GATEWAY}/32"), Role.UNPROTECTED)
        echo = bytes(IP(src=PEER, dst=GATEWAY, id=1) / ICMP())
        unreachable = bytes(IP(src=PEER, dst=GATEWAY, id=1) / ICMP(type=3, code=1))
        for packet in (echo, unreachable, frames.tcp(PEER, GATEWAY, 1, 22)):
            self.reaches_controller(Punt.LOCAL, frames.ethernet(UNPROTECTED, packet))
        inside = frames.ethernet(PROTECTED, frames.outgoing(dst=GATEWAY_INSIDE))
        self.reaches_controller(Punt.LOCAL, inside, PROTECTED)


class LocalPacketsAreSubjectToPolicy(LocalTest):
    """RFC 4301 5.2: clear traffic to the gateway itself is nothing special, IKE apart."""

    def runTest(self) -> None:
        echo = bytes(IP(src=REMOTE_HOST, dst=GATEWAY_INSIDE, id=1) / ICMP())
        frame = frames.ethernet(UNPROTECTED, echo)
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frame)
        covered = Traffic(src=f"{REMOTE_HOST}/32", dst=f"{GATEWAY_INSIDE}/32")
        self.gw.insert(tables.spd(covered, "protect", policy=1, priority=100))
        self.refuse(Drop.CLEAR_IN, UNPROTECTED, frame)


class EspFromTheProtectedSide(LocalTest):
    """ESP for us from inside is not a tunnel packet: no SA is asked."""

    def runTest(self) -> None:
        tunnel = self.inbound()
        self.reaches_controller(
            Punt.LOCAL, tunnel.frame(1, frames.inner(), port=PROTECTED), PROTECTED
        )
        self.assertEqual(tunnel.top(), 0)


class ArpGoesToTheController(LocalTest):
    """ARP from either side, tagged or not."""

    def runTest(self) -> None:
        request = ARP(pdst=GATEWAY, psrc=PEER)
        plain = bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:ff:01") / request)
        for port in (PROTECTED, UNPROTECTED):
            self.reaches_controller(Punt.ARP, plain, port)
        tag = Dot1Q(vlan=VID[UNPROTECTED_VLAN])
        tagged = bytes(Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:ff:01") / tag / request)
        self.reaches_controller(Punt.ARP, tagged, UNPROTECTED_VLAN)


class MeterTest(LocalTest):
    """Meters of punt classes, taken away again at the end."""

    BURST = 4

    TRUSTED = 16  # where the meters of the other ports begin

    def limit(self, reason: Punt, first: int = 0) -> None:
        """One packet a second, after a burst."""
        config = P4MeterConfig(cir=1, cburst=self.BURST, pir=1, pburst=self.BURST)
        self._configure(reason + first, config)
        self.addCleanup(self._configure, reason + first, None)

    def _configure(self, index: int, config: P4MeterConfig | None) -> None:
        schema = self.session.client.schema
        entry = P4MeterEntry("punt_rate", index=index, config=config)
        self.session.client.write([p4r.Update(type=p4r.Update.MODIFY, entity=entry.encode(schema))])


class PuntLimitOfTheOutsideIsItsOwn(MeterTest):
    """A flood of ARP from the unprotected link leaves the meter of our own link untouched."""

    def runTest(self) -> None:
        self.limit(Punt.ARP)
        arp = bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / ARP(pdst=GATEWAY, psrc=PEER))
        for _ in range(self.BURST):
            self.reaches_controller(Punt.ARP, arp)
        self.refuse(Drop.PUNT_LIMITED, UNPROTECTED, arp)
        self.reaches_controller(Punt.ARP, arp, PROTECTED)


class PuntLimited(MeterTest):
    """Beyond the rate a class is dropped on a counter; nothing is lost uncounted."""

    COUNT = 96

    def runTest(self) -> None:
        self.limit(Punt.IKE_NEW)
        verdict = self.gw.send(UNPROTECTED, *[on_500(ike(THEIRS, 0))] * self.COUNT)
        limited = verdict.drops[Drop.PUNT_LIMITED]
        self.assertEqual(verdict.drops.total(), limited)
        self.assertEqual(len(verdict.packet_ins), self.COUNT - limited)
        self.assertEqual(verdict.outcomes[Outcome.DROPPED], limited)
        self.assertGreaterEqual(limited, self.COUNT // 2)
        self.assertGreaterEqual(len(verdict.packet_ins), 1)


class FloodDoesNotDelayTheOthers(MeterTest):
    """A flood of new IKE SAs leaves known ones, ARP and local traffic alone."""

    def runTest(self) -> None:
        self.gw.insert(tables.ike_sa(OURS))
        self.limit(Punt.IKE_NEW)
        flood = [on_500(ike(THEIRS, 0))] * 20
        known = on_500(ike(THEIRS, OURS))
        other = on_500(ike(THEIRS, THEIRS))
        verdict = self.gw.send(UNPROTECTED, *flood, known, other, *flood, known, other)
        self.assertEqual(verdict.punts[Punt.IKE_KNOWN], 2)
        self.assertEqual(verdict.punts[Punt.IKE_OTHER], 2)
        self.assertGreaterEqual(verdict.drops[Drop.PUNT_LIMITED], 20)


class LimitedDropKeepsItsReason(MeterTest):
    """A packet that is dropped anyway keeps its reason when the controller is spared."""

    def runTest(self) -> None:
        self.limit(Punt.ACQUIRE, self.TRUSTED)
        self.gw.insert(tables.spd(Traffic(dst="10.1.1.0/24"), "protect", policy=1))
        frame = frames.ethernet(PROTECTED, frames.outgoing())
        verdict = self.gw.send(PROTECTED, *[frame] * 32)
        self.assertEqual(dict(verdict.drops), {Drop.ACQUIRE: 32})
        self.assertLess(verdict.punts[Punt.ACQUIRE], 16)
