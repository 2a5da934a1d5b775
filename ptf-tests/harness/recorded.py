"""Tests that are compared with what was recorded of them on bmv2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ptf.testutils
from finsy.proto import p4r

from harness import recorder, tables, topology
from harness.gateway import PacketOut
from harness.ids import Op
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import SITE, SITE_VLAN
from harness.tunnels import InboundTunnel, OutboundTunnel

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
FIRST_INDEX = 64_000
CELL_BASE = 500_000


class RecordedTest(GatewayTest):
    """Runs ``scenario`` while everything is recorded."""

    name = ""

    def setUp(self) -> None:
        super().setUp()
        self.index = FIRST_INDEX

    def record(self) -> None:
        """The whole test: a subclass calls it from ``runTest``."""
        self.gw.recorder.start()
        self._note_base_entries()
        self.scenario()
        lines = self.gw.recorder.stop()
        path = FIXTURES / f"{self.name}.jsonl"
        if ptf.testutils.test_params_get()["record"]:
            recorder.save(path, lines)
        self.assertEqual(lines, recorder.load(path))

    def scenario(self) -> None:
        """What is recorded."""
        raise NotImplementedError

    def _note_base_entries(self) -> None:
        schema = self.session.client.schema
        entries = [*topology.port_entries(), *topology.route_entries()]
        self.gw.recorder.write(
            p4r.Update(type=p4r.Update.INSERT, entity=entry.encode(schema)) for entry in entries
        )

    def fixed(self) -> dict[str, int]:
        """Numbers of an SA that are the same in every run, with fresh registers behind them."""
        self.index += 1
        scrubs = (Op.SCRUB_SEQ, Op.SCRUB_TOP)
        self.gw.exchange([PacketOut(op, index=self.index) for op in scrubs])
        spi = 0x2000_0000 + self.index
        return {"sa": self.index, "space": self.index, "handle": spi, "spi": spi, "generation": 9}

    def fixed_inbound(self, **fields: Any) -> InboundTunnel:
        """An inbound SA with such numbers."""
        numbers = self.fixed()
        base = CELL_BASE + 16 * (self.index - FIRST_INDEX)
        self.gw.exchange([PacketOut(Op.SCRUB_CELLS, index=base, value=16)])
        return self.inbound(**{**numbers, "cell_base": base, **fields})

    def fixed_outbound(self, **fields: Any) -> OutboundTunnel:
        """An outbound SA with such numbers."""
        return self.outbound(**{**self.fixed(), **fields})

    def protect(self, tunnel: OutboundTunnel, dst: str) -> None:
        """Policy that sends both our networks through an outbound SA."""
        policy = tunnel.sa.sa
        rules = [
            tables.spd(Traffic(src=src, dst=dst), "protect", policy=policy)
            for src in (SITE, SITE_VLAN)
        ]
        self.gw.insert(*rules, tables.sa_select(policy, dst, tunnel.sa.sa))
