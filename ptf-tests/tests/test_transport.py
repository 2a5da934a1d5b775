"""Transport mode over IPv4: ESP behind the packet's own header (RFC 4303 3.1.1; cases TRN, FRG)."""

from __future__ import annotations

from collections import Counter
from typing import Any

from scapy.layers.inet import ICMP, TCP, UDP

from harness import frames, tables, wire
from harness import vectors as vec
from harness import vectors_modes as more
from harness.gateway import Frame, PacketOut
from harness.ids import Drop, Mode, Op, Outcome, Punt, Role, Wrap
from harness.modes import OURS, PROXY_ID, THEIRS, TRANSPORT, ModeTest, Shape, packet_of
from harness.tables import Traffic
from harness.topology import GATEWAY, HOST, LOCAL_ID, PEER, PROTECTED, REMOTE_HOST, UNPROTECTED
from harness.transforms import ScapyPeer
from harness.tunnels import NAT_T

ROUTER_ALERT = b"\x94\4\0\0"
RECORD_ROUTE = b"\7\x27\4" + bytes(36) + b"\1"
OPTIONS = (ROUTER_ALERT, ROUTER_ALERT + b"\1\1\1\1", RECORD_ROUTE)
WRAPPINGS = tuple((wrap, udp) for wrap in (Wrap.NONE, Wrap.ENCRYPTED) for udp in (None, NAT_T))


def between_hosts(payload: bytes, protocol: int, *, ours: bool = False, **fields: Any) -> bytes:
    """A packet between the two hosts."""
    src, dst = (HOST, REMOTE_HOST) if ours else (REMOTE_HOST, HOST)
    return frames.ipv4(payload, src=src, dst=dst, id=3, ttl=60, proto=protocol, **fields)


class Trn01VectorD14(ModeTest):
    """TRN-01: D14 behind the header of the hosts' packet."""

    def runTest(self) -> None:
        self.receiving(TRANSPORT, key=vec.KEY, spi=vec.SPI)
        packet = wire.carrying(more.D14_INNER, wire.ESP, more.D14)
        self.accept_esp(frames.ethernet(UNPROTECTED, packet), more.D14_INNER)


class Trn01VectorD14IsSent(ModeTest):
    """TRN-01: the same the other way."""

    def runTest(self) -> None:
        fields: dict[str, Any] = {"src": REMOTE_HOST, "dst": HOST, "mode": Mode.TRANSPORT}
        tunnel = self.outbound(key=vec.KEY, spi=vec.SPI, **fields)
        tunnel.advance(0x1F)
        rule = tables.spd(Traffic(src=REMOTE_HOST, dst=HOST), "protect", policy=9)
        self.gw.insert(rule, tables.sa_select(9, f"{HOST}/32", tunnel.sa.sa))
        frame = frames.ethernet(PROTECTED, frames.rewritten(more.D14_INNER, ttl_less=-1))
        expected = wire.carrying(more.D14_INNER, wire.ESP, more.D14)
        out = self.forward(PROTECTED, frame)
        self.assertEqual(out, Frame(PROTECTED, frames.delivered(PROTECTED, expected)))


class Trn01OptionsStayInFront(ModeTest):
    """TRN-01: ESP behind the options, length, protocol and checksum right; then the inverse."""

    def runTest(self) -> None:
        for wrap, udp in WRAPPINGS:
            entries = self.gw.installed()
            shape = Shape(Mode.TRANSPORT, wrap=wrap, udp=udp)
            tunnel, peer = self.sending(shape)
            _, sender = self.receiving(shape)
            for seq, options in enumerate(OPTIONS, start=1):
                packet = frames.outgoing(100, options=options)
                out = self.send_to(tunnel, peer, packet)
                self.assertEqual(out[20 : 20 + len(options)], options)
                self.accept_from(sender, seq, frames.inner(size=100, options=options))
            self.gw.reset(entries)


