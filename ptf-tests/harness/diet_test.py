"""SAs that compress (Diet-ESP), both ways, and what becomes of packets on them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from finsy import P4TableEntry
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

from harness import diet, frames, tables
from harness.diet import TEMPLATES, Context
from harness.esp import ImplicitIvKey, Key, own_key
from harness.gateway import Frame, Verdict
from harness.ids import Drop, Format, Op
from harness.p4runtime import WriteRefusedError
from harness.sa import Layout
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import (
    GATEWAY,
    GATEWAY6,
    HOST,
    HOST6,
    LOCAL_ID,
    PEER,
    PEER6,
    PROTECTED,
    REMOTE_HOST,
    REMOTE_HOST6,
    UNPROTECTED,
)
from harness.tunnels import InboundTunnel, OutboundTunnel

SPORT, DPORT = 0x1234, 53
PEERS = {4: PEER, 6: PEER6}
GATEWAYS = {4: GATEWAY, 6: GATEWAY6}
OURS, THEIRS = {4: HOST, 6: HOST6}, {4: REMOTE_HOST, 6: REMOTE_HOST6}
HOPS = 64
FLOWS = ("udp-v4", "tcp-v4", "udp-v6", "tcp-v6")
NUMBERS = itertools.count(1)
HANDLES = itertools.count(0x200_0000)
SPIS = itertools.count(0x3000_0101)
LENGTHS = (*range(71), 127, 128, 255, 256, 257, 511, 512, 1000, 1399, 1446, 1460, 1499, 1500)


@dataclass(frozen=True, slots=True)
class DietLayout(Layout):
    """The entries of an SA that compresses."""

    context: Context | None = None

    def outbound(self, sa: int) -> list[P4TableEntry]:
        """Entries beside ``sa_out``."""
        return [self._template("diet_out", sa)]

    def inbound(self, sa: int, cells: int, spi: int) -> list[P4TableEntry]:
        """Entries beside ``sa_in``."""
        return [self._template("diet_in", sa)]

    def _template(self, table: str, sa: int) -> P4TableEntry:
        known = self.context
        assert known is not None
        params = {
            "template": known.template.number,
            "trailer": int(known.trailer),
            "spi_octets": known.spi_octets,
            "sn_octets": known.sn_octets,
            "sport": known.sport,
            "dport": known.dport,
        }
        return tables.diet_template(table, sa, known.src, known.dst, **params)


@dataclass(frozen=True, slots=True)
class Speaking:
    """One end of an SA in the gateway, and what the peer at the other knows."""

    tunnel: InboundTunnel | OutboundTunnel
    context: Context
    key: Key
    peer: int = 0
    """The number that its tables have."""

    def octets(self, seq: int, packet: bytes) -> bytes:
        """What the peer sends behind the outer header."""
        return self.context.seal(self.key, seq, packet)

    def around(self, octets: bytes, **outer: Any) -> bytes:
        """The frame around it."""
        sa = self.tunnel.sa
        make = frames.outer6 if sa.outer_v6 else frames.outer
        outer = {"hlim" if sa.outer_v6 else "ttl": HOPS, **outer}
        return frames.ethernet(UNPROTECTED, make(octets, **outer))

    def frame(self, seq: int, packet: bytes, **outer: Any) -> bytes:
        """A packet of the peer's."""
        return self.around(self.octets(seq, packet), **outer)

    def text_frame(self, seq: int, text: bytes) -> bytes:
        """An authentic packet with a text of the test's own."""
        return self.around(self.context.seal_text(self.key, seq, text))

    def arrived(self, packet: bytes, *, seq: int, hops: int = HOPS - 1) -> Frame:
        """What is delivered of it."""
        whole = diet.arrived(self.context.template, packet, hops=hops, seq=seq)
        return Frame(PROTECTED, frames.delivered(PROTECTED, whole))


