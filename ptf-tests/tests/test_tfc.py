"""Hiding lengths and silence: TFC padding (RFC 4303 2.7) and dummy packets (RFC 4303 2.6)."""

from __future__ import annotations

from harness import frames, tables
from harness import vectors as vec
from harness.engine import Descriptor
from harness.engine_formats import FLAG_FILL
from harness.esp import padding
from harness.gateway import PacketOut, Verdict
from harness.ids import Drop, Op, Outcome
from harness.modes import BEET, FAMILIES, TRANSPORT, ModeTest, Shape, key_of, packet_of
from harness.tables import Traffic
from harness.topology import PROTECTED, REMOTE, SITE, UNPROTECTED
from harness.transforms import TRANSFORMS, VISIBLE
from harness.tunnels import NAT_T, OutboundTunnel

TFC_LEN = 300
NO_NEXT_HEADER = 59


def esp_len(tunnel: OutboundTunnel, plain_len: int) -> int:
    """Octets from SPI to ICV around ``plain_len`` octets of payload and TFC padding."""
    key = tunnel.key
    return 8 + key.iv_len + plain_len + len(padding(plain_len, key.align)) + 2 + key.icv_len


class TfcTest(ModeTest):
    """Sends what is to be padded."""

    def filled(self, tunnel: OutboundTunnel, packet: bytes) -> tuple[bytes, int]:
        """The packet on the wire, and the flags of the request."""
        frame = frames.ethernet(PROTECTED, packet)
        verdict = self.gw.send(PROTECTED, frame)
        self.assertEqual(dict(verdict.outcomes), {Outcome.TO_ENGINE: 1, Outcome.FORWARDED: 1})
        (request,), (out,) = verdict.requests, verdict.outputs
        skip = len(frames.link_header(UNPROTECTED, 6 if tunnel.sa.outer_v6 else 4))
        return out.data[skip:], Descriptor.of(request).flags


class VectorD11IsSent(TfcTest):
    """D11: an inner packet of 33 octets, filled up to 64."""

    def runTest(self) -> None:
        tunnel = self.outbound(key=vec.KEY, spi=vec.SPI, tfc_len=64)
        rule = tables.spd(Traffic(src=REMOTE, dst=SITE), "protect", policy=9)
        self.gw.insert(rule, tables.sa_select(9, SITE, tunnel.sa.sa))
        tunnel.advance(vec.SEQ - 1)
        wire, flags = self.filled(tunnel, frames.rewritten(vec.INNER, ttl_less=-1))
        self.assertEqual(wire[20:], vec.D11)
        self.assertTrue(flags & FLAG_FILL)


class ShortPacketsLookAlike(TfcTest):
    """Whatever is shorter than ``tfc_len`` is as long as it on the wire; scapy gets it whole."""

    def runTest(self) -> None:
        entries = self.gw.installed()
        for outer, inner in FAMILIES:
            tunnel, peer = self.sending(Shape(outer=outer, inner=inner), tfc_len=TFC_LEN)
            for size in (48, 49, 50, 51, 299, 300, 301, 1400):
                packet = packet_of(inner, size, ours=True)
                wire, flags = self.filled(tunnel, packet)
                head = 40 if outer == 6 else 20
                self.assertEqual(len(wire), head + esp_len(tunnel, max(size, TFC_LEN)))
                self.assertEqual(bool(flags & FLAG_FILL), size < TFC_LEN)
                opened = peer.receive(wire)
                self.assertEqual(opened[:size], frames.rewritten(packet))
                self.assertEqual(opened[size:], bytes(max(0, TFC_LEN - size)))
            self.gw.reset(entries)


