"""A short look at a running switch: reads only, needs no election and disturbs nobody."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import finsy as fy
from finsy.proto import p4r

from p4esp.controller.client_errors import client_errors
from p4esp.controller.entries import Entry
from p4esp.controller.errors import ControllerError
from p4esp.controller.program import Program
from p4esp.controller.target import SwitchAddress, installed_pipeline


class Reader:
    """Reads tables and counters of one switch. Use `open_reader`."""

    def __init__(self, address: SwitchAddress, client: fy.P4Client, schema: fy.P4Schema) -> None:
        self._address = address
        self._client = client
        self._schema = schema

    async def entries(self, *tables: str) -> list[Entry]:
        """All entries of some tables; const entries are left out."""
        found = await self._read([fy.P4TableEntry(table) for table in tables])
        return [Entry.decode(item) for item in found if not item.is_const]

    async def counters(self, name: str) -> dict[int, tuple[int, int]]:
        """(packets, octets) of the cells of an indexed counter that are not zero."""
        cells = await self._read([fy.P4CounterEntry(name)])
        counted = {cell.index: (cell.packet_count, cell.byte_count) for cell in cells}
        return {index: value for index, value in counted.items() if any(value)}

    async def _read(self, wanted: list[Any]) -> list[Any]:
        request = p4r.ReadRequest(
            device_id=self._address.device_id,
            entities=[item.encode(self._schema) for item in wanted],
        )
        kind = type(wanted[0])
        with client_errors(self._address.name):
            return [
                kind.decode(entity, self._schema)
                async for response in self._client.request_iter(request)
                for entity in response.entities
            ]


@asynccontextmanager
async def open_reader(address: SwitchAddress, program: Program) -> AsyncIterator[Reader]:
    """Connect to a switch that runs our program.

    Raises SwitchUnreachableError, ForeignPipelineError, or ControllerError without any program.
    """
    found = await installed_pipeline(address)
    if found is None:
        raise ControllerError(f"{address.address}: the switch has no pipeline yet")
    program.check(found)
    async with fy.P4Client(address.address, wait_for_ready=False) as client:
        yield Reader(address, client, fy.P4Schema(program.p4info))
