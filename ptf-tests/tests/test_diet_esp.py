"""Diet-ESP (draft-ietf-ipsecme-diet-esp-07): what is sent is what the bits of the draft say, and the
packet that comes out is the one that went in (digest i.11)."""

from __future__ import annotations

from harness import frames, tables
from harness import vectors_formats as vec
from harness.diet import TEMPLATES
from harness.diet_test import DPORT, LENGTHS, SPORT, DietTest, packet_of
from harness.esp import ImplicitIvKey
from harness.topology import PROTECTED, UNPROTECTED

VI = bytes.fromhex("010116751cf22dc63414c22a015f5b48068cda0632754b79e327cddbf341")
ENDS = {"src": vec.SOURCE, "dst": vec.DESTINATION, "spi": vec.SPI}
KEY = ImplicitIvKey(vec.SECRET, vec.SALT)


class SendsVI(DietTest):
    """i.11 1: the gateway sends VI: 30 octets for the packet of V0."""

    def runTest(self) -> None:
        speaking = self.sending("udp-v4", key=KEY, **ENDS)
        packet = frames.rewritten(vec.INNER, ttl_less=-1)
        (octets,) = self.emit(speaking, packet)
        self.assertEqual(octets.hex(), VI.hex())


class TakesVI(DietTest):
    """i.11 1 and 7: VI is accepted, and its UDP checksum is a real one behind us."""

    def runTest(self) -> None:
        self.gw.insert(
            tables.route_on_link(vec.DESTINATIONS),
            tables.neighbour(vec.DESTINATION, PROTECTED, "02:00:00:00:02:00"),
        )
        speaking = self.receiving("udp-v4", key=KEY, **ENDS)
        out = self.forward(UNPROTECTED, speaking.around(VI))
        self.assertEqual(out, speaking.arrived(vec.INNER, seq=vec.SEQ))
        self.assertNotEqual(out.data[14 + 26 : 14 + 28], b"\0\0")
        self.assertEqual(self.top(speaking), vec.SEQ)


class EveryLength(DietTest):
    """Issue 6: payloads of 0 to 70 octets and up to 1500, for every template, both ways."""

    def runTest(self) -> None:
        for name in TEMPLATES:
            entries = self.gw.installed()
            with self.subTest(template=name, way="in"):
                speaking = self.receiving(name)
                self.deliver(speaking, *(packet_of(speaking.context, n) for n in LENGTHS))
            with self.subTest(template=name, way="out"):
                speaking = self.sending(name)
                self.emit(speaking, *(packet_of(speaking.context, n) for n in LENGTHS))
            self.gw.reset(entries)
