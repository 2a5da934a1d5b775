"""Many SAs, full tables, reordering at the edge of the window (cases ROB)."""

from __future__ import annotations

from finsy import P4TableEntry
from finsy.proto import rpc_code

from harness import frames, tables
from harness.ids import Drop, Event
from harness.p4runtime import WriteRefusedError
from harness.sa import TUNNELLED
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import PROTECTED, SITE, UNPROTECTED

IN_POLICY_SIZE = 4_096
OTHER_SA = 65_000
"""An SA of nobody."""


def filler(number: int) -> P4TableEntry:
    """A selector that is only there to take up room."""
    return tables.in_policy(OTHER_SA, Traffic(dport=(number, number)), priority=number + 1)


class Rob02FullTableOfSelectors(GatewayTest):
    """ROB-02: what does not fit is refused with its code; SAs that are there work on, and one that
    is deleted and inserted again opens with its own key and selectors."""

    def runTest(self) -> None:
        tunnel = self.inbound(multi=True)
        self.gw.insert(tables.in_policy(tunnel.sa.sa, TUNNELLED))
        self.gw.insert(*map(filler, range(IN_POLICY_SIZE - 1)))
        with self.assertRaises(WriteRefusedError) as refused:
            self.gw.insert(filler(IN_POLICY_SIZE))
        self.assertIn(refused.exception.codes, ([rpc_code.RESOURCE_EXHAUSTED], [rpc_code.UNKNOWN]))
        self.accept(tunnel, 1)
        self.gw.delete(tunnel.sa.sad_entry())
        self.refuse(Drop.NO_SA, UNPROTECTED, tunnel.frame(2, frames.inner()))
        self.gw.insert(tunnel.sa.sad_entry())
        self.accept(tunnel, 3)


class Rob04ReorderingWithinTheWindow(GatewayTest):
    """ROB-04: packets that come up to W - 1 numbers late are all accepted, W late is too late."""

    def runTest(self) -> None:
        for window in (32, 64, 256):
            tunnel = self.inbound(window=window)
            late = [tunnel.frame(seq, frames.inner()) for seq in range(window, 0, -1)]
            verdict = self.gw.send(UNPROTECTED, *late)
            self.assertEqual((dict(verdict.drops), len(verdict.outputs)), ({}, window))
            behind = [2 * window + 1, *range(2 * window, window, -1)]
            verdict = self.gw.send(UNPROTECTED, *(tunnel.frame(s, frames.inner()) for s in behind))
            self.assertEqual(dict(verdict.drops), {Drop.REPLAY_OLD: 1})
            self.assertEqual(len(verdict.outputs), window)


class Rob05SoftLimitsOfAThousandSas(GatewayTest):
    """ROB-05: a thousand SAs come to their soft limit at once, and each is reported."""

    def runTest(self) -> None:
        sas = [self.outbound(install=False, seq_soft=1).sa for _ in range(1000)]
        hosts = [f"10.1.{number // 250}.{number % 250 + 1}" for number in range(len(sas))]
        self.gw.insert(
            tables.spd(Traffic(src=SITE, dst="10.1.0.0/16"), "protect", policy=1),
            *(sa.entry() for sa in sas),
            *(tables.sa_select(1, f"{h}/32", sa.sa) for h, sa in zip(hosts, sas, strict=True)),
        )
        packets = [frames.ethernet(PROTECTED, frames.outgoing(dst=host)) for host in hosts]
        self.assertEqual(len(self.gw.send(PROTECTED, *packets).outputs), len(sas))
        events = [self.event() for _ in sas]
        self.assertEqual({(e["kind"], e["seq"]) for e in events}, {(Event.SOFT_LIMIT, 1)})
        self.assertEqual({e["sa"] for e in events}, {sa.sa for sa in sas})