class HeaderFieldsArePassedOn(ModeTest):
    """There is one header: TOS, ID and DF go through, the SA's own TTL and DSCP do not count."""

    def runTest(self) -> None:
        tunnel, peer = self.sending(TRANSPORT, ttl=9, dscp=10)
        _, sender = self.receiving(TRANSPORT)
        for seq, tos in enumerate((0, 1, 2, 3, 0xB8, 0xFF), start=1):
            packet = frames.outgoing(tos=tos, id=0x4711 + seq, flags="DF", ttl=33)
            out = self.send_to(tunnel, peer, packet)
            self.assertEqual(out[1], tos)
            self.assertEqual(out[4:9], frames.rewritten(packet)[4:9])
            self.accept_from(sender, seq, frames.inner(tos=tos, id=seq, ttl=33))


class EveryProtocolIsCarried(ModeTest):
    """TCP, UDP, ICMP, and numbers that nobody knows."""

    def runTest(self) -> None:
        tunnel, peer = self.sending(TRANSPORT)
        _, sender = self.receiving(TRANSPORT)
        payloads = (
            (6, bytes(TCP(sport=9, dport=10) / b"abc")),
            (17, bytes(UDP(sport=9, dport=4500, len=12, chksum=0) / b"abcd")),
            (17, bytes(UDP(sport=9, dport=500, len=44, chksum=0) / bytes(36))),
            (1, bytes(ICMP() / b"ping")),
            (132, bytes(12)),
            (253, b"x"),
        )
        for seq, (protocol, payload) in enumerate(payloads, start=1):
            self.send_to(tunnel, peer, between_hosts(payload, protocol, ours=True))
            self.accept_from(sender, seq, between_hosts(payload, protocol))


class Trn03IpInIpIsOneProtocolOfMany(ModeTest):
    """TRN-03: NH 4 and 41 are what the hosts speak to each other, and no tunnel."""

    def runTest(self) -> None:
        _, peer = self.receiving(TRANSPORT)
        carried = ((4, packet_of(4, 60, ours=True)), (41, packet_of(6, 80, ours=True)))
        for seq, (number, packet) in enumerate(carried, start=1):
            self.accept_from(peer, seq, between_hosts(packet, number))


class Trn03IpInIpMeetsTheSelectors(ModeTest):
    """TRN-03: an SA for UDP alone does not take NH 4, whatever is inside."""

    def runTest(self) -> None:
        pair = Traffic(src=f"{REMOTE_HOST}/32", dst=f"{HOST}/32", protocol=17)
        _, peer = self.receiving(TRANSPORT, selectors=pair)
        inside = packet_of(4, 60, ours=False)
        frame = frames.ethernet(UNPROTECTED, peer.send(between_hosts(inside, 4), 1))
        self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, frame)
        self.accept_from(peer, 2, inside)


class Frg04FragmentsAreRefused(ModeTest):
    """FRG-04: first and later fragments of IPv4; no number is taken (RFC 4303 3.3.4)."""

    def runTest(self) -> None:
        tunnel, _ = self.sending(TRANSPORT)
        for fields in ({"flags": "MF"}, {"frag": 7}, {"flags": "MF", "frag": 7}):
            frame = frames.ethernet(PROTECTED, frames.outgoing(**fields))
            self.refuse(Drop.INNER_FRAGMENT, PROTECTED, frame)
        self.assertEqual(tunnel.last(), 0)


class FragmentsTowardsAProxiedHost(ModeTest):
    """ESP in fragments is refused for it, too; fragments of anything else are its own."""

    def runTest(self) -> None:
        self.bypass(Traffic(src=REMOTE_HOST, dst=HOST))
        _, peer = self.receiving(TRANSPORT)
        whole = peer.send(packet_of(4, 60, ours=False), 1)
        fragment = whole[:6] + b"\x20\0" + whole[8:]
        frame = frames.ethernet(UNPROTECTED, wire.resized(fragment))
        self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, frame)
        self.accept_esp(frames.ethernet(UNPROTECTED, frames.inner(frag=3)), frames.inner(frag=3))


