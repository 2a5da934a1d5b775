"""The known answers of every format, through the pipeline: octets sent are equal, octets received
are accepted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from finsy import P4TableEntry

from harness import frames, tables, topology, wire
from harness import vectors_formats as vec
from harness.format_test import FormatTest
from harness.gateway import Frame
from harness.ids import Format, Mode, Op, Role, Spread
from harness.sa import Layout
from harness.tables import Traffic
from harness.topology import NO_INTERFACE, PROTECTED, UNPROTECTED, UNPROTECTED_VLAN
from harness.tunnels import OutboundTunnel
from harness.vectors_formats import VECTORS

PROXY = 17
"""Local id of the vectors' destination, where it is proxied."""


class VectorTest(FormatTest):
    """An SA with the vectors' SPI, for their addresses."""

    shows_payload = True  # VE

    def sent(self, identity: str, port: int = PROTECTED) -> None:
        """Proves: the packet leaves as the vector; ``port`` chooses the sub."""
        vector = VECTORS[identity]
        layout = replace(vector.shape(), spread=Spread.PORT)
        fields: dict[str, Any] = {"spi": vec.SPI, "wrap": vector.taken}
        if vector.transport:
            ends = {"src": vec.SOURCE, "dst": vec.DESTINATION}
            fields |= {"mode": Mode.TRANSPORT, **ends}
            self.gw.insert(*self.way(UNPROTECTED))
        speaking = self.sending(vector.name, vector.key, layout, **fields)
        assert isinstance(speaking.tunnel, OutboundTunnel)
        self.serve(speaking.tunnel, vec.SOURCES, vec.DESTINATIONS)
        packet = frames.rewritten(vec.INNER, ttl_less=-1)
        out = self.forward(port, frames.ethernet(PROTECTED, packet))
        self.assertEqual(out.data[34:], vector.octets)
        self.assertEqual(out.data[23], vector.protocol)

    def way(self, port: int) -> list[P4TableEntry]:
        """To where the vectors go."""
        mac = topology.MAC_ON[port]
        there = tables.neighbour(vec.DESTINATION, port, mac)
        return [tables.route_on_link(vec.DESTINATIONS), there]

    def taken(self, identity: str) -> None:
        """Proves: the vector is accepted, and the inner packet is delivered."""
        vector = VECTORS[identity]
        self.gw.insert(*self.way(PROTECTED))
        fields: dict[str, Any] = {"spi": vec.SPI, "wrap": vector.taken}
        if vector.shape().no_seq:
            fields["window"] = 0
        if vector.transport:
            self.gw.insert(tables.local(vec.DESTINATION, PROXY, proxied=True))
            fields |= {"mode": Mode.TRANSPORT, "local_id": PROXY}
        speaking = self.receiving(
            vector.name,
            *(vector.key, vector.shape()),
            selectors=Traffic(src=vec.SOURCES, dst=vec.DESTINATIONS),
            **fields,
        )
        frame = self.around(speaking, vector.octets, proto=vector.protocol)
        if vector.transport:
            packet = wire.carrying(vec.INNER, vector.protocol, vector.octets)
            frame = frames.ethernet(UNPROTECTED, packet)
        out = self.forward(UNPROTECTED, frame)
        expected = frames.delivered(PROTECTED, frames.rewritten(vec.INNER))
        self.assertEqual(out, Frame(PROTECTED, expected))
        top = 0 if vector.shape().no_seq else vec.SEQ
        self.assertEqual(self.gw.read(Op.READ_TOP, speaking.sa.space + vector.sub), top)

    def inside(self, port: int) -> None:
        """A port more behind which our site is, for frames as on the first one."""
        mac = topology.gateway_mac(PROTECTED)
        self.gw.insert(tables.port_role(port, Role.PROTECTED, 0, mac))


class KnownAnswersReceived(VectorTest):
    """V0 to VG6 are accepted, and the inner packet is delivered."""

    def runTest(self) -> None:
        for identity in VECTORS:
            with self.subTest(vector=identity):
                self.taken(identity)
                self.gw.reset(self.session.base)
                self.windows.clear()


