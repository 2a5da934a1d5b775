"""INJECT: packets that the controller sends into the pipeline as if they had come by a port."""

from __future__ import annotations

from harness import frames, tables
from harness.families import FAMILIES, FamilyTest, datagram6, incoming, outgoing
from harness.gateway import Frame, PacketOut, Verdict
from harness.ids import CPU_PORT, CRYPTO_PORT, DROP_PORT, Drop, Op, Outcome, Punt
from harness.tables import Traffic
from harness.topology import (
    HOST_VLAN,
    NO_INTERFACE,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE,
    REMOTE6,
    SITE,
    SITE6,
    SITE_VLAN,
    UNCONFIGURED,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)


class InjectTest(FamilyTest):
    """Injected frames, and what becomes of them."""

    def inject(self, port: int, frame: bytes) -> Verdict:
        """As if ``frame`` had come in by ``port``."""
        return self.gw.exchange([PacketOut(Op.INJECT, frame, port=port)])

    def refused(self, reason: Drop, port: int, frame: bytes, punt: Punt | None = None) -> None:
        """Proves that it goes no further, for this reason."""
        self.assert_refused(self.inject(port, frame), reason, punt=punt)


class InjectedTunnelPackets(InjectTest):
    """By an unprotected port: opened, and what is inside is delivered."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.inbound(outer=outer, inner=inner)
            verdict = self.inject(UNPROTECTED, tunnel.frame(1, incoming(inner)))
            expected = frames.delivered(PROTECTED, frames.rewritten(incoming(inner)))
            self.assertEqual(verdict.outputs, [Frame(PROTECTED, expected)])
            self.assertEqual(verdict.packet_ins, [])
            self.refused(Drop.REPLAY_DUP, UNPROTECTED, tunnel.frame(1, incoming(inner)))


class InjectedClearPackets(InjectTest):
    """By a protected port: sealed as policy says; a number is taken."""

    def runTest(self) -> None:
        for outer, inner in FAMILIES:
            tunnel = self.protected_outbound(outer=outer, inner=inner)
            frame = frames.ethernet(PROTECTED, outgoing(inner, 101))
            (out,) = self.inject(PROTECTED, frame).outputs
            self.assertEqual(out.port, UNPROTECTED)
            self.assertEqual(tunnel.open(out.data[14:]), frames.rewritten(outgoing(inner, 101)))
            self.assertEqual(tunnel.last(), 1)
            self.gw.reset(self.session.base)


class InjectedRoleIsThePorts(InjectTest):
    """The role of the named port decides: the same clear packet from outside is CLEAR_IN."""

    def runTest(self) -> None:
        for inner, src, dst in ((4, SITE, REMOTE), (6, SITE6, REMOTE6)):
            tunnel = self.outbound()
            self.gw.insert(
                tables.spd(Traffic(src=src, dst=dst), "protect", policy=inner),
                tables.sa_select(inner, dst, tunnel.sa.sa),
            )
            packet = outgoing(inner)
            frame = frames.ethernet(UNPROTECTED, packet)
            self.refused(Drop.CLEAR_IN, UNPROTECTED, frame)
            inside = self.inject(PROTECTED, frames.ethernet(PROTECTED, packet))
            self.assertEqual(len(inside.outputs), 1)


class InjectedPacketsOfOthers(InjectTest):
    """Our MAC address on the named port is the only one taken, as on the wire."""

    def runTest(self) -> None:
        self.bypass(Traffic())
        self.bypass(Traffic(src="::/0"))
        for inner in (4, 6):
            frame = frames.ethernet(PROTECTED, outgoing(inner))
            self.assertEqual(len(self.inject(PROTECTED, frame).outputs), 1)
            self.refused(Drop.NOT_FOR_US, UNPROTECTED, frame)
            self.refused(Drop.NOT_FOR_US, PROTECTED, b"\xff" * 6 + frame[6:])


class InjectedByAVlan(InjectTest):
    """The tag of the frame is that of the port, and a missing or a wrong one has no role."""

    def runTest(self) -> None:
        tunnel = self.inbound(selectors=Traffic(src=REMOTE, dst=SITE_VLAN))
        packet = incoming(4, dst=HOST_VLAN)
        frame = tunnel.frame(1, packet, port=UNPROTECTED_VLAN)
        self.refused(Drop.NO_ROLE, UNPROTECTED, frame)
        self.refused(Drop.NO_ROLE, PROTECTED_VLAN, frame)
        verdict = self.inject(UNPROTECTED_VLAN, frame)
        expected = frames.delivered(PROTECTED_VLAN, frames.rewritten(packet))
        self.assertEqual(verdict.outputs, [Frame(PROTECTED_VLAN, expected)])


class InjectedByAPortWithoutRole(InjectTest):
    """A port that nobody has configured carries nothing, from the controller neither."""

    def runTest(self) -> None:
        self.bypass(Traffic())
        for port in (UNCONFIGURED, NO_INTERFACE, 100, 508):
            self.refused(Drop.NO_ROLE, port, frames.ethernet(PROTECTED, outgoing(4)))


class InjectedByAReservedPort(InjectTest):
    """The engine, the controller and the target's drop port are no wires, and neither is a number
    that has more bits than a port."""

    def runTest(self) -> None:
        self.bypass(Traffic())
        tunnel = self.inbound()
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, tunnel.frame(1, frames.inner()))
        (reply,) = self.gw.engine.answer(held[0])
        clear = frames.ethernet(PROTECTED, outgoing(4))
        for port in (CRYPTO_PORT, CPU_PORT, DROP_PORT, 512, 512 + PROTECTED, 0xFE00, 0xFFFF):
            for frame in (clear, reply, b"", clear[:13]):
                self.refused(Drop.BAD_PACKET_OUT, port, frame)
        self.assertEqual(tunnel.top(), 0)


class InjectedForTheController(InjectTest):
    """What comes back as a packet-in names the port, and is whole: IKE, discovery, hops."""

    def runTest(self) -> None:
        ike = frames.ethernet(UNPROTECTED, datagram6(bytes(4) + bytes(17) + bytes(11)))
        verdict = self.inject(UNPROTECTED, ike)
        (told,) = verdict.packet_ins
        self.assertEqual((told.op, told.port, told.payload), (Punt.IKE_NEW, UNPROTECTED, ike))
        self.assertEqual(dict(verdict.outcomes), {Outcome.PUNTED: 1})
        self.bypass(Traffic(src="::/0"))
        dying = frames.ethernet(PROTECTED, outgoing(6, hlim=1))
        verdict = self.inject(PROTECTED, dying)
        self.assert_refused(verdict, Drop.TTL, punt=Punt.TTL)
        (told,) = verdict.packet_ins
        self.assertEqual((told.port, told.payload), (PROTECTED, dying))


class InjectedAndCut(InjectTest):
    """Cut at every octet, an injected packet is refused as on the wire."""

    def runTest(self) -> None:
        self.bypass(Traffic())
        self.bypass(Traffic(src="::/0"))
        for inner in (4, 6):
            frame = frames.ethernet(PROTECTED, outgoing(inner))
            for size in range(len(frame)):
                expected = Drop.MALFORMED if size >= 14 else Drop.NOT_IP
                self.refused(expected, PROTECTED, frame[:size])
            padded = self.inject(PROTECTED, frame + bytes(7))
            self.assertEqual(padded.outputs[0].data[-7:], bytes(7))
