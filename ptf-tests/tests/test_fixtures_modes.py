"""A recorded scenario of transport mode, BEET, WESP, TFC and dummies: see ``test_fixtures``."""

from __future__ import annotations

from typing import Any

from harness import frames, tables
from harness import vectors as vec
from harness import vectors_modes as more
from harness.frames import fragment6, options6, routing6
from harness.gateway import PacketOut
from harness.ids import Mode, Op, Wrap
from harness.modes import (
    GATEWAYS,
    OURS,
    PEERS,
    PROXY_ID,
    THEIRS,
    Peer,
    Shape,
    key_of,
    packet_of,
    shapes,
)
from harness.recorded import RecordedTest
from harness.tables import Traffic
from harness.topology import LOCAL_ID, PROTECTED, UNPROTECTED
from harness.tunnels import NAT_T, InboundTunnel, OutboundTunnel

OPTIONS = b"\x94\4\0\0" + bytes(36)
CHAIN = (options6(0), options6(60, 1), routing6(), options6(60))
WRAPPINGS: tuple[tuple[Wrap, tuple[int, int] | None, str], ...] = (
    (Wrap.NONE, None, "AES-GCM-128"),
    (Wrap.NONE, NAT_T, "CHACHA20-POLY1305-IIV"),
    (Wrap.ENCRYPTED, None, "AES-GCM-256"),
    (Wrap.VISIBLE, NAT_T, "NULL"),
    (Wrap.VISIBLE, None, "AES-GMAC-128"),
)


class RecordedModes(RecordedTest):
    """Every mode and family, each wrapping with some of them, both ways; what is refused; vectors.

    Not AES-CBC: its IVs are drawn, and no two runs are the same.
    """

    name = "modes"
    shows_payload = True

    def runTest(self) -> None:
        self.record()

    def scenario(self) -> None:
        for version, host in OURS.items():
            self.gw.insert(tables.local(host, PROXY_ID[version], proxied=True))
        for number, (wrap, udp, transform) in enumerate(WRAPPINGS):
            every = shapes(wrap=wrap, udp=udp)
            for shape in every if number == 0 else every[number - 1 :: len(WRAPPINGS) - 1]:
                entries = self.gw.installed()
                self.inwards(shape, transform)
                self.outwards(shape, transform)
                self.gw.reset(entries)
        self.vectors()
        self.dummies()

    def numbered(self, transform: str) -> dict[str, Any]:
        """The key of the next SA."""
        return {"key": key_of(transform, self.index)}

    def inwards(self, shape: Shape, transform: str) -> None:
        """Packets of all kinds from the peer."""
        inside = THEIRS[shape.inner], OURS[shape.inner]
        outside = PEERS[shape.outer], GATEWAYS[shape.outer]
        local_id = LOCAL_ID[outside[1]]
        if shape.mode == Mode.TRANSPORT:
            outside, local_id = inside, PROXY_ID[shape.inner]
        bits = 128 if shape.inner == 6 else 32
        pair = Traffic(src=f"{inside[0]}/{bits}", dst=f"{inside[1]}/{bits}")
        tunnel: InboundTunnel = self.fixed_inbound(
            selectors=pair,
            local_id=local_id,
            mode=shape.mode,
            wrap=shape.wrap,
            **self.numbered(transform),
        )
        peer = Peer(shape, tunnel.key, tunnel.sa.spi, outside, inside)
        self.gw.insert(tables.layer4_delta(tunnel.sa.sa, 0x1234))
        for seq, packet in enumerate(self.packets(shape.inner, ours=False), start=1):
            self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, peer.send(packet, seq)))
        self.wrong(peer, packet_of(shape.inner, 90, ours=False))

    def wrong(self, peer: Peer, packet: bytes) -> None:
        """Next headers that do not fit, a pseudo header, a bad ICV, and a replay."""
        for seq, number in enumerate((0, 4, 43, 44, 59, 60, 94), start=20):
            payload = bytes([17, 0, 0, 0, 1, 1, 1, 1]) + packet[-60:]
            plain = peer.by_hand(packet, seq, payload, number)
            octets = peer.wrapped(plain, number, udp=peer.shape.udp)
            self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, octets))
        forged = peer.send(packet, 30)
        forged = forged[:-1] + bytes([forged[-1] ^ 1])
        self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, forged))
        replay = frames.ethernet(UNPROTECTED, peer.send(packet, 1))
        self.gw.send(UNPROTECTED, replay)

    def outwards(self, shape: Shape, transform: str) -> None:
        """The same kinds of packets from our host."""
        outside = GATEWAYS[shape.outer], PEERS[shape.outer]
        if shape.mode == Mode.TRANSPORT:
            outside = OURS[shape.inner], THEIRS[shape.inner]
        tunnel: OutboundTunnel = self.fixed_outbound(
            src=outside[0],
            dst=outside[1],
            mode=shape.mode,
            wrap=shape.wrap,
            udp=shape.udp,
            tfc_len=200,
            **self.numbered(transform),
        )
        rule = Traffic(src=OURS[shape.inner], dst=THEIRS[shape.inner])
        prefix = f"{rule.dst}/{128 if shape.inner == 6 else 32}"
        self.gw.insert(
            tables.spd(rule, "protect", policy=tunnel.sa.sa),
            tables.sa_select(tunnel.sa.sa, prefix, tunnel.sa.sa),
        )
        for packet in self.packets(shape.inner, ours=True):
            self.gw.send(PROTECTED, frames.ethernet(PROTECTED, packet))

    def packets(self, version: int, *, ours: bool) -> list[bytes]:
        """Lengths, options or extension headers, header fields."""
        sized = [packet_of(version, size, ours=ours) for size in (60, 61, 91)]
        if version == 6:
            build = frames.outgoing6 if ours else frames.inner6
            chains = [CHAIN[:1], CHAIN, CHAIN[3:], *([(fragment6(),)] if ours else [])]
            chained = [build(size=200, chain=chain) for chain in chains]
            return [*sized, *chained, build(tc=0xB9, fl=0xABCDE, hlim=9)]
        build4 = frames.outgoing if ours else frames.inner
        with_options = [build4(size=100, options=OPTIONS[:size]) for size in (4, 8, 12, 40)]
        fragments = [build4(flags="MF")] if ours else []
        return [*sized, *with_options, *fragments, build4(tos=0xB9, id=0x4711, ttl=9, flags="DF")]

    def vectors(self) -> None:
        """D14, D15, N11 and N12 in BEET."""
        pair = Traffic(src=f"{THEIRS[4]}/32", dst=f"{OURS[4]}/32")
        self.fixed_inbound(spi=vec.SPI, selectors=pair, mode=Mode.BEET_V4)
        for sealed in (more.D14, more.D15, more.N11, more.N12, more.D14):
            self.gw.send(UNPROTECTED, frames.ethernet(UNPROTECTED, frames.outer(sealed)))

    def dummies(self) -> None:
        """Sealed for the controller, over both families."""
        for version in (4, 6):
            tunnel = self.fixed_outbound(src=GATEWAYS[version], dst=PEERS[version], tfc_len=100)
            for size in (0, 1, 99, 100, 300):
                content = frames.link_header(PROTECTED) + b"\x5a" * size
                self.gw.exchange([PacketOut(Op.DUMMY, content, index=tunnel.sa.sa)])
