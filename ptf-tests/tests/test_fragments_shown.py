"""First fragments of ESP, which the controller is shown where peers want to know how large packets
arrive whole."""

from __future__ import annotations

from typing import Any

from harness import frames, tables
from harness import vectors as vec
from harness.families import FamilyTest
from harness.ids import Drop, Punt
from harness.topology import GATEWAY, GATEWAY6, LOCAL_ID, UNPROTECTED
from harness.tunnels import NAT_T

FIRST: dict[str, Any] = {"flags": "MF"}
LATER: dict[str, Any] = {"flags": "MF", "frag": 185}
WHOLE: dict[str, Any] = {"frag": 5, "flags": 0}


class FragmentTest(FamilyTest):
    """Fragments to addresses of the gateway that are to be shown."""

    def wanted(self) -> None:
        for address in (GATEWAY, GATEWAY6):
            self.gw.insert(tables.fragment(LOCAL_ID[address]))

    def refused(self, packet: bytes, *, shown: bool) -> None:
        """Dropped all the same, on the same counter."""
        frame = frames.ethernet(UNPROTECTED, packet)
        punt = Punt.FRAGMENT if shown else None
        verdict = self.refuse(Drop.OUTER_FRAGMENT, UNPROTECTED, frame, punt=punt)
        self.assertEqual(verdict.requests, [])
        if shown:
            (seen,) = verdict.packet_ins
            self.assertEqual((seen.op, seen.payload), (Punt.FRAGMENT, frame))


def six(offset: int, *, more: bool, **fields: Any) -> bytes:
    """ESP over IPv6 with a fragment header."""
    return frames.outer6(vec.D1, chain=[frames.fragment6(offset, more=more)], **fields)


class FirstFragmentsAreShown(FragmentTest):
    """Over IPv4 and IPv6, of ESP and of ESP in UDP."""

    def runTest(self) -> None:
        self.wanted()
        self.refused(frames.outer(vec.D1, **FIRST), shown=True)
        self.refused(six(0, more=True), shown=True)
        self.refused(frames.outer(vec.D1, udp=NAT_T, **FIRST), shown=True)
        self.refused(six(0, more=True, udp=NAT_T), shown=True)


class OtherFragmentsAreNot(FragmentTest):
    """Later ones, those of other protocols, and atomic ones."""

    def runTest(self) -> None:
        self.wanted()
        for fields in (LATER, WHOLE, {**FIRST, "proto": 253}):
            self.refused(frames.outer(vec.D1, **fields), shown=False)
        for offset, more in ((185, True), (5, False), (0, False)):
            self.refused(six(offset, more=more), shown=False)


class NothingIsShownUnlessWanted(FragmentTest):
    """It is off by default."""

    def runTest(self) -> None:
        self.refused(frames.outer(vec.D1, **FIRST), shown=False)
        self.refused(six(0, more=True), shown=False)
