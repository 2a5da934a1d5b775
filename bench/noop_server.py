"""A P4Runtime server that does nothing, on the stack ours is built on (grpc.aio, finsy's stubs).

    python -m bench.noop_server PORT P4INFO ENTRIES {ignore|visit}

It takes every write without looking (`ignore`), or reads each field of each update and throws it
away (`visit`): what any server in Python must do at least. A read gets ENTRIES entries made
beforehand. What ours reaches as a share of it is what our own code costs.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
from finsy.proto import p4r, p4r_grpc

from bench.entries import sa_entries
from bench.p4runtime import EntryEncoder

CHUNK = 200
"""Entities in one ReadResponse, as our server has it."""


class NoopServicer(p4r_grpc.P4RuntimeServicer):
    """Answers at once."""

    def __init__(self, responses: list[p4r.ReadResponse], *, visit: bool) -> None:
        self._responses, self._visit = responses, visit

    async def Capabilities(self, request: Any, context: Any) -> p4r.CapabilitiesResponse:  # noqa: N802
        """The readiness probe."""
        return p4r.CapabilitiesResponse(p4runtime_api_version="1.5.0")

    async def Write(self, request: p4r.WriteRequest, context: Any) -> p4r.WriteResponse:  # noqa: N802
        """Accepts everything."""
        if self._visit:
            for update in request.updates:
                visit(update.type, update.entity.table_entry)
        return p4r.WriteResponse()

    async def Read(self, request: Any, context: Any) -> AsyncIterator[p4r.ReadResponse]:  # noqa: N802
        """The same entries, whatever is asked for."""
        for response in self._responses:
            yield response

    async def StreamChannel(  # noqa: N802
        self, requests: AsyncIterator[p4r.StreamMessageRequest], context: Any
    ) -> AsyncIterator[p4r.StreamMessageResponse]:
        """Makes everybody the primary."""
        async for request in requests:
            yield p4r.StreamMessageResponse(arbitration=request.arbitration)


def visit(kind: int, entry: p4r.TableEntry) -> tuple[object, ...]:
    """Reads what an update says, as plain Python values."""
    action = entry.action.action
    match = [(field.field_id, field.exact.value) for field in entry.match]
    params = [(param.param_id, param.value) for param in action.params]
    return kind, entry.table_id, entry.priority, match, action.action_id, params


def read_responses(p4info: Path, entries: int) -> list[p4r.ReadResponse]:
    """That many `sa_out` entries in chunks."""
    encoder = EntryEncoder(p4info)
    wanted = (entry for entry in sa_entries(entries) if entry.table == "sa_out")
    entities = (p4r.Entity(table_entry=encoder.encode(entry)) for entry in wanted)
    responses = []
    while chunk := list(islice(entities, CHUNK)):
        responses.append(p4r.ReadResponse(entities=chunk))
    return responses


async def serve(port: int, servicer: NoopServicer) -> None:
    """Serves until the process is ended."""
    server = grpc.aio.server(options=(("grpc.max_receive_message_length", 64 << 20),))
    p4r_grpc.add_P4RuntimeServicer_to_server(servicer, server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


def main(port: str, p4info: str, entries: str, mode: str) -> None:
    """The command line."""
    responses = read_responses(Path(p4info), int(entries))
    servicer = NoopServicer(responses, visit=mode == "visit")  # type: ignore[abstract]
    asyncio.run(serve(int(port), servicer))


if __name__ == "__main__":
    main(*sys.argv[1:])