class DietTest(GatewayTest):
    """Two hosts and one flow between them, by a template's name."""

    def context(self, name: str, *, ours: bool, **fields: Any) -> Context:
        """What is known of packets from our host, or to it."""
        template = TEMPLATES[name]
        src, dst = (OURS, THEIRS) if ours else (THEIRS, OURS)
        ports = {"sport": SPORT, "dport": DPORT} if template.protocol else {}
        known = {"spi": next(SPIS), "src": src[template.version], "dst": dst[template.version]}
        return Context(template, **{**known, **ports, **fields})

    def receiving(self, name: str, *, outer: int = 4, **fields: Any) -> Speaking:
        """An inbound SA; ``fields`` of the SA, or of what is known."""
        context = self._take_context(name, False, fields)
        handle = next(HANDLES)
        key = fields.pop("key", None) or self.key(handle)
        local_id = LOCAL_ID[GATEWAYS[outer]]
        peer = fields.pop("peer", PEERS[outer])
        known = {"handle": handle, "spi": context.spi, "selectors": selectors(context)}
        known |= {"layout": DietLayout(Format.DIET, context=context), "local_id": local_id}
        align = 4 if context.trailer else 1
        tunnel = self.inbound(key=key, install=False, **{"align": align, **known, **fields})
        self.gw.insert(*tunnel.sa.entries())
        return Speaking(tunnel, context, key, self.be_known(tunnel, context, peer))

    def be_known(self, tunnel: InboundTunnel, context: Context, src: str) -> int:
        """The peer compresses, and this is one of its SAs; its number."""
        sa = tunnel.sa
        address = next(a for a, number in LOCAL_ID.items() if number == sa.local_id)
        peer = next(NUMBERS)
        widths = (context.spi_octets, context.sn_octets)
        entry = tables.diet_peer(sa.local_id, src, peer, *widths)
        try:
            self.gw.insert(entry)
        except WriteRefusedError:  # of an SA that the test has done with
            self.gw.modify(entry)
        self.know_sa(tunnel, context, peer)
        self.gw.modify(tables.local(address, sa.local_id, diet=True))
        self.addCleanup(self.gw.modify, tables.local(address, sa.local_id))
        return peer

    def know_sa(self, tunnel: InboundTunnel, context: Context, peer: int) -> None:
        """One more SA of a peer."""
        low = context.spi & (1 << 8 * context.spi_octets) - 1
        entry = tables.diet_sad(peer, low, tunnel.sa.sa, tunnel.sa.generation, context.spi)
        self.gw.insert(entry)

    def sending(self, name: str, *, outer: int = 4, **fields: Any) -> Speaking:
        """An outbound SA that serves everything between the two networks."""
        context = self._take_context(name, True, fields)
        handle = next(HANDLES)
        key = fields.pop("key", None) or self.key(handle)
        known: dict[str, Any] = {"handle": handle, "spi": context.spi}
        known |= {"layout": DietLayout(Format.DIET, context=context)}
        known |= {"align": 4 if context.trailer else 1}
        tunnel = self.outbound(key=key, outer=outer, **{**known, **fields})
        everything = "::/0" if context.template.version == 6 else "0.0.0.0/0"
        policy = tunnel.sa.sa
        self.gw.insert(
            tables.spd(Traffic(src=everything, dst=everything), "protect", policy=policy),
            tables.sa_select(policy, everything, policy),
        )
        return Speaking(tunnel, context, key)

    def _take_context(self, name: str, ours: bool, fields: dict[str, Any]) -> Context:
        names = ("spi", "src", "dst", "sport", "dport", "spi_octets", "sn_octets", "trailer")
        own = {key: fields.pop(key) for key in names if key in fields}
        return self.context(name, ours=ours, **own)

    def key(self, handle: int) -> Key:
        """A key of its own, with implicit IV."""
        own = own_key(handle)
        return ImplicitIvKey(own.secret, own.salt)

    def deliver(self, speaking: Speaking, *packets: bytes, first: int = 1, **outer: Any) -> None:
        """Proves: each of them is delivered as it must be."""
        sent = [speaking.frame(seq, packet, **outer) for seq, packet in enumerate(packets, first)]
        verdict = self.gw.send(UNPROTECTED, *sent)
        expected = [speaking.arrived(p, seq=seq) for seq, p in enumerate(packets, first)]
        self.assertEqual((dict(verdict.drops), verdict.outputs), ({}, expected))

    def emit(self, speaking: Speaking, *packets: bytes, first: int = 1) -> list[bytes]:
        """Proves: each leaves as the bits say; what stands behind the outer headers."""
        sent = [frames.ethernet(PROTECTED, packet) for packet in packets]
        verdict = self.gw.send(PROTECTED, *sent)
        self.assertEqual((dict(verdict.drops), len(verdict.outputs)), ({}, len(packets)))
        found = []
        for seq, (packet, out) in enumerate(zip(packets, verdict.outputs, strict=True), first):
            octets = self.octets_of(speaking, packet, out)
            text = speaking.context.open(speaking.key, seq, octets)
            self.assertEqual(text.hex(), speaking.context.text(packet).hex())
            found.append(octets)
        return found

    def octets_of(self, speaking: Speaking, packet: bytes, out: Frame) -> bytes:
        """Behind an outer header whose length, protocol, hops and checksum are right."""
        self.assertEqual(out.port, UNPROTECTED)
        at, hops = 14, packet[7 if packet[0] >> 4 == 6 else 8] - 1
        if speaking.tunnel.sa.outer_v6:
            outer6 = IPv6(out.data[at:])
            self.assertEqual((outer6.nh, outer6.hlim), (50, hops))
            self.assertEqual(outer6.plen, len(out.data) - at - 40)
            return out.data[at + 40 :]
        outer = IP(out.data[at:])
        self.assertEqual((outer.proto, outer.ttl), (50, hops))
        self.assertEqual(outer.len, len(out.data) - at)
        self.assertEqual(frames.internet_checksum(out.data[at : at + 20]), 0)
        return out.data[at + 20 :]

    def refused(self, reason: Drop, speaking: Speaking, *sent: bytes) -> Verdict:
        """Proves: refused, and the window has not moved."""
        assert isinstance(speaking.tunnel, InboundTunnel)
        before = (speaking.tunnel.top(), speaking.tunnel.cells())
        verdict = self.refuse(reason, UNPROTECTED, *sent)
        self.assertEqual((speaking.tunnel.top(), speaking.tunnel.cells()), before)
        return verdict

    def top(self, speaking: Speaking) -> int:
        """Highest authenticated number."""
        return self.gw.read(Op.READ_TOP, speaking.tunnel.sa.space)


