"""What `make fuzz-pipeline` has found, packet by packet."""

from __future__ import annotations

from harness import esp, frames, tables
from harness.engine import BASE, Descriptor
from harness.gateway import Frame, PacketOut
from harness.ids import CRYPTO_PORT, Drop, Mode, Op, Wrap
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    GATEWAY,
    GATEWAY6,
    HOST,
    HOST6,
    PEER,
    PEER6,
    PROTECTED,
    REMOTE_HOST,
    REMOTE_HOST6,
    UNPROTECTED,
)

LOCAL_ID = 91
BEET_PH = 94
LEAST = {1: 2, 6: 4, 17: 8, 132: 4, 50: 8, 141: 12}
"""Octets of layer 4 that the parser looks at, by protocol."""


class PortsAreNotReadFromPadding(GatewayTest):
    """A packet that ends before its layer 4 header does has no ports, whatever the frame is filled
    up with."""

    def runTest(self) -> None:
        self.protected_outbound(inner=4)
        self.protected_outbound(inner=6, policy=2, outer=6)
        for protocol, least in LEAST.items():
            reason = Drop.RUNT if protocol in (50, 141) else Drop.MALFORMED
            for size in (0, least - 1):
                v4 = frames.ipv4(bytes(size), src=HOST, dst=REMOTE_HOST, proto=protocol, ttl=9)
                v6 = frames.ipv6(bytes(size), protocol, src=HOST6, dst=REMOTE_HOST6, hlim=9)
                for packet in (v4, v6):
                    frame = frames.ethernet(PROTECTED, packet, pad=b"\x55" * 40)
                    with self.subTest(protocol=protocol, size=size, version=packet[0] >> 4):
                        self.refuse(reason, PROTECTED, frame)


class DatagramLongerThanItsPacket(GatewayTest):
    """A UDP length beyond the packet is refused before anything is looked for in there."""

    def runTest(self) -> None:
        self.protected_outbound()
        for port in (53, 500, 4500):
            datagram = (4000).to_bytes(2) + port.to_bytes(2) + (60).to_bytes(2) + bytes(2 + 8)
            packet = frames.ipv4(datagram, src=HOST, dst=REMOTE_HOST, proto=17, ttl=9)
            frame = frames.ethernet(PROTECTED, packet, pad=bytes(60))
            with self.subTest(port=port):
                self.refuse(Drop.MALFORMED, PROTECTED, frame)


class BeetSendsNoProtocol94(GatewayTest):
    """RFC 7402 B.1.7: the peer would take the payload for the pseudo header of its own options."""

    def runTest(self) -> None:
        self.protected_outbound(mode=Mode.BEET_V4)
        for options in (b"", bytes([1, 1, 1, 1])):
            fields = {"src": HOST, "dst": REMOTE_HOST, "proto": BEET_PH, "ttl": 9}
            packet = frames.ipv4(bytes(24), options=options, **fields)
            self.refuse(Drop.BAD_BEET_PH, PROTECTED, frames.ethernet(PROTECTED, packet))


class BeetPseudoHeaderLeadsToNoExtensionHeader(GatewayTest):
    """Behind IPv4 options there is no IPv6 extension header: its ports would be those of another
    place than the host's."""

    def runTest(self) -> None:
        pair = Traffic(src=f"{REMOTE_HOST}/32", dst=f"{HOST}/32")
        tunnel = self.inbound(mode=Mode.BEET_V4, selectors=pair)
        disguised = bytes([17, 0, 1, 4, 0, 0, 0, 0]) + bytes.fromhex("138813890010abcd") + bytes(8)
        for seq, protocol in enumerate((0, 43, 44, 60), 1):
            text = bytes([protocol, 0, 0, 0, 1, 1, 1, 1]) + disguised
            sealed = tunnel.esp_by_hand(seq, esp.with_trailer(text, BEET_PH))
            with self.subTest(protocol=protocol):
                self.refuse(
                    Drop.BAD_NH, UNPROTECTED, frames.ethernet(UNPROTECTED, frames.outer(sealed))
                )