class EveryTransformIsFilled(TfcTest):
    """In UDP as well."""

    def runTest(self) -> None:
        for name in TRANSFORMS:
            self.shows_payload |= name in VISIBLE
            entries = self.gw.installed()
            tunnel, peer = self.sending(Shape(udp=NAT_T), key=key_of(name, 2000), tfc_len=TFC_LEN)
            packet = packet_of(4, 77, ours=True)
            wire, _ = self.filled(tunnel, packet)
            self.assertEqual(len(wire), 28 + esp_len(tunnel, TFC_LEN), name)
            opened = peer.receive(wire)
            self.assertEqual(opened, frames.rewritten(packet) + bytes(TFC_LEN - 77))
            self.gw.reset(entries)


class WhatItsOwnLengthDoesNotTellIsNotFilled(TfcTest):
    """Transport mode and BEET: a filled TCP segment would be a longer one."""

    def runTest(self) -> None:
        for shape in (TRANSPORT, BEET):
            entries = self.gw.installed()
            tunnel, peer = self.sending(shape, tfc_len=TFC_LEN)
            packet = packet_of(4, 77, ours=True)
            wire, flags = self.filled(tunnel, packet)
            self.assertEqual(flags & FLAG_FILL, 0)
            self.assertEqual(len(wire), 20 + esp_len(tunnel, 57))
            self.assertEqual(peer.receive(wire), peer.arrived(frames.rewritten(packet)))
            self.gw.reset(entries)


