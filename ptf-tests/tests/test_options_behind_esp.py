"""Destination options on either side of ESP in IPv6 transport mode (RFC 4303 3.1.1)."""

from __future__ import annotations

from typing import Any

from harness import esp, frames, tables
from harness.gateway import Frame
from harness.ids import Mode
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import HOST6, PROTECTED, REMOTE_HOST6, UNPROTECTED

LOCAL_ID = 90
DESTINATION = 60
UDP_DATAGRAM = bytes.fromhex("138813890010abcd") + bytes(8)


class Trn04OptionsBehindEsp(GatewayTest):
    """Options in front of no routing header travel in the text, and their length counts once."""

    def runTest(self) -> None:
        host = tables.local(HOST6, LOCAL_ID, proxied=True)
        traffic = Traffic(src=REMOTE_HOST6, dst=HOST6)
        self.gw.insert(host)
        tunnel = self.inbound(local_id=LOCAL_ID, selectors=traffic, mode=Mode.TRANSPORT)
        front: dict[str, Any] = {"src": REMOTE_HOST6, "dst": HOST6, "hlim": 64}
        for seq, units in enumerate((0, 1, 3), 1):
            options = frames.options6(DESTINATION, units)
            text = esp.with_trailer(options.octets(17) + UDP_DATAGRAM, DESTINATION)
            sealed = frames.ipv6(tunnel.esp_by_hand(seq, text), 50, **front)
            packet = frames.ipv6(UDP_DATAGRAM, 17, chain=[options], **front)
            out = self.forward(UNPROTECTED, frames.ethernet(UNPROTECTED, sealed))
            with self.subTest(units=units):
                expected = frames.delivered(PROTECTED, frames.rewritten(packet))
                self.assertEqual(out, Frame(PROTECTED, expected))
