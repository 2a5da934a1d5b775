"""Table entries (section 9.1): writes and reads of one table, closures prepared per table."""

from collections.abc import Iterator

from finsy.proto import p4r

from p4esp.p4rt.actions import ActionEncoder
from p4esp.p4rt.default_entry import DefaultEntry
from p4esp.p4rt.direct import DirectResources
from p4esp.p4rt.entry_images import EntryImages
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.handler import AddEntity
from p4esp.p4rt.match import MatchCodec
from p4esp.p4rt.schema import TableInfo
from p4esp.p4rt.table_actions import TableActions
from p4esp.switch.entries import ActionCall, Match, TableAction, TableEntry, TableError
from p4esp.switch.runtime.tables import Table

MAX_METADATA = 16384
"""Bytes of opaque metadata per entry, so that a chunk of a read stays below 4 MiB."""

Key = tuple[Match | None, ...]


class TableHandler:
    """One table of the program behind `TableEntry` messages."""

    def __init__(
        self,
        info: TableInfo,
        core: Table,
        actions: TableActions,
        encoder: ActionEncoder,
        default: DefaultEntry,
    ) -> None:
        self.info = info
        self.where = str(info)
        self.match = MatchCodec(self.where, info.fields)
        self.direct = DirectResources(info, core)
        self.default = default
        self._core = core
        self._images = EntryImages(core, self.fill)
        self._actions = actions
        self._encoder = encoder
        self._writers = {
            p4r.Update.INSERT: self.insert,
            p4r.Update.MODIFY: self.modify,
            p4r.Update.DELETE: self.delete,
        }

    def write(self, update_type: int, entry: p4r.TableEntry) -> None:
        """One update, of an entry or of the default entry."""
        if entry.is_default_action:
            self.default.write(update_type, entry)
            return
        try:
            self._writers[p4r.Update.Type.ValueType(update_type)](entry)
        except TableError as error:
            raise P4RuntimeError.from_table_error(error, self.where) from None

    def key(self, entry: p4r.TableEntry) -> tuple[Key, int]:
        """The key and priority that identify an entry; both checked."""
        priority = entry.priority
        if bool(priority) is not self.match.needs_priority or priority < 0:
            self.match.check_priority(priority)
        return self.match.decode(entry.match), priority

    def insert(self, entry: p4r.TableEntry) -> None:
        """INSERT: the entry must be new; a one-shot group is undone if the table refuses it."""
        self._refuse_const()
        new = self._decode(entry, self._actions.decode(entry.action))
        meter, counter = self.direct.decode(entry)
        try:
            self._core.insert(new)
        except TableError:
            self._actions.release(new.action)
            raise
        if meter is not None or counter is not None:
            self.direct.store(new.match, new.priority, meter, counter)

    def modify(self, entry: p4r.TableEntry) -> None:
        """MODIFY: without action the old one stays; without meter config the meter is reset."""
        if self.info.is_const:
            self._modify_const(entry)
            return
        key, priority = self.key(entry)
        old = self._core.get(key, priority)
        has_action = entry.HasField("action")
        meter, counter = self.direct.decode(entry)
        new = self._decode(entry, self._actions.decode(entry.action) if has_action else old.action)
        self._core.modify(new)
        if has_action:
            self._actions.release(old.action)
        self.direct.store(key, priority, meter, counter, reset_meter=True)

    def delete(self, entry: p4r.TableEntry) -> None:
        """DELETE: only key and priority are looked at."""
        self._refuse_const()
        key, priority = self.key(entry)
        if self._actions.owns_groups:
            old = self._core.get(key, priority)
            self._core.delete(key, priority)
            self._actions.release(old.action)
        else:
            self._core.delete(key, priority)

    def read(self, query: p4r.TableEntry, add: AddEntity) -> Iterator[None]:
        """The entries `query` selects (section 9.1.6), with the direct resources it asks for."""
        self.direct.check_query(query)
        if query.is_default_action:
            if self.default.read(query, add):
                yield
            return
        if query == p4r.TableEntry(table_id=query.table_id):
            yield from self._images.read(add)
            return
        for entry in self._select(query):
            message = add().table_entry
            self.fill(message, entry)
            self.direct.fill(message, query, entry)
            yield

    def snapshot(self, entry: p4r.TableEntry) -> p4r.Entity | None:
        """The entry (or default entry) with the same key as it is now, direct resources too."""
        if entry.is_default_action:
            return self.default.snapshot()
        key, priority = self.key(entry)
        try:
            found = self._core.get(key, priority)
        except TableError:
            return None
        entity = p4r.Entity()
        self.fill(entity.table_entry, found)
        self.direct.fill_all(entity.table_entry, found)
        return entity

    def entries(self) -> Iterator[TableEntry]:
        """All entries of the core's table."""
        return self._core.entries()

    def idle_entries(self, now_ns: int) -> Iterator[TableEntry]:
        """Entries that no packet has hit for at least their idle time-out."""
        return self._core.idle_entries(now_ns)

    def fill(self, message: p4r.TableEntry, entry: TableEntry) -> None:
        """`entry` as a client would write it."""
        self.fill_key(message, entry)
        self._actions.encode(message.action, entry.action)
        if entry.metadata:
            message.metadata = entry.metadata
        if entry.controller_metadata:
            message.controller_metadata = entry.controller_metadata
        if entry.idle_timeout_ns:
            message.idle_timeout_ns = entry.idle_timeout_ns
        if self.info.is_const:
            message.is_const = True

    def fill_key(self, message: p4r.TableEntry, entry: TableEntry) -> None:
        """What identifies `entry`: table, match, priority."""
        message.table_id = self.info.table_id
        self.match.encode(message, entry.match)
        if entry.priority:
            message.priority = entry.priority

    def _decode(self, entry: p4r.TableEntry, action: TableAction) -> TableEntry:
        key, priority = self.key(entry)
        if entry.is_const:
            invalid(f"{self.where}: is_const is set; accepted: only in reads")
        metadata = entry.metadata
        if len(metadata) > MAX_METADATA:
            invalid(f"{self.where}: metadata of {len(metadata)} bytes; accepted: {MAX_METADATA}")
        timeout = entry.idle_timeout_ns
        if timeout and (timeout < 0 or not self.info.has_idle_timeout):
            self._refuse_timeout(timeout)
        return TableEntry(key, action, priority, metadata, timeout, entry.controller_metadata)

    def _select(self, query: p4r.TableEntry) -> Iterator[TableEntry]:
        wanted = self.match.decode(query.match) if query.match else None
        for entry in self._candidates(query, wanted):
            if wanted is not None and entry.match != wanted:
                continue
            if self._passes_filters(query, entry):
                yield entry

    def _candidates(self, query: p4r.TableEntry, wanted: Key | None) -> Iterator[TableEntry]:
        """One look-up where the query names the whole key, else all entries."""
        if wanted is None or bool(query.priority) is not self.match.needs_priority:
            return self._core.entries()
        try:
            return iter([self._core.get(wanted, query.priority)])
        except TableError:
            return iter(())

    def _passes_filters(self, query: p4r.TableEntry, entry: TableEntry) -> bool:
        if query.priority and entry.priority != query.priority:
            return False
        if query.metadata and entry.metadata != query.metadata:
            return False
        cookie = query.controller_metadata
        if cookie and entry.controller_metadata != cookie:
            return False
        return not query.HasField("action") or self._has_action(query, entry)

    def _has_action(self, query: p4r.TableEntry, entry: TableEntry) -> bool:
        wanted = query.action.action.action_id
        if not wanted or not isinstance(entry.action, ActionCall):
            invalid(f"{self.where}: a read can only be filtered by action_id of a direct table")
        return self._encoder.action_id(entry.action) == wanted

    def _refuse_const(self) -> None:
        if self.info.is_const:
            raise P4RuntimeError(
                Code.PERMISSION_DENIED,
                f"{self.where}: its entries are const; accepted: MODIFY of direct resources",
            )

    def _modify_const(self, entry: p4r.TableEntry) -> None:
        """Const entries keep their action; only direct resources can be written."""
        if entry.HasField("action"):
            self._refuse_const()
        key, priority = self.key(entry)
        self._core.get(key, priority)
        meter, counter = self.direct.decode(entry)
        self.direct.store(key, priority, meter, counter, reset_meter=True)

    def _refuse_timeout(self, timeout: int) -> None:
        if not self.info.has_idle_timeout:
            invalid(f"{self.where}: idle_timeout_ns {timeout}; the table has no idle timeout")
        invalid(f"{self.where}: idle_timeout_ns {timeout} is negative")