class SendsV0(VectorTest):
    """The gateway sends V0."""

    def runTest(self) -> None:
        self.sent("V0")


class SendsV1(VectorTest):
    """The gateway sends V1."""

    def runTest(self) -> None:
        self.sent("V1")


class SendsVC1(VectorTest):
    """The gateway sends VC1."""

    def runTest(self) -> None:
        self.sent("VC1")


class SendsVC2(VectorTest):
    """The gateway sends VC2."""

    def runTest(self) -> None:
        self.sent("VC2")


class SendsVD(VectorTest):
    """The gateway sends VD."""

    def runTest(self) -> None:
        self.sent("VD")


class OffsetOfZeroIsV0(VectorTest):
    """e.9 3: with nothing shown, V0 is sent and accepted."""

    def runTest(self) -> None:
        v0, layout = VECTORS["V0"], Layout(Format.CRYPT_OFFSET, shown=0)
        out = self.sending("crypt-offset", v0.key, layout, spi=vec.SPI)
        assert isinstance(out.tunnel, OutboundTunnel)
        self.serve(out.tunnel, vec.SOURCES, vec.DESTINATIONS)
        packet = frames.rewritten(vec.INNER, ttl_less=-1)
        sent = self.forward(PROTECTED, frames.ethernet(PROTECTED, packet))
        self.assertEqual(sent.data[34:], v0.octets)
        selectors = Traffic(src=vec.SOURCES, dst=vec.DESTINATIONS)
        speaking = self.receiving("crypt-offset", v0.key, layout, spi=vec.SPI, selectors=selectors)
        self.gw.insert(*self.way(PROTECTED))
        self.forward(UNPROTECTED, self.around(speaking, v0.octets))
        self.assertEqual(self.top_of(speaking), vec.SEQ)


class SendsVE(VectorTest):
    """The gateway sends VE."""

    def runTest(self) -> None:
        self.sent("VE")


class SendsVA(VectorTest):
    """The gateway sends VA: sub 1, under a key of its own."""

    def runTest(self) -> None:
        self.inside(NO_INTERFACE)
        self.sent("VA", NO_INTERFACE)


class SendsVB(VectorTest):
    """The gateway sends VB: subspace 3."""

    def runTest(self) -> None:
        self.inside(UNPROTECTED_VLAN)
        self.sent("VB", UNPROTECTED_VLAN)


class SendsVF1(VectorTest):
    """f.11 1: the gateway sends VF1: WESP, integrity only."""

    def runTest(self) -> None:
        self.sent("VF1")


class SendsVF2(VectorTest):
    """f.11 1: the gateway sends VF2: WESPv2, 28 octets shown."""

    def runTest(self) -> None:
        self.sent("VF2")


class EespVectorTest(VectorTest):
    """Session 1."""

    def eesp(self, identity: str) -> None:
        """The same from behind the port that chooses the session."""
        self.inside(NO_INTERFACE)
        self.sent(identity, NO_INTERFACE)


class SendsVG1(EespVectorTest):
    """g.13 1: the gateway sends VG1: optimized, implicit IV, session 1."""

    def runTest(self) -> None:
        self.eesp("VG1")


class SendsVG2(EespVectorTest):
    """g.13 1: the gateway sends VG2: optimized, explicit IV."""

    def runTest(self) -> None:
        self.eesp("VG2")


class SendsVG3(EespVectorTest):
    """g.13 1: the gateway sends VG3: full, 32 octets shown."""

    def runTest(self) -> None:
        self.eesp("VG3")


class SendsVG4(EespVectorTest):
    """g.13 1: the gateway sends VG4: full in transport mode."""

    def runTest(self) -> None:
        self.eesp("VG4")


class SendsVG5(EespVectorTest):
    """g.13 1: the gateway sends VG5: without sequence number."""

    def runTest(self) -> None:
        self.eesp("VG5")


class SendsVG6(EespVectorTest):
    """g.13 1: the gateway sends VG6: in transport mode with a PadN in front."""

    def runTest(self) -> None:
        self.eesp("VG6")
