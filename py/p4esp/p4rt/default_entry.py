"""The default entry of a table (section 9.1.3): always there, can only be modified or reset."""

from finsy.proto import p4r

from p4esp.p4rt.actions import ActionCodec, ActionEncoder
from p4esp.p4rt.direct import decode_counter, encode_counter
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.handler import AddEntity, only_modify
from p4esp.p4rt.meter_config import refuse_meter_counters
from p4esp.p4rt.schema import TableInfo
from p4esp.switch.entries import CounterValue, TableError
from p4esp.switch.runtime.tables import Table


class DefaultEntry:
    """`TableEntry` messages with `is_default_action` for one table."""

    def __init__(
        self, info: TableInfo, core: Table, codec: ActionCodec, encoder: ActionEncoder
    ) -> None:
        self._info = info
        self._where = f"{info}, default entry"
        self._core = core
        self._codec = codec
        self._encoder = encoder
        self._metadata = b""
        self._controller_metadata = 0

    def write(self, update_type: int, entry: p4r.TableEntry) -> None:
        """MODIFY sets the action; without action the program's own comes back."""
        only_modify(update_type, self._where)
        self._check(entry)
        counter = self._decode_counter(entry)
        reset = not entry.HasField("action")
        call = None if reset else self._codec.decode_default(entry.action.action)
        try:
            self._core.set_default(call)
        except TableError as error:
            raise P4RuntimeError.from_table_error(error, self._where) from None
        if counter is not None:
            self._core.set_default_counter(counter)
        self._metadata = b"" if reset else entry.metadata
        self._controller_metadata = 0 if reset else entry.controller_metadata

    def read(self, query: p4r.TableEntry, add: AddEntity) -> bool:
        """Fill one entity; False if the program has no action on a miss."""
        if query.match or query.priority:
            invalid(f"{self._where}: a read of it takes no match and no priority")
        self._refuse_resources(query)
        if self._core.default() is None:
            return False
        message = add().table_entry
        self._fill(message)
        if query.HasField("counter_data") and self._info.has_counter:
            encode_counter(message.counter_data, self._core.default_counter())
        return True

    def snapshot(self) -> p4r.Entity:
        """The default entry as it is; without action if the program has none on a miss."""
        entity = p4r.Entity()
        self._fill(entity.table_entry)
        if self._info.has_counter:
            encode_counter(entity.table_entry.counter_data, self._core.default_counter())
        return entity

    def _decode_counter(self, entry: p4r.TableEntry) -> CounterValue | None:
        """The counter value of a write; INVALID_ARGUMENT if the table has no direct counter."""
        if not entry.HasField("counter_data"):
            return None
        if not self._info.has_counter:
            invalid(f"{self._where}: the table has no direct counter")
        return decode_counter(self._where, entry.counter_data)

    def _fill(self, message: p4r.TableEntry) -> None:
        message.table_id = self._info.table_id
        message.is_default_action = True
        call = self._core.default()
        if call is not None:
            self._encoder.encode(message.action.action, call)
        message.metadata = self._metadata
        message.controller_metadata = self._controller_metadata
        message.is_const = self._info.has_const_default

    def _check(self, entry: p4r.TableEntry) -> None:
        if entry.match or entry.priority:
            invalid(f"{self._where}: it takes no match and no priority")
        if entry.is_const or entry.idle_timeout_ns or entry.HasField("time_since_last_hit"):
            invalid(f"{self._where}: is_const, idle_timeout_ns and time_since_last_hit stay unset")
        self._refuse_resources(entry)
        if self._info.profile_id:
            invalid(f"{self._where}: tables with an action profile keep their default action")
        if self._info.has_const_default:
            raise P4RuntimeError(
                Code.PERMISSION_DENIED, f"{self._where}: it is const in the program"
            )

    def _refuse_resources(self, entry: p4r.TableEntry) -> None:
        if entry.HasField("meter_config"):
            raise P4RuntimeError(
                Code.UNIMPLEMENTED, f"{self._where}: a direct meter is kept for entries only"
            )
        if entry.HasField("meter_counter_data"):
            raise refuse_meter_counters(self._where)