class OtherTrafficOfAProxiedHostIsOrdinary(ModeTest):
    """Bump in the wire: policy decides on it, both ways, and nothing of it is punted."""

    def runTest(self) -> None:
        self.receiving(TRANSPORT)
        clear = between_hosts(bytes(UDP(sport=7, dport=53, chksum=0)), 17)
        frame = frames.ethernet(UNPROTECTED, clear)
        self.refuse(Drop.POLICY_DISCARD, UNPROTECTED, frame)
        self.bypass(Traffic(protocol=17, dport=(53, 53)))
        self.accept_esp(frame, clear)
        inside = frames.ethernet(PROTECTED, packet_of(4, 60, ours=False))
        self.refuse(Drop.POLICY_DISCARD, PROTECTED, inside)


class ClearTrafficThatPolicyProtects(ModeTest):
    """RFC 4301 5.2: clear, though the hosts' packets are to be protected."""

    def runTest(self) -> None:
        rule = Traffic(src=REMOTE_HOST, dst=HOST)
        self.gw.insert(tables.spd(rule, "protect", role=Role.UNPROTECTED, policy=3))
        frame = frames.ethernet(UNPROTECTED, packet_of(4, 60, ours=False))
        self.refuse(Drop.CLEAR_IN, UNPROTECTED, frame)


class IkeForAProxiedHostIsOurs(ModeTest):
    """We are its IKE daemon; from its own side, port 500 is its own business."""

    def runTest(self) -> None:
        ike = bytes(8 * [1]) + bytes(8) + bytes([33, 0x20, 34, 8]) + bytes(8)
        message = frames.datagram(ike, dport=500, dst=HOST)
        self.punted(Punt.IKE_NEW, UNPROTECTED, frames.ethernet(UNPROTECTED, message))
        frame = frames.ethernet(PROTECTED, message)
        self.refuse(Drop.POLICY_DISCARD, PROTECTED, frame)


class EspForAProxiedHostHasAnSa(ModeTest):
    """SAL-01 for it: an unknown SPI is no transit traffic."""

    def runTest(self) -> None:
        self.bypass(Traffic(protocol=wire.ESP))
        frame = frames.ethernet(UNPROTECTED, frames.outer(vec.D1, dst=HOST))
        self.refuse(Drop.NO_SA, UNPROTECTED, frame)


class PacketsOfOtherHostsAreNotInTheSa(ModeTest):
    """Policy may lead here what is not of the two hosts: it is not sealed, no number is taken."""

    def runTest(self) -> None:
        tunnel, peer = self.sending(TRANSPORT)
        for src, dst in (("10.2.2.9", REMOTE_HOST), (HOST, "10.1.1.9")):
            frame = frames.ethernet(PROTECTED, frames.inner(src=src, dst=dst))
            self.refuse(Drop.NOT_IN_SA, PROTECTED, frame)
        self.assertEqual(tunnel.last(), 0)
        self.send_to(tunnel, peer, frames.outgoing())


class PacketsOfTheOtherFamilyAreNotInTheSa(ModeTest):
    """An IPv6 packet has no place in an SA of two IPv4 hosts, nor the reverse."""

    def runTest(self) -> None:
        for version in (4, 6):
            entries = self.gw.installed()
            other = 10 - version
            tunnel, _ = self.sending(Shape(Mode.TRANSPORT, outer=version, inner=version))
            rule = tables.spd(Traffic(src=OURS[other], dst=THEIRS[other]), "protect", policy=5)
            prefix = f"{THEIRS[other]}/{128 if other == 6 else 32}"
            self.gw.insert(rule, tables.sa_select(5, prefix, tunnel.sa.sa))
            frame = frames.ethernet(PROTECTED, packet_of(other, 100, ours=True))
            self.refuse(Drop.NOT_IN_SA, PROTECTED, frame)
            self.assertEqual(tunnel.last(), 0)
            self.gw.reset(entries)


