"""The judge of the other tests must see what they could do wrong."""

from __future__ import annotations

from harness import frames, tables
from harness.esp import own_key
from harness.gateway import Frame
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import REMOTE, SITE, UNPROTECTED


class OneKeyUnderTwoHandlesIsSeen(GatewayTest):
    """What must not repeat is (key, nonce), whatever the engine calls the key."""

    def runTest(self) -> None:
        key = own_key(0)
        for policy in (1, 2):
            tunnel = self.outbound(key=key)
            rule = tables.spd(Traffic(src=SITE, dst=REMOTE), "protect", policy=policy)
            self.gw.insert(rule, tables.sa_select(policy, REMOTE, tunnel.sa.sa))
            self.seal(tunnel, frames.outgoing())
            self.gw.delete(rule)
        (broken,) = self.gw.watch.broken()
        self.assertIn("(key, nonce) used twice", broken)
        self.gw.watch.start()  # this test's own doing
        self.gw.count()


class ClearTextIsSeenWhoeverWroteTheRule(GatewayTest):
    """Policy is what the table holds, a test's own rules included."""

    def runTest(self) -> None:
        packet = frames.outgoing()
        self.gw.insert(tables.spd(Traffic(src=SITE), "protect", policy=1))
        self.gw.watch.batch([], [Frame(UNPROTECTED, frames.ethernet(UNPROTECTED, packet))], [])
        (broken,) = self.gw.watch.broken()
        self.assertIn("clear text on an unprotected port", broken)
        self.gw.watch.start()
        self.gw.count()
