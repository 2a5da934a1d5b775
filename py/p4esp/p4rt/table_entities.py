"""The entity kinds that name a table: `TableEntry`, `DirectCounterEntry`, `DirectMeterEntry`."""

from collections.abc import Iterator, Mapping

from finsy.proto import p4r

from p4esp.p4rt.direct import decode_counter
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.handler import AddEntity, check_update_type, first_entity, only_modify
from p4esp.p4rt.meter_config import decode_meter_config, refuse_meter_counters
from p4esp.p4rt.tables import TableHandler
from p4esp.switch.entries import TableEntry, TableError
from p4esp.switch.runtime.tables import Table

Tables = Mapping[int, TableHandler]


class TableEntryHandler:
    """`TableEntry` of all tables."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def write(self, update_type: int, entity: p4r.TableEntry) -> None:
        """One update of an entry or default entry."""
        check_update_type(update_type)
        table = self._tables.get(entity.table_id)
        if table is None:
            raise unknown_table(self._tables, entity.table_id)
        table.write(update_type, entity)

    def read(self, query: p4r.TableEntry, add: AddEntity) -> Iterator[None]:
        """Entries of one table, or of all tables when the id is 0 (then nothing else filters)."""
        if not query.table_id and (query.match or query.priority or query.HasField("action")):
            invalid("table entry: a read of all tables (table_id 0) takes no other filter")
        for table in select_tables(self._tables, query.table_id):
            yield from table.read(query, add)

    def snapshot(self, entity: p4r.TableEntry) -> p4r.Entity | None:
        """The entry with the same key."""
        return find_table(self._tables, entity.table_id).snapshot(entity)

    def object_id(self, entity: p4r.TableEntry) -> int:
        """The table's id."""
        return entity.table_id


class DirectCounterHandler:
    """`DirectCounterEntry`: the counter of one table entry (section 9.3.1)."""

    def __init__(self, tables: Tables, cores: Mapping[int, Table]) -> None:
        self._tables = tables
        self._cores = cores

    def write(self, update_type: int, entity: p4r.DirectCounterEntry) -> None:
        """MODIFY sets the value; without data nothing changes."""
        table = find_table(self._tables, entity.table_entry.table_id)
        where = f"{table.where}, direct counter"
        only_modify(update_type, where)
        table.direct.check_counter()
        found = _existing(table, self._cores, entity.table_entry)
        if entity.HasField("data"):
            value = decode_counter(where, entity.data)
            self._cores[table.info.table_id].write_counter(found.match, found.priority, value)

    def read(self, query: p4r.DirectCounterEntry, add: AddEntity) -> Iterator[None]:
        """One counter, those of a table, or those of all tables."""
        for table in _select_direct(self._tables, query.table_entry, "has_counter"):
            table.direct.check_counter()
            for entry in _matching(table, self._cores, query.table_entry):
                message = add().direct_counter_entry
                table.fill_key(message.table_entry, entry)
                table.direct.fill_counter(message.data, entry)
                yield

    def snapshot(self, entity: p4r.DirectCounterEntry) -> p4r.Entity | None:
        """The counter with its value."""
        return first_entity(self.read, entity)

    def object_id(self, entity: p4r.DirectCounterEntry) -> int:
        """The table's id."""
        return entity.table_entry.table_id


class DirectMeterHandler:
    """`DirectMeterEntry`: the meter of one table entry (section 9.4.1)."""

    def __init__(self, tables: Tables, cores: Mapping[int, Table]) -> None:
        self._tables = tables
        self._cores = cores

    def write(self, update_type: int, entity: p4r.DirectMeterEntry) -> None:
        """MODIFY configures the meter; without config it is reset (all green)."""
        table = find_table(self._tables, entity.table_entry.table_id)
        where = f"{table.where}, direct meter"
        only_modify(update_type, where)
        table.direct.check_meter()
        if entity.HasField("counter_data"):
            raise refuse_meter_counters(where)
        has_config = entity.HasField("config")
        config = decode_meter_config(where, entity.config) if has_config else None
        found = _existing(table, self._cores, entity.table_entry)
        self._cores[table.info.table_id].write_meter(found.match, found.priority, config)

    def read(self, query: p4r.DirectMeterEntry, add: AddEntity) -> Iterator[None]:
        """One meter, those of a table, or those of all tables."""
        for table in _select_direct(self._tables, query.table_entry, "has_meter"):
            table.direct.check_meter()
            if query.HasField("counter_data"):
                raise refuse_meter_counters(table.where)
            for entry in _matching(table, self._cores, query.table_entry):
                message = add().direct_meter_entry
                table.fill_key(message.table_entry, entry)
                table.direct.fill_meter(message, entry)
                yield

    def snapshot(self, entity: p4r.DirectMeterEntry) -> p4r.Entity | None:
        """The meter with its configuration."""
        return first_entity(self.read, entity)

    def object_id(self, entity: p4r.DirectMeterEntry) -> int:
        """The table's id."""
        return entity.table_entry.table_id


def unknown_table(tables: Tables, table_id: int) -> P4RuntimeError:
    """INVALID_ARGUMENT that lists the tables there are."""
    known = ", ".join(f"{t.info.table_id:#x} ({t.info.name})" for t in tables.values())
    return P4RuntimeError(
        Code.INVALID_ARGUMENT, f"table id {table_id:#x} is unknown; accepted: {known or 'none'}"
    )


def find_table(tables: Tables, table_id: int) -> TableHandler:
    """The table with this id."""
    table = tables.get(table_id)
    if table is None:
        raise unknown_table(tables, table_id)
    return table


def select_tables(tables: Tables, table_id: int) -> list[TableHandler]:
    """One table, or all of them for id 0."""
    return [find_table(tables, table_id)] if table_id else list(tables.values())


def _select_direct(tables: Tables, query: p4r.TableEntry, having: str) -> list[TableHandler]:
    selected = select_tables(tables, query.table_id)
    return selected if query.table_id else [t for t in selected if getattr(t.info, having)]


def _existing(table: TableHandler, cores: Mapping[int, Table], entry: p4r.TableEntry) -> TableEntry:
    """The entry that a direct resource hangs on; NOT_FOUND if there is none."""
    if entry.is_default_action:
        raise P4RuntimeError(
            Code.UNIMPLEMENTED, f"{table.where}: the default entry has no direct resources"
        )
    key, priority = table.key(entry)
    try:
        return cores[table.info.table_id].get(key, priority)
    except TableError as error:
        raise P4RuntimeError.from_table_error(error, table.where) from None


def _matching(
    table: TableHandler, cores: Mapping[int, Table], query: p4r.TableEntry
) -> Iterator[TableEntry]:
    if query.match or query.is_default_action:
        return iter([_existing(table, cores, query)])
    return table.entries()
