"""The same inputs, byte for byte the same outputs, on every target.

Each test runs a fixed sequence of entries and packets, and compares all that went in and came out
with ``fixtures/<name>.jsonl``, which was recorded on bmv2 (``run.py --target bmv2 --record``).
The fixture holds everything a replay needs, base entries included, so that other tests can feed
it to a switch of their own.  The format is described in ``harness/recorder.py``.
"""

from __future__ import annotations

import struct
from typing import Any

from harness import frames, tables
from harness import vectors as vec
from harness.gateway import Frame, PacketOut
from harness.ids import CRYPTO_PORT, Df, Op
from harness.recorded import RecordedTest
from harness.sa import NEVER, TUNNELLED
from harness.tables import Traffic
from harness.topology import (
    GATEWAY,
    HOST,
    HOST_VLAN,
    PEER,
    PEER_VLAN,
    PROTECTED,
    PROTECTED_VLAN,
    REMOTE,
    SITE,
    SITE_VLAN,
    UNCONFIGURED,
    UNPROTECTED,
    UNPROTECTED_VLAN,
)
from harness.tunnels import NAT_T, InboundTunnel

OPTIONS = b"\x94\4\0\0" + bytes(36)


class RecordedOutbound(RecordedTest):
    """Tunnels of every kind, sizes, options, ECN, TTL, hard limit."""

    name = "outbound"

    def runTest(self) -> None:
        self.record()

    def scenario(self) -> None:
        kinds: tuple[dict[str, Any], ...] = (
            {},
            {"udp": NAT_T, "df": Df.SET, "dscp": 10},
            {"esn": True, "seq_hard": NEVER, "df": Df.CLEAR, "dst": PEER_VLAN, "ttl": 17},
        )
        for number, fields in enumerate(kinds):
            tunnel = self.fixed_outbound(**fields)
            self.protect(tunnel, f"10.1.{number + 1}.0/24")
            tunnel.advance(0xFFFF_FFF0)
            self.flow(f"10.1.{number + 1}.9")
            if not tunnel.sa.esn:
                self.event()  # the hard limit

    def flow(self, dst: str) -> None:
        """Twenty packets: the 32-bit SAs reach their hard limit on the way."""
        for size in (28, 29, 30, 31, 32, 512, 1400):
            packet = frames.outgoing(size, dst=dst, tos=size & 0xFF, flags="DF")
            self.gw.send(PROTECTED, frames.ethernet(PROTECTED, packet))
        for words in (1, 10):
            packet = frames.outgoing(100, dst=dst, options=OPTIONS[: 4 * words])
            self.gw.send(PROTECTED, frames.ethernet(PROTECTED, packet))
        tagged = frames.outgoing(90, src=HOST_VLAN, dst=dst, ttl=2)
        self.gw.send(PROTECTED_VLAN, frames.ethernet(PROTECTED_VLAN, tagged))
        for ttl in (2, 1, 0):
            dying = frames.outgoing(dst=dst, ttl=ttl)
            self.gw.send(PROTECTED, frames.ethernet(PROTECTED, dying, pad=bytes(3)))
        for _ in range(7):
            self.gw.send(PROTECTED, frames.ethernet(PROTECTED, frames.outgoing(dst=dst)))


