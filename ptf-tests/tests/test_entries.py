"""Writes that a target must refuse, with the canonical code of P4Runtime for each update."""

from __future__ import annotations

from collections.abc import Callable

from finsy.proto import rpc_code

from harness import tables
from harness.ids import Op
from harness.p4runtime import WriteRefusedError
from harness.tables import Traffic
from harness.testcase import GatewayTest
from harness.topology import BOOT_ID


class EntryTest(GatewayTest):
    """Writes that fail."""

    def codes(self, write: Callable[[], None]) -> list[int]:
        """The codes with which a write is refused."""
        with self.assertRaises(WriteRefusedError) as caught:
            write()
        return caught.exception.codes


class DuplicatesAreRefused(EntryTest):
    """ALREADY_EXISTS, in a batch whose other updates are done."""

    def runTest(self) -> None:
        first, second = tables.ike_sa(1), tables.ike_sa(2)
        self.gw.insert(first)
        codes = self.codes(lambda: self.gw.insert(first, second))
        self.assertEqual(codes, [rpc_code.ALREADY_EXISTS, rpc_code.OK])
        self.gw.delete(second)


class MissingEntriesAreNotFound(EntryTest):
    """NOT_FOUND for what is not there, to change or to delete."""

    def runTest(self) -> None:
        missing = tables.ike_sa(77)
        self.assertEqual(self.codes(lambda: self.gw.modify(missing)), [rpc_code.NOT_FOUND])
        self.assertEqual(self.codes(lambda: self.gw.delete(missing)), [rpc_code.NOT_FOUND])


class RulesNeedAPriority(EntryTest):
    """INVALID_ARGUMENT for a rule without a priority."""

    def runTest(self) -> None:
        rule = tables.spd(Traffic(protocol=6), "bypass", priority=0)
        self.assertEqual(self.codes(lambda: self.gw.insert(rule)), [rpc_code.INVALID_ARGUMENT])


class FullTable(EntryTest):
    """boot_id holds one entry; P4Runtime wants RESOURCE_EXHAUSTED, bmv2 says UNKNOWN."""

    def runTest(self) -> None:
        another = tables.boot_id(BOOT_ID)
        assert another.match is not None
        another.match["op"] = int(Op.READ_SEQ)
        codes = self.codes(lambda: self.gw.insert(another))
        self.assertIn(codes, ([rpc_code.RESOURCE_EXHAUSTED], [rpc_code.UNKNOWN]))
        self.assertEqual(self.gw.read(Op.READ_BOOT, 0), BOOT_ID)
