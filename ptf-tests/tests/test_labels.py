"""Security labels (RFC 9478): those of hosts, in the key of the SPD, and those of SAs."""

from __future__ import annotations

from collections import Counter

from harness import frames, tables, topology
from harness.families import IP_LEN, outgoing
from harness.gateway import PacketOut
from harness.ids import CRYPTO_PORT, Drop, Op, Outcome, Punt, Role
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    HOST,
    HOST6,
    HOST_VLAN,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE,
    REMOTE6,
    SITE,
    SITE6,
    SITE_VLAN,
    UNPROTECTED,
    VID,
)
from harness.tunnels import InboundTunnel, OutboundTunnel

FAMILIES = (4, 6)
SECRET, PUBLIC, NONE = 1, 2, 0
ENDS = {4: (SITE, REMOTE), 6: (SITE6, REMOTE6)}
HOSTS = {4: HOST, 6: HOST6}
OTHERS = {4: "10.2.2.3", 6: "2001:db8:2::3"}
THIRDS = {4: "10.2.2.4", 6: "2001:db8:2::4"}
"""Hosts beside, on the same port."""


class LabelTest(GatewayTest):
    """A gateway some of whose hosts have labels."""

    def setUp(self) -> None:
        super().setUp()
        ports = {**topology.ROLE, CRYPTO_PORT: Role.CRYPTO}
        for labelled in (False, True):
            roles = [
                tables.port_role(
                    *(port, role, topology.VID.get(port, 0), _mac(port)), labelled=labelled
                )
                for port, role in ports.items()
            ]
            if labelled:
                self.gw.modify(*roles)
            else:
                self.addCleanup(self.gw.modify, *roles)

    def host(self, hosts: str, label: int, port: int = PROTECTED) -> None:
        """Gives hosts behind a port a label, in both directions."""
        place = (port, hosts, label, VID.get(port, 0))
        self.gw.insert(tables.source_label(*place), tables.host_label(*place))

    def protect(self, version: int, label: int, policy: int) -> OutboundTunnel:
        """A rule for one label, and the SA that serves it."""
        tunnel = self.outbound()
        src, dst = ENDS[version]
        rule = tables.spd(Traffic(src=src, dst=dst), "protect", label=label, policy=policy)
        self.gw.insert(rule, tables.sa_select(policy, dst, tunnel.sa.sa))
        return tunnel

    def labelled_inbound(self, version: int, label: int) -> InboundTunnel:
        """An inbound SA of a label, with selectors that all share."""
        tunnel = self.inbound(inner=version)
        if label:
            self.gw.insert(tables.sa_label(tunnel.sa.sa, label))
        return tunnel

    def sent_by(self, packet: bytes, port: int = PROTECTED) -> int:
        """The SPI of the SA that takes a packet."""
        wire = self.forward(port, frames.ethernet(port, packet)).data
        start = len(frames.link_header(UNPROTECTED)) + IP_LEN[4]
        return int.from_bytes(wire[start : start + 4])


def _mac(port: int) -> str:
    return tables.NO_MAC if port == CRYPTO_PORT else topology.gateway_mac(port)


def incoming(version: int, host: str) -> bytes:
    """A packet of the remote site for one of our hosts."""
    return frames.inner(dst=host) if version == 4 else frames.inner6(dst=host)


class EachLabelHasItsOwnSa(LabelTest):
    """Equal selectors, two labels, two SAs; what has no label takes neither."""

    def runTest(self) -> None:
        for version in FAMILIES:
            self.host(HOSTS[version], SECRET)
            self.host(OTHERS[version], PUBLIC)
            one = self.protect(version, SECRET, policy=10 * version)
            two = self.protect(version, PUBLIC, policy=10 * version + 1)
            with self.subTest(inner=version):
                self.assertEqual(self.sent_by(outgoing(version)), one.sa.spi)
                beside = outgoing(version, src=OTHERS[version])
                self.assertEqual(self.sent_by(beside), two.sa.spi)
                third = outgoing(version, src=THIRDS[version])
                self.refuse(Drop.POLICY_DISCARD, PROTECTED, frames.ethernet(PROTECTED, third))


class WithoutALabelItsOwnSa(LabelTest):
    """A rule for what has no label serves nothing that has one, and the other way round."""

    def runTest(self) -> None:
        for version in FAMILIES:
            self.host(HOSTS[version], SECRET)
            plain = self.protect(version, NONE, policy=10 * version)
            with self.subTest(inner=version):
                third = outgoing(version, src=THIRDS[version])
                self.assertEqual(self.sent_by(third), plain.sa.spi)
                frame = frames.ethernet(PROTECTED, outgoing(version))
                self.refuse(Drop.POLICY_DISCARD, PROTECTED, frame)
            labelled = self.protect(version, SECRET, policy=10 * version + 1)
            with self.subTest(inner=version):
                self.assertEqual(self.sent_by(outgoing(version)), labelled.sa.spi)
                self.assertEqual(self.sent_by(third), plain.sa.spi)


class LabelWithoutSaIsAcquired(LabelTest):
    """Where a label's rule has no SA the controller is asked for one, and nothing goes out on that
    of another label."""

    def runTest(self) -> None:
        self.host(HOST, SECRET)
        self.protect(4, PUBLIC, policy=5)
        src, dst = ENDS[4]
        self.gw.insert(tables.spd(Traffic(src=src, dst=dst), "protect", label=SECRET, policy=6))
        frame = frames.ethernet(PROTECTED, outgoing(4))
        verdict = self.refuse(Drop.ACQUIRE, PROTECTED, frame, punt=Punt.ACQUIRE)
        self.assertEqual(verdict.packet_ins[0].index, 6)