class RecordedInbound(RecordedTest):
    """Vectors, defects, replays, ECN, fragments, UDP, VLAN, options."""

    name = "inbound"

    def runTest(self) -> None:
        self.record()

    def scenario(self) -> None:
        self.fixed_inbound(spi=vec.SPI)
        vectors = (vec.D1, vec.D10, vec.D11, vec.D16, vec.N1, vec.N2, vec.N3, vec.N4, vec.N5)
        for sealed in (*vectors, vec.N6, vec.N7, vec.N8, vec.N9, vec.N10, vec.D1, vec.D2):
            self.arrives(frames.outer(sealed))
        self.headers(self.fixed_inbound())
        esn = self.fixed_inbound(esn=True, selectors=Traffic(src=REMOTE, dst=SITE_VLAN))
        for seq in (1, 1 << 31, (1 << 32) - 1, 1 << 32, (1 << 32) - 1, (1 << 32) + 5):
            packet = frames.inner(dst=HOST_VLAN, id=seq & 0xFFFF)
            frame = esn.frame(seq, packet, port=UNPROTECTED_VLAN, udp=NAT_T)
            self.gw.send(UNPROTECTED_VLAN, frame)

    def arrives(self, packet: bytes) -> None:
        """A tunnel packet from the peer."""
        self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))

    def headers(self, tunnel: InboundTunnel) -> None:
        """Outer and inner header fields."""
        for seq in range(1, 17):
            packet = frames.inner(tos=(seq - 1) // 4, id=seq)
            self.arrives(frames.outer(tunnel.esp(seq, packet), tos=(seq - 1) % 4))
        for seq, words in enumerate((1, 5, 10), start=17):
            packet = frames.inner(size=100, options=OPTIONS[: 4 * words])
            outer = frames.outer(tunnel.esp(seq, packet), options=OPTIONS[: 4 * words], udp=NAT_T)
            self.arrives(outer)
        self.arrives(frames.outer(tunnel.esp(30, frames.inner()), flags="MF"))
        self.arrives(frames.outer(tunnel.esp(31, frames.inner()), chksum=1))
        self.arrives(frames.outer(tunnel.esp(32, frames.inner(frag=7))))


class RecordedPolicy(RecordedTest):
    """Rules of all kinds, bypassed traffic, the controller's classes, truncated packets."""

    name = "policy"

    def runTest(self) -> None:
        self.record()

    def scenario(self) -> None:
        self.gw.insert(
            tables.spd(Traffic(protocol=17, dport=(53, 100)), "bypass", priority=30),
            tables.spd(Traffic(protocol=6, sport=(1, 9), l4_known=1), "bypass", priority=20),
            tables.spd(Traffic(protocol=1, dport=(8 << 8, 8 << 8 | 255)), "bypass", priority=10),
            tables.spd(Traffic(src=TUNNELLED.dst, dst=REMOTE), "protect", policy=5, priority=5),
            tables.spd(Traffic(src=REMOTE, dst=SITE), "protect", policy=5, priority=4),
            tables.ike_sa(5),
        )
        for port in (52, 53, 100, 101):
            datagram = struct.pack("!HHHH", 7, port, 8, 0)
            packet = frames.ipv4(datagram, src=HOST, dst=PEER, proto=17, id=1, ttl=3)
            self.gw.send(PROTECTED, frames.ethernet(PROTECTED, packet))
            back = frames.ipv4(datagram, src="10.1.1.3", dst=HOST, proto=17, id=1, ttl=3)
            self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, back))
        for packet in (frames.tcp(HOST, PEER_VLAN, 9, 1), frames.outgoing(frag=3)):
            self.gw.send(PROTECTED, frames.ethernet(PROTECTED, packet))
        self.for_the_controller()
        self.truncated()

    def for_the_controller(self) -> None:
        """IKE, keepalives, local packets, ARP."""
        for spi_i, spi_r in ((1, 0), (1, 5), (1, 6)):
            ike = struct.pack("!QQBBBBII", spi_i, spi_r, 33, 0x20, 34, 8, 0, 28)
            for payload, port in ((ike, 500), (bytes(4) + ike, 4500)):
                packet = frames.datagram(payload, dport=port)
                self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        for payload in (b"\xff", b"", b"\xff\xff"):
            packet = frames.datagram(payload)
            self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))
        for port in (PROTECTED, UNPROTECTED, UNCONFIGURED):
            self.gw.send(port, frames.ethernet(port, frames.outgoing(dst=GATEWAY)))
            self.gw.send(port, b"\xff" * 6 + bytes(6) + b"\x08\x06" + bytes(28))

    def truncated(self) -> None:
        """One packet at every length."""
        frame = frames.ethernet(UNPROTECTED, frames.datagram(bytes(4) + bytes(28)))
        for size in range(1, len(frame)):
            self.gw.send(UNPROTECTED, frame[:size])


class RecordedControl(RecordedTest):
    """Control messages, packets of the controller, answers that are not the engine's."""

    honest_engine = False

    name = "control"

    def runTest(self) -> None:
        self.record()

    def scenario(self) -> None:
        tunnel = self.fixed_inbound()
        space = tunnel.sa.space
        for op in range(32):
            if op not in (Op.SEND, Op.ROUTE):
                for index in (space, 1 << 20):
                    message = PacketOut(op, index=index, value=3, token=op, payload=b"x")
                    self.gw.exchange([message])
        for port in (PROTECTED, UNPROTECTED_VLAN, 509, 510, 512):
            frame = frames.ethernet(PROTECTED, frames.outgoing(dst=PEER))
            self.gw.exchange([PacketOut(Op.SEND, frame, port=port)])
        for dst in (HOST, HOST_VLAN, PEER, PEER_VLAN, "10.2.2.77", "172.16.0.1"):
            frame = frames.ethernet(PROTECTED, frames.outgoing(dst=dst, options=OPTIONS[:4]))
            self.gw.exchange([PacketOut(Op.ROUTE, frame)])
        self.answers(tunnel)

    def answers(self, tunnel: InboundTunnel) -> None:
        """A right answer, damaged octet by octet, and then as it is."""
        with self.gw.held_requests() as held:
            self.gw.send(UNPROTECTED, tunnel.frame(1, frames.inner()))
        (reply,) = self.gw.engine.answer(held[0])
        self.gw.exchange([Frame(CRYPTO_PORT, held[0])])
        for place in range(12, 46):
            damaged = reply[:place] + bytes([reply[place] ^ 0x80]) + reply[place + 1 :]
            self.gw.exchange([Frame(CRYPTO_PORT, damaged)])
        self.gw.exchange([Frame(CRYPTO_PORT, reply)])
