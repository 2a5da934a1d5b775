"""The known answers of every format, through the pipeline: octets sent are equal, octets received
are accepted."""

from __future__ import annotations

from dataclasses import replace

from harness import frames, tables, topology
from harness import vectors_formats as vec
from harness.format_test import FormatTest
from harness.gateway import Frame
from harness.ids import Format, Op, Role, Spread
from harness.sa import Layout
from harness.tables import Traffic
from harness.topology import NO_INTERFACE, PROTECTED, UNPROTECTED, UNPROTECTED_VLAN
from harness.tunnels import OutboundTunnel
from harness.vectors_formats import VECTORS


class VectorTest(FormatTest):
    """An SA with the vectors' SPI, for their addresses."""

    shows_payload = True  # VE

    def sent(self, identity: str, port: int = PROTECTED) -> None:
        """Proves: the packet leaves as the vector; ``port`` chooses the sub."""
        vector = VECTORS[identity]
        layout = replace(vector.shape(), spread=Spread.PORT)
        speaking = self.sending(vector.name, vector.key, layout, spi=vec.SPI)
        assert isinstance(speaking.tunnel, OutboundTunnel)
        self.serve(speaking.tunnel, vec.SOURCES, vec.DESTINATIONS)
        packet = frames.rewritten(vec.INNER, ttl_less=-1)
        out = self.forward(port, frames.ethernet(PROTECTED, packet))
        self.assertEqual(out.data[34:], vector.octets)
        self.assertEqual(out.data[23], layout.protocol)

    def inside(self, port: int) -> None:
        """A port more behind which our site is, for frames as on the first one."""
        mac = topology.gateway_mac(PROTECTED)
        self.gw.insert(tables.port_role(port, Role.PROTECTED, 0, mac))


class KnownAnswersReceived(VectorTest):
    """V0 to VE are accepted, and the inner packet is delivered."""

    def runTest(self) -> None:
        via = tables.route_on_link(vec.DESTINATIONS)
        there = tables.neighbour(vec.DESTINATION, PROTECTED, topology.NEIGHBOUR_MAC[topology.HOST])
        for identity, vector in VECTORS.items():
            with self.subTest(vector=identity):
                self.gw.insert(via, there)
                speaking = self.receiving(
                    vector.name,
                    *(vector.key, vector.shape()),
                    spi=vec.SPI,
                    selectors=Traffic(src=vec.SOURCES, dst=vec.DESTINATIONS),
                )
                out = self.forward(UNPROTECTED, self.around(speaking, vector.octets))
                expected = frames.delivered(PROTECTED, frames.rewritten(vec.INNER))
                self.assertEqual(out, Frame(PROTECTED, expected))
                self.assertEqual(self.gw.read(Op.READ_TOP, speaking.sa.space + vector.sub), vec.SEQ)
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
        self.gw.insert(
            tables.route_on_link(vec.DESTINATIONS),
            tables.neighbour(vec.DESTINATION, PROTECTED, topology.NEIGHBOUR_MAC[topology.HOST]),
        )
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
