"""Direct counters, meters and idle time of table entries (sections 9.1.7 and 9.1.8)."""

from finsy.proto import p4r

from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.meter_config import (
    decode_meter_config,
    encode_meter_config,
    refuse_meter_counters,
)
from p4esp.p4rt.schema import TableInfo
from p4esp.switch.entries import CounterValue, Match, MeterConfig, TableEntry
from p4esp.switch.runtime.tables import Table

Key = tuple[Match | None, ...]


class DirectResources:
    """The direct resources of one table, as fields of `TableEntry` messages."""

    def __init__(self, info: TableInfo, core: Table) -> None:
        self._info = info
        self._where = str(info)
        self._core = core

    def decode(self, entry: p4r.TableEntry) -> tuple[MeterConfig | None, CounterValue | None]:
        """What a write sets; INVALID_ARGUMENT for a resource the table does not have."""
        if entry.HasField("time_since_last_hit"):
            invalid(f"{self._where}: time_since_last_hit is set; accepted: only in reads")
        if entry.HasField("meter_counter_data"):
            raise refuse_meter_counters(self._where)
        meter = counter = None
        if entry.HasField("meter_config"):
            self.check_meter()
            meter = decode_meter_config(self._where, entry.meter_config)
        if entry.HasField("counter_data"):
            self.check_counter()
            counter = decode_counter(self._where, entry.counter_data)
        return meter, counter

    def store(
        self,
        key: Key,
        priority: int,
        meter: MeterConfig | None,
        counter: CounterValue | None,
        *,
        reset_meter: bool = False,
    ) -> None:
        """Write what `decode` found; a MODIFY without meter config resets the meter."""
        if meter is not None or (reset_meter and self._info.has_meter):
            self._core.write_meter(key, priority, meter)
        if counter is not None:
            self._core.write_counter(key, priority, counter)

    def check_query(self, query: p4r.TableEntry) -> None:
        """A read of this table alone may only ask for resources the table has."""
        if not query.table_id:
            return
        if query.HasField("counter_data"):
            self.check_counter()
        if query.HasField("meter_config"):
            self.check_meter()
        if query.HasField("time_since_last_hit") and not self._info.has_idle_timeout:
            invalid(f"{self._where}: time_since_last_hit; the table has no idle timeout")
        if query.HasField("meter_counter_data"):
            raise refuse_meter_counters(self._where)

    def fill(self, message: p4r.TableEntry, query: p4r.TableEntry, entry: TableEntry) -> None:
        """Add the resources that `query` asks for."""
        if query.HasField("counter_data") and self._info.has_counter:
            self.fill_counter(message.counter_data, entry)
        if query.HasField("meter_config") and self._info.has_meter:
            self.fill_meter(message, entry)
        if query.HasField("time_since_last_hit") and self._info.has_idle_timeout:
            elapsed = self._core.time_since_hit(entry.match, entry.priority)
            message.time_since_last_hit.elapsed_ns = elapsed

    def fill_all(self, message: p4r.TableEntry, entry: TableEntry) -> None:
        """Add counter value and meter configuration, for a later write of `message`."""
        if self._info.has_counter:
            self.fill_counter(message.counter_data, entry)
        if self._info.has_meter:
            self.fill_meter(message, entry)

    def fill_counter(self, data: p4r.CounterData, entry: TableEntry) -> None:
        """The counter of `entry`."""
        encode_counter(data, self._core.read_counter(entry.match, entry.priority))

    def fill_meter(self, message: p4r.TableEntry | p4r.DirectMeterEntry, entry: TableEntry) -> None:
        """The meter configuration of `entry`; the default one leaves the field unset."""
        config = self._core.read_meter(entry.match, entry.priority)
        if config is not None:
            field = message.meter_config if isinstance(message, p4r.TableEntry) else message.config
            encode_meter_config(field, config)

    def check_counter(self) -> None:
        """INVALID_ARGUMENT if the table has no direct counter."""
        if not self._info.has_counter:
            invalid(f"{self._where}: the table has no direct counter")

    def check_meter(self) -> None:
        """INVALID_ARGUMENT if the table has no direct meter."""
        if not self._info.has_meter:
            invalid(f"{self._where}: the table has no direct meter")


def decode_counter(where: str, data: p4r.CounterData) -> CounterValue:
    """A counter value; negative counts are INVALID_ARGUMENT."""
    if data.packet_count < 0 or data.byte_count < 0:
        raise P4RuntimeError(Code.INVALID_ARGUMENT, f"{where}: a counter value is negative")
    return CounterValue(data.packet_count, data.byte_count)


def encode_counter(data: p4r.CounterData, value: CounterValue) -> None:
    """Fill `data`; int64 on the wire, so counts wrap there."""
    data.packet_count = value.packets & _INT64_MAX
    data.byte_count = value.bytes & _INT64_MAX


_INT64_MAX = (1 << 63) - 1
