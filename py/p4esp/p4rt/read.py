"""The Read RPC (section 13): wildcard reads, answered in chunks."""

import asyncio
from collections.abc import Iterator

from finsy.proto import p4r

from p4esp.p4rt.entities import Entities
from p4esp.p4rt.errors import Code, P4RuntimeError
from p4esp.p4rt.write import Errors

ENTITIES_PER_CHUNK = 200


class _Chunks:
    """Response messages of bounded size; `add` is the next entity to fill.

    Those that are full are kept serialised: a tenth of the memory, which a large read would have
    to get from the system page by page.
    """

    def __init__(self) -> None:
        self._full: list[bytes] = []
        self._filling = p4r.ReadResponse()
        self._room = ENTITIES_PER_CHUNK

    def add(self) -> p4r.Entity:
        """A fresh entity in the current response, or in a new one if that is full."""
        if not self._room:
            self._full.append(self._filling.SerializeToString())
            self._filling = p4r.ReadResponse()
            self._room = ENTITIES_PER_CHUNK
        self._room -= 1
        entity: p4r.Entity = self._filling.entities.add()
        return entity

    def responses(self) -> Iterator[p4r.ReadResponse]:
        """The messages, each parsed when it is its turn to be sent."""
        yield from map(p4r.ReadResponse.FromString, self._full)
        if self._filling.entities:
            yield self._filling


async def read_entities(
    entities: Entities, request: p4r.ReadRequest
) -> tuple[Iterator[p4r.ReadResponse], Errors]:
    """All chunks, and one item per query: None, or why it failed.

    The caller holds the write lock, so that the answer shows one state; the chunks are made
    before any is sent, so that a slow reader does not hold up writes.
    """
    chunks = _Chunks()
    errors: Errors = []
    for query in request.entities:
        errors.append(await _read_one(entities, query, chunks))
    return chunks.responses(), errors


async def _read_one(
    entities: Entities, query: p4r.Entity, chunks: _Chunks
) -> P4RuntimeError | None:
    kind = query.WhichOneof("entity")
    if kind is None:
        return P4RuntimeError(Code.INVALID_ARGUMENT, "the entity of a query is not set")
    handler = entities.handlers.get(kind)
    if handler is None:
        return P4RuntimeError(Code.UNIMPLEMENTED, f"entities of kind {kind} are not supported")
    try:
        for count, _ in enumerate(handler.read(getattr(query, kind), chunks.add), 1):
            if count % ENTITIES_PER_CHUNK == 0:
                await asyncio.sleep(0)
    except P4RuntimeError as error:
        return error
    return None