class OnlyThePeerOfTheSaIsBelieved(ModeTest):
    """RFC 4301 5.2 step 5: another source than the one negotiated, with a good ICV."""

    def runTest(self) -> None:
        tunnel, peer = self.receiving(TRANSPORT)
        stranger = frames.inner(src="10.1.1.9")
        frame = frames.ethernet(UNPROTECTED, peer.send(stranger, 1))
        self.refuse(Drop.BAD_SELECTOR, UNPROTECTED, frame)
        self.assertEqual(tunnel.top(), 1)


class HopsAreCounted(ModeTest):
    """We forward both ways: one hop less, and none left is an answer to the sender."""

    def runTest(self) -> None:
        tunnel, _ = self.sending(TRANSPORT)
        _, peer = self.receiving(TRANSPORT)
        frame = frames.ethernet(PROTECTED, frames.outgoing(ttl=1))
        self.refuse(Drop.TTL, PROTECTED, frame, punt=Punt.TTL)
        self.assertEqual(tunnel.last(), 0)
        frame = frames.ethernet(UNPROTECTED, peer.send(frames.inner(ttl=1), 1))
        self.refuse(Drop.TTL, UNPROTECTED, frame, punt=Punt.TTL)


class GatewayIsAnEndItself(ModeTest):
    """Transport mode to an address of ours: the controller gets the packet as it was."""

    def runTest(self) -> None:
        pair = Traffic(src=f"{PEER}/32", dst=f"{GATEWAY}/32")
        tunnel, _ = self.receiving(TRANSPORT, selectors=pair, local_id=LOCAL_ID[GATEWAY])
        packet = frames.inner(src=PEER, dst=GATEWAY)
        sealed = ScapyPeer(tunnel.sa.spi, tunnel.key).seal(packet, 1)
        verdict = self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, sealed))
        self.assertEqual(verdict.drops, Counter())
        self.assertEqual(dict(verdict.punts), {Punt.LOCAL: 1})
        (told,) = verdict.packet_ins
        self.assertEqual(told.payload[14:], packet)
        self.assertEqual(told.index, tunnel.sa.sa)


class GatewaySendsItself(ModeTest):
    """A packet of the controller's that comes in as if from inside (INJECT) is sealed."""

    def runTest(self) -> None:
        fields: dict[str, Any] = {"src": GATEWAY, "dst": PEER, "mode": Mode.TRANSPORT}
        tunnel = self.outbound(**fields)
        rule = tables.spd(Traffic(src=GATEWAY, dst=PEER), "protect", policy=9)
        self.gw.insert(rule, tables.sa_select(9, f"{PEER}/32", tunnel.sa.sa))
        packet = frames.inner(src=GATEWAY, dst=PEER)
        message = PacketOut(Op.INJECT, frames.ethernet(PROTECTED, packet), port=PROTECTED)
        verdict = self.gw.exchange([message])
        self.assertEqual(dict(verdict.outcomes), {Outcome.TO_ENGINE: 1, Outcome.FORWARDED: 1})
        (out,) = verdict.outputs
        sealed = out.data[len(frames.link_header(UNPROTECTED)) :]
        opened = ScapyPeer(tunnel.sa.spi, tunnel.key).open(sealed)
        self.assertEqual(opened, frames.rewritten(packet))


class SameSpiForTwoHosts(ModeTest):
    """SAL-03: an SA belongs to the host it was made for."""

    def runTest(self) -> None:
        tunnel, peer = self.receiving(TRANSPORT)
        packet = peer.send(packet_of(4, 60, ours=False), 1)
        elsewhere = packet[:16] + bytes(int(x) for x in GATEWAY.split(".")) + packet[20:]
        frame = frames.ethernet(UNPROTECTED, wire.resized(elsewhere))
        self.refuse(Drop.NO_SA, UNPROTECTED, frame)
        self.assertEqual(tunnel.sa.local_id, PROXY_ID[4])
