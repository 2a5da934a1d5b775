"""The Write RPC (section 12): batches of updates and their per-update errors."""

import asyncio
from collections.abc import Sequence
from typing import Any

from finsy.proto import p4r, rpc_status

from p4esp.p4rt.entities import Entities
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.handler import EntityHandler
from p4esp.p4rt.roles import RoleConfig

UPDATES_PER_TURN = 250
"""Updates carried out before packets and other requests get a turn."""

MAX_ERROR_TEXT = 24_000
"""Bytes of error texts in one answer: gRPC clients refuse long trailing metadata."""

Errors = list[P4RuntimeError | None]


class BatchWriter:
    """Carries out the updates of one client's requests on one pipeline."""

    def __init__(self, entities: Entities, role: RoleConfig) -> None:
        self._entities = entities
        self._handlers = entities.handlers
        self._role = role

    async def write(self, request: p4r.WriteRequest) -> Errors:
        """One item per update: None, or why it failed. The caller holds the write lock."""
        if request.atomicity == p4r.WriteRequest.CONTINUE_ON_ERROR:
            return await self._continue_on_error(request.updates)
        if request.atomicity in (
            p4r.WriteRequest.ROLLBACK_ON_ERROR,
            p4r.WriteRequest.DATAPLANE_ATOMIC,
        ):
            return self._all_or_none(request.updates)
        invalid(f"atomicity {request.atomicity} is unknown")

    def apply(self, update: p4r.Update) -> None:
        """Carry out one update."""
        handler, message = self._resolve(update.entity)
        if self._role.object_ids is not None:
            object_id = handler.object_id(message)
            self._role.check_object(object_id, self._entities.schema.describe(object_id))
        handler.write(update.type, message)

    async def _continue_on_error(self, updates: Sequence[p4r.Update]) -> Errors:
        errors: Errors = []
        apply = self.apply
        for count, update in enumerate(updates, 1):
            try:
                apply(update)
                errors.append(None)
            except P4RuntimeError as error:
                errors.append(error)
            if count % UPDATES_PER_TURN == 0:
                await asyncio.sleep(0)
        return errors

    def _all_or_none(self, updates: Sequence[p4r.Update]) -> Errors:
        """Nothing else runs between the first update and the last: atomic to packets, too."""
        done: list[tuple[p4r.Update, p4r.Entity | None]] = []
        for update in updates:
            try:
                before = self._snapshot(update)
                self.apply(update)
            except P4RuntimeError as error:
                self._roll_back(done)
                return _aborted(len(updates), len(done), error)
            done.append((update, before))
        return [None] * len(updates)

    def _snapshot(self, update: p4r.Update) -> p4r.Entity | None:
        handler, message = self._resolve(update.entity)
        return handler.snapshot(message)

    def _roll_back(self, done: list[tuple[p4r.Update, p4r.Entity | None]]) -> None:
        for update, before in reversed(done):
            handler, message = self._resolve(update.entity)
            if before is None:
                handler.write(p4r.Update.DELETE, message)
            elif update.type == p4r.Update.DELETE:
                handler.write(p4r.Update.INSERT, self._resolve(before)[1])
            else:
                handler.write(p4r.Update.MODIFY, self._resolve(_writable(before))[1])

    def _resolve(self, entity: p4r.Entity) -> tuple[EntityHandler[Any], Any]:
        """The handler of the entity's kind and the message inside."""
        kind = entity.WhichOneof("entity")
        handler = self._handlers.get(kind or "")
        if handler is None:
            raise _unsupported(kind)
        return handler, getattr(entity, kind or "")


def write_status(errors: Errors) -> rpc_status.Status:
    """The `google.rpc.Status` for a batch: one `p4.v1.Error` per update, in order."""
    return _status("Write failure.", errors)


def read_status(errors: Errors) -> rpc_status.Status:
    """The same for the queries of a Read."""
    return _status("Read failure.", errors)


def _status(message: str, errors: Errors) -> rpc_status.Status:
    failed = [error for error in errors if error is not None]
    first = f" {len(failed)} of {len(errors)} failed, first: {failed[0].message}"
    status = rpc_status.Status(code=Code.UNKNOWN, message=(message + first)[:1000])
    room = MAX_ERROR_TEXT
    for error in errors:
        detail = p4r.Error(canonical_code=error.code if error else Code.OK)
        if error is not None and len(error.message) <= room:
            detail.message = error.message
            room -= len(error.message)
        status.details.add().Pack(detail)
    return status


def _unsupported(kind: str | None) -> P4RuntimeError:
    if kind is None:
        return P4RuntimeError(Code.INVALID_ARGUMENT, "the entity is not set")
    return P4RuntimeError(Code.UNIMPLEMENTED, f"entities of kind {kind} are not supported")


def _aborted(total: int, failed_at: int, error: P4RuntimeError) -> Errors:
    """Only one update failed; the others were undone or never tried."""
    text = f"rolled back, because update {failed_at} of the batch failed"
    errors: Errors = [P4RuntimeError(Code.ABORTED, text)] * total
    errors[failed_at] = error
    return errors


def _writable(before: p4r.Entity) -> p4r.Entity:
    """A snapshot as a MODIFY may carry it: const entries are written without their action."""
    if before.table_entry.is_const and before.HasField("table_entry"):
        before.table_entry.is_const = False
        before.table_entry.ClearField("action")
    return before