class TfcPaddingIsCutOff(ModeTest):
    """FRM-09 for both families in both: the length of the inner packet counts."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            _, peer = self.receiving(Shape(outer=outer, inner=inner))
            packet = packet_of(inner, 90, ours=False)
            number = 4 if inner == 4 else 41
            for seq, size in enumerate((1, 2, 3, 4, 255, 1000), start=1):
                plain = peer.by_hand(packet, seq, packet + b"\xa5" * size, number)
                self.accept_esp(frames.ethernet(UNPROTECTED, plain), packet)


class Frm10TfcBehindTcpIsData(ModeTest):
    """FRM-10: in transport mode the length comes from IP: what a peer adds becomes data."""

    def runTest(self) -> None:
        _, peer = self.receiving(TRANSPORT)
        packet = frames.tcp(peer.inside[0], peer.inside[1], 7, 8)
        longer = packet[20:] + b"\xa5" * 9
        plain = peer.by_hand(packet, 1, longer, 6)
        expected = frames.ipv4(
            longer, src=peer.inside[0], dst=peer.inside[1], id=7, ttl=64, proto=6
        )
        self.accept_esp(frames.ethernet(UNPROTECTED, plain), expected)


class DummyTest(TfcTest):
    """Dummies of the controller: what follows the Ethernet header is their content."""

    def dummy(self, tunnel: OutboundTunnel, content: bytes) -> Verdict:
        """Has one sealed."""
        header = frames.link_header(PROTECTED)
        message = PacketOut(Op.DUMMY, header + content, index=tunnel.sa.sa)
        return self.gw.exchange([message])

    def on_the_wire(self, tunnel: OutboundTunnel, content: bytes) -> bytes:
        """Proves that one leaves; the packet."""
        verdict = self.dummy(tunnel, content)
        self.assertEqual(dict(verdict.outcomes), {Outcome.TO_ENGINE: 1, Outcome.FORWARDED: 1})
        (out,) = verdict.outputs
        header = frames.link_header(UNPROTECTED, 6 if tunnel.sa.outer_v6 else 4)
        self.assertEqual((out.port, out.data[: len(header)]), (UNPROTECTED, header))
        return out.data[len(header) :]

    def assert_dummy(
        self, tunnel: OutboundTunnel, sealed: bytes, seq: int, content: bytes, least: int = TFC_LEN
    ) -> None:
        """Opened by hand."""
        key, at = tunnel.key, 8 + tunnel.key.iv_len
        iv = sealed[8:at] or seq.to_bytes(8)
        text = key.open(tunnel.sa.spi, seq, iv, sealed[at:], esn=False)
        self.assertEqual(text[-1], NO_NEXT_HEADER)
        filled = content.ljust(least, b"\0")
        self.assertEqual(text[: len(filled)], filled)


class VectorD10IsSent(DummyTest):
    """D10: 18 zero octets under next header 59."""

    def runTest(self) -> None:
        tunnel = self.outbound(key=vec.KEY, spi=vec.SPI)
        tunnel.advance(vec.SEQ - 1)
        self.assertEqual(self.on_the_wire(tunnel, bytes(18))[20:], vec.D10)
        self.assertEqual(tunnel.last(), vec.SEQ)


class DummiesOfEveryTransform(DummyTest):
    """They have the numbers and the padding of other packets, and nothing of policy is asked."""

    def runTest(self) -> None:
        for name in TRANSFORMS:
            for outer in (4, 6):
                tunnel = self.outbound(outer=outer, key=key_of(name, 2100 + outer), tfc_len=TFC_LEN)
                for seq, size in enumerate((0, 1, 299, 400), start=1):
                    content = b"\x5a" * size
                    wire = self.on_the_wire(tunnel, content)
                    head = 40 if outer == 6 else 20
                    self.assertEqual(len(wire), head + esp_len(tunnel, max(size, TFC_LEN)), name)
                    self.assertEqual(wire[head + 4 : head + 8], seq.to_bytes(4))
                    self.assert_dummy(tunnel, wire[head:], seq, content)


class DummyIsCountedAsTraffic(DummyTest):
    """It is a packet of its SA."""

    def runTest(self) -> None:
        tunnel = self.outbound()
        self.on_the_wire(tunnel, bytes(18))
        self.assertEqual(self.gw.traffic("sa_out_traffic", tunnel.sa.sa)[0], 1)


class DummyNeedsAHeaderOfItsSa(DummyTest):
    """Transport mode has no addresses for one; an SA that is not there has nothing."""

    def runTest(self) -> None:
        tunnel, _ = self.sending(TRANSPORT)
        self.assert_refused(self.dummy(tunnel, bytes(18)), Drop.NOT_IN_SA)
        self.assertEqual(tunnel.last(), 0)
        self.assert_refused(self.dummy(self.outbound(install=False), bytes(18)), Drop.STALE_SA)


class DummyOfBeet(DummyTest):
    """It has the outer header of the SA, and hops of our own: nothing is inside to copy."""

    def runTest(self) -> None:
        tunnel, _ = self.sending(BEET)
        wire = self.on_the_wire(tunnel, bytes(18))
        self.assertEqual((wire[1], wire[8], wire[9]), (0, 64, 50))
        self.assert_dummy(tunnel, wire[20:], 1, bytes(18), least=0)


class DummyOfALargeIndexIsRefused(DummyTest):
    """An index beyond 16 bits is not cut short."""

    def runTest(self) -> None:
        tunnel = self.outbound()
        frame = frames.link_header(PROTECTED) + bytes(18)
        message = PacketOut(Op.DUMMY, frame, index=tunnel.sa.sa | 1 << 16)
        self.assert_refused(self.gw.exchange([message]), Drop.BAD_PACKET_OUT)


class Frm11DummiesOfEveryMode(ModeTest):
    """FRM-11: a dummy is no error in any mode; its number is used up."""

    def runTest(self) -> None:
        for shape in (Shape(), Shape(outer=6, inner=6), TRANSPORT, BEET):
            tunnel, peer = self.receiving(shape)
            packet = packet_of(shape.inner, 60, ours=False)
            for seq, content in enumerate((b"", bytes(18), packet), start=1):
                frame = frames.ethernet(
                    UNPROTECTED, peer.by_hand(packet, seq, content, NO_NEXT_HEADER)
                )
                self.refuse(Drop.DUMMY, UNPROTECTED, frame)
                self.refuse(Drop.REPLAY_DUP, UNPROTECTED, frame)
                self.assertEqual(tunnel.top(), seq)
            self.gw.delete(*tunnel.sa.entries(), tunnel.sa.sad_entry())