class RoutingHeaderBehindEspIsText(GatewayTest):
    """What follows options behind ESP is not looked into, and the headers in front stay as they
    are."""

    def runTest(self) -> None:
        self.gw.insert(tables.local(HOST6, LOCAL_ID, proxied=True))
        traffic = Traffic(src=REMOTE_HOST6, dst=HOST6)
        tunnel = self.inbound(local_id=LOCAL_ID, selectors=traffic, mode=Mode.TRANSPORT)
        front = {"src": REMOTE_HOST6, "dst": HOST6, "hlim": 64}
        behind = [frames.options6(60), frames.routing6(), frames.options6(60, 2)]
        for seq, chain in enumerate(([], [frames.options6(0)], [frames.routing6()]), 1):
            packet = frames.ipv6(bytes(16), 253, chain=[*chain, *behind], **front)
            text = packet[40 + sum(map(len, chain)) :]
            sealed = tunnel.esp_by_hand(seq, esp.with_trailer(text, 60))
            arriving = frames.ipv6(sealed, 50, chain=chain, **front)
            out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, arriving))
            with self.subTest(seq=seq):
                expected = frames.delivered(PROTECTED, frames.rewritten(packet))
                self.assertEqual(out, Frame(PROTECTED, expected))


class AnswerWithOtherHeadersIsForged(GatewayTest):
    """An engine returns the headers as they were: where they end is where the text begins."""

    def runTest(self) -> None:
        pair = Traffic(src=f"{PEER}/32", dst=f"{GATEWAY}/32")
        tunnel = self.inbound(mode=Mode.TRANSPORT, wrap=Wrap.ENCRYPTED, selectors=pair)
        sealed = tunnel.esp_by_hand(1, esp.with_trailer(bytes(20), 253))
        wesp = bytes([0, 0, 0, 0x20]) + sealed
        arriving = frames.ethernet(UNPROTECTED, frames.outer(wesp, proto=141))
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, arriving)
        (reply,) = self.gw.engine.answer(held[0])
        self.assertEqual(Descriptor.of(reply).ct_off, 20 + 4 + 16)
        padded = reply[: BASE + 23] + bytes([0x30]) + reply[BASE + 24 :]
        self.refuse(Drop.FORGED_CX, CRYPTO_PORT, padded)
        verdict = self.gw.send(CRYPTO_PORT, reply)
        self.assertEqual((dict(verdict.drops), len(verdict.packet_ins)), ({}, 1))


class InjectionIsIntoWiresOnly(GatewayTest):
    """A port that is no wire, and one that is beyond the width of ports."""

    def runTest(self) -> None:
        frame = frames.ethernet(UNPROTECTED, frames.inner())
        for port in (509, 510, 511, 512 + UNPROTECTED, 4096 + PROTECTED):
            verdict = self.gw.exchange([PacketOut(Op.INJECT, payload=frame, port=port)])
            with self.subTest(port=port):
                self.assertEqual(verdict.outputs, [])
                self.assertEqual(verdict.packet_ins, [])
                self.assertLessEqual(set(verdict.drops), {Drop.BAD_PACKET_OUT, Drop.NO_ROLE})
                self.assertEqual(verdict.drops.total(), 1)


class IkeOfTheControllerHasPorts(GatewayTest):
    """A packet-out that ends before its UDP header does is no IKE, whatever fills its frame: it
    does not pass beyond policy."""

    def runTest(self) -> None:
        fill = bytes.fromhex("01f401f400301234") + bytes(40)
        for size in (0, 7):
            for packet in (
                frames.ipv4(fill[:size], src=GATEWAY, dst=PEER, proto=17),
                frames.ipv6(fill[:size], 17, src=GATEWAY6, dst=PEER6),
            ):
                frame = frames.ethernet(UNPROTECTED, packet, pad=fill[size:])
                with self.subTest(size=size, version=packet[0] >> 4):
                    verdict = self.gw.exchange([PacketOut(Op.ROUTE, frame)])
                    self.assert_refused(verdict, Drop.BAD_PACKET_OUT)