class TheLongestPrefixAndThePortCount(LabelTest):
    """A host has the label of its longest prefix, on the port and VLAN where it is, and nowhere
    else."""

    def runTest(self) -> None:
        self.host(SITE, PUBLIC)
        self.host(HOST, SECRET)
        self.host("10.2.0.0/16", SECRET, port=PROTECTED_VLAN)
        secret = self.protect(4, SECRET, policy=1)
        public = self.protect(4, PUBLIC, policy=2)
        self.gw.insert(
            tables.spd(
                Traffic(src=SITE_VLAN, dst=REMOTE), "protect", label=SECRET, policy=1, priority=90
            )
        )
        self.assertEqual(self.sent_by(outgoing(4)), secret.sa.spi)
        self.assertEqual(self.sent_by(outgoing(4, src=THIRDS[4])), public.sa.spi)
        self.assertEqual(self.sent_by(outgoing(4, src=HOST_VLAN), PROTECTED_VLAN), secret.sa.spi)
        self.assertEqual(self.sent_by(outgoing(4, src=THIRDS[4]), PROTECTED_VLAN), secret.sa.spi)


class WithoutLabelledPortsNothingIsAsked(GatewayTest):
    """Rows of labels mean nothing to a port that is not told to look at them."""

    def runTest(self) -> None:
        self.gw.insert(
            tables.source_label(PROTECTED, SITE, SECRET), tables.host_label(PROTECTED, SITE, SECRET)
        )
        tunnel = self.protected_outbound()
        self.seal(tunnel, frames.outgoing())
        self.accept(self.inbound(), 1)


class InboundSaOfTheHostsLabel(LabelTest):
    """What came out of an SA reaches hosts of its label alone."""

    def runTest(self) -> None:
        for version in FAMILIES:
            self.host(HOSTS[version], SECRET)
            for label in (SECRET, PUBLIC, NONE):
                tunnel = self.labelled_inbound(version, label)
                packet = incoming(version, HOSTS[version])
                with self.subTest(inner=version, label=label):
                    if label == SECRET:
                        self.accept(tunnel, 1, packet)
                    else:
                        self.refuse(Drop.BAD_LABEL, UNPROTECTED, tunnel.frame(1, packet))


class LabelledSaToAHostWithout(LabelTest):
    """A host without a label gets nothing that has one."""

    def runTest(self) -> None:
        for version in FAMILIES:
            packet = incoming(version, HOSTS[version])
            labelled = self.labelled_inbound(version, SECRET)
            with self.subTest(inner=version):
                self.refuse(Drop.BAD_LABEL, UNPROTECTED, labelled.frame(1, packet))
                self.accept(self.labelled_inbound(version, NONE), 1, packet)


class RefusedByItsLabelAPacketHasUsedItsNumber(LabelTest):
    """It was authentic: the window has moved, and a second copy is a replay."""

    def runTest(self) -> None:
        self.host(HOST, SECRET)
        tunnel = self.labelled_inbound(4, PUBLIC)
        frame = tunnel.frame(7, incoming(4, HOST))
        self.refuse(Drop.BAD_LABEL, UNPROTECTED, frame)
        self.refuse(Drop.REPLAY_DUP, UNPROTECTED, frame)


class ClearFromOutside(LabelTest):
    """What comes in clear has no label, so a bypass lets it reach no host that has one."""

    def runTest(self) -> None:
        self.bypass(Traffic(src=REMOTE, dst=SITE), role=Role.UNPROTECTED)
        frame = frames.ethernet(UNPROTECTED, incoming(4, HOST))
        self.assertEqual(self.forward(UNPROTECTED, frame).port, PROTECTED)
        self.host(HOST, SECRET)
        self.refuse(Drop.BAD_LABEL, UNPROTECTED, frame)


class BetweenHosts(LabelTest):
    """A bypass between two of our ports passes between hosts of one label."""

    def runTest(self) -> None:
        self.bypass(Traffic(src=SITE, dst=SITE_VLAN), role=Role.PROTECTED)
        frame = frames.ethernet(PROTECTED, frames.outgoing(dst=HOST_VLAN))
        self.host(SITE, SECRET)
        self.refuse(Drop.BAD_LABEL, PROTECTED, frame)
        self.host(SITE_VLAN, SECRET, port=PROTECTED_VLAN)
        self.assertEqual(self.forward(PROTECTED, frame).port, PROTECTED_VLAN)


class TheControllerReachesEveryHost(LabelTest):
    """What the gateway itself says to a host is not held against the host's label."""

    def runTest(self) -> None:
        self.host(HOST, SECRET)
        packet = frames.inner(src=topology.GATEWAY_INSIDE)
        frame = frames.ethernet(PROTECTED, packet)
        verdict = self.gw.exchange([PacketOut(Op.ROUTE, frame)])
        self.assertEqual(verdict.drops, Counter())
        self.assertEqual([frame.port for frame in verdict.outputs], [PROTECTED])
        self.assertEqual(verdict.outcomes[Outcome.FORWARDED], 1)


class ClearFromOutsideThatALabelsRuleProtects(LabelTest):
    """The rule of a label wants its traffic protected on the way in, too."""

    def runTest(self) -> None:
        rule = Traffic(src=REMOTE, dst=SITE)
        self.gw.insert(tables.spd(rule, "protect", role=Role.UNPROTECTED, policy=1))
        frame = frames.ethernet(UNPROTECTED, incoming(4, HOST))
        self.refuse(Drop.CLEAR_IN, UNPROTECTED, frame)
