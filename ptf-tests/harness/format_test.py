"""SAs of any format, and what becomes of packets on them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from harness import frames, tables
from harness.esp import ImplicitIvKey, Key, own_key
from harness.formats import IMPLICIT, LAYOUTS, Packet, Peer
from harness.gateway import PacketOut, Verdict
from harness.ids import Drop, Format, Op
from harness.sa import InboundSa, Layout, OutboundSa, cells_for
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import REMOTE, SITE, UNPROTECTED
from harness.tunnels import InboundTunnel, OutboundTunnel

FIRST_SPACE = 30_000
HANDLES = itertools.count(0x100_0000, 64)
SPIS = itertools.count(0x2000_0000, 64)
Keys = Callable[[int], Key]


class Spaces:
    """Rows of sequence spaces that no test of this run has used before."""

    _next = FIRST_SPACE

    @classmethod
    def take(cls, size: int) -> int:
        """The first of so many."""
        first, cls._next = cls._next, cls._next + size
        return first


@dataclass(frozen=True, slots=True)
class Speaking:
    """One end of an SA in the gateway, and the peer at the other."""

    tunnel: InboundTunnel | OutboundTunnel
    peer: Peer

    @property
    def sa(self) -> InboundSa | OutboundSa:
        """What the switch holds."""
        return self.tunnel.sa


class FormatTest(GatewayTest):
    """Tests that open and seal by a layout's name."""

    def keys(self, name: str, first: int) -> Keys:
        """Keys of their own, by sub; with one key for all where the layout says so."""
        step = name in LAYOUTS and LAYOUTS[name].key_step

        def key(sub: int) -> Key:
            own = own_key(first + (sub if step else 0))
            return ImplicitIvKey(own.secret, own.salt) if name in IMPLICIT else own

        return key

    def receiving(
        self, name: str, keys: Keys | None = None, layout: Layout | None = None, **fields: Any
    ) -> Speaking:
        """An inbound SA of a format."""
        layout = LAYOUTS[name] if layout is None else layout
        handle, spi = next(HANDLES), fields.pop("spi", None) or next(SPIS)
        keys = keys or self.keys(name, handle)
        if "cell_base" not in fields:
            fields["cell_base"] = self._cells(layout, fields.get("window", 64))
        if "space" not in fields:
            fields["space"] = Spaces.take(layout.last_sub + 1)
        known = {"layout": layout, "wrap": layout.wrap, "handle": handle, "spi": spi}
        tunnel = self.inbound(
            **{"key": keys(0), **known, **fields},
            install=False,
        )
        self._teach(layout, handle, keys)
        self.gw.insert(*tunnel.sa.entries(), *self.sad(tunnel.sa))
        return Speaking(tunnel, Peer(layout, spi, keys))

    def sad(self, sa: InboundSa) -> list[Any]:
        """The SAD's entries: one for each sub of an SPI block."""
        if sa.layout.format != Format.SPI_BLOCK:
            return [sa.sad_entry()]
        return [
            tables.sad(sa.local_id, sa.spi + sub, sa.sa, sa.generation, sub=sub)
            for sub in range(sa.layout.last_sub + 1)
        ]

    def sending(
        self, name: str, keys: Keys | None = None, layout: Layout | None = None, **fields: Any
    ) -> Speaking:
        """An outbound SA of a format that serves our site's traffic to the remote one."""
        layout = LAYOUTS[name] if layout is None else layout
        handle, spi = next(HANDLES), fields.pop("spi", None) or next(SPIS)
        networks = fields.pop("networks", (SITE, REMOTE))
        keys = keys or self.keys(name, handle)
        known: dict[str, Any] = {"layout": layout, "wrap": layout.wrap}
        known |= {"key": keys(0), "handle": handle, "spi": spi}
        known["space"] = Spaces.take(layout.last_sub + 1)
        tunnel = self.outbound(**{**known, **fields})
        self._teach(layout, handle, keys)
        self.serve(tunnel, *networks)
        return Speaking(tunnel, Peer(layout, spi, keys))

    def serve(self, tunnel: OutboundTunnel, src: str = SITE, dst: str = REMOTE) -> None:
        """All traffic between two networks goes through a tunnel."""
        policy = tunnel.sa.sa
        rule = tables.spd(Traffic(src=src, dst=dst), "protect", policy=policy)
        self.gw.insert(rule, tables.sa_select(policy, dst, policy))

    def _cells(self, layout: Layout, window: int) -> int:
        """Replay cells for all subs, one row."""
        return min(self.session.numbers.cells(window) for _ in range(layout.last_sub + 1))

    def _teach(self, layout: Layout, handle: int, keys: Keys) -> None:
        for sub in range(layout.last_sub + 1 if layout.key_step else 1):
            self.gw.engine.keys[handle + sub] = keys(sub)

    def frame(self, speaking: Speaking, packet: Packet, **outer: Any) -> bytes:
        """The frame in which the peer sends a packet."""
        sealed = speaking.peer.seal(packet)
        return self.around(speaking, sealed, **outer)

    def around(self, speaking: Speaking, sealed: bytes, **outer: Any) -> bytes:
        """The frame around octets of the format."""
        make = frames.outer6 if speaking.sa.outer_v6 else frames.outer
        outer = {"proto": speaking.peer.layout.protocol, **outer} if "udp" not in outer else outer
        return frames.ethernet(UNPROTECTED, make(sealed, **outer))

    def top_of(self, speaking: Speaking, sub: int = 0) -> int:
        """Highest authenticated number of a sub."""
        return self.gw.read(Op.READ_TOP, speaking.sa.space + sub)

    def tops_of(self, speaking: Speaking) -> list[int]:
        """Highest authenticated numbers, by sub."""
        return self._read(Op.READ_TOP, speaking.sa.space, speaking.sa.layout.last_sub + 1)

    def last_of(self, speaking: Speaking) -> list[int]:
        """Last numbers sent, by sub."""
        return self._read(Op.READ_SEQ, speaking.sa.space, speaking.sa.layout.last_sub + 1)

    def cells_of(self, speaking: Speaking, sub: int = 0) -> list[int]:
        """Replay cells of a sub."""
        sa = speaking.sa
        assert isinstance(sa, InboundSa)
        size = cells_for(sa.window)
        return self._read(Op.READ_CELL, sa.cell_base + sub * size, size)

    def state_of(self, speaking: Speaking) -> list[list[int]]:
        """All that the switch remembers of what came in."""
        subs = range(speaking.sa.layout.last_sub + 1)
        return [self.tops_of(speaking), *(self.cells_of(speaking, sub) for sub in subs)]

    def _read(self, op: Op, first: int, count: int) -> list[int]:
        reads = [PacketOut(op, index=index) for index in range(first, first + count)]
        return [answer.value for answer in self.gw.exchange(reads).packet_ins]

    def without_a_trace(
        self, reason: Drop, speaking: Speaking, *data: bytes, port: int = UNPROTECTED
    ) -> Verdict:
        """Proves: refused, and no window has moved."""
        before = self.state_of(speaking)
        verdict = self.refuse(reason, port, *data)
        self.assertEqual(self.state_of(speaking), before)
        return verdict