def selectors(context: Context) -> Traffic:
    """Those of an inbound SA: what its template says."""
    version, low = context.template.version, context.template.low
    length = (128 if version == 6 else 32) - low
    src, dst = (f"{ip}/{length}" for ip in (network(context.src, low), network(context.dst, low)))
    if context.template.protocol is None:
        return Traffic(src=src, dst=dst)
    ports = ((context.sport,) * 2, (context.dport,) * 2)
    return Traffic(src, dst, context.template.protocol, *ports)


def network(address: str, low: int) -> str:
    """An address without its low bits."""
    if ":" in address:
        return str(IPv6Address(int(IPv6Address(address)) >> low << low))
    return str(IPv4Address(int(IPv4Address(address)) >> low << low))


def packet_of(context: Context, size: int, **fields: Any) -> bytes:
    """A packet that fits, with ``size`` octets behind all its headers and right checksums."""
    fill = Raw(bytes(7 * i + size & 0xFF for i in range(size)))
    protocol = context.template.protocol
    header = _header(context, protocol, fields)
    if protocol == 17:
        return bytes(header / UDP(sport=context.sport, dport=context.dport) / fill)
    if protocol == 6:
        tcp = TCP(sport=context.sport, dport=context.dport, seq=0x01020304, ack=0x55667788)
        tcp.flags, tcp.window, tcp.urgptr = "PA", 0xABC, 7
        return bytes(header / tcp / fill)
    return bytes(header / fill)


def _header(context: Context, protocol: int | None, fields: dict[str, Any]) -> IP | IPv6:
    number = 253 if protocol is None else protocol
    if context.template.version == 6:
        known: dict[str, Any] = {"hlim": HOPS, "tc": 0xB9, "fl": 0x54321, "nh": number}
        return IPv6(src=context.src, dst=context.dst, **{**known, **fields})
    known = {"ttl": HOPS, "tos": 0xB9, "id": 0x4321, "flags": "DF", "proto": number}
    return IP(src=context.src, dst=context.dst, **{**known, **fields})
