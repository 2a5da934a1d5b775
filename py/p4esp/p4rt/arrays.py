"""Indirect counters and meters, and registers, by array id and index (sections 9.3 to 9.6)."""

from collections.abc import Iterable, Iterator, Mapping

from finsy.proto import p4r

from p4esp.p4rt.direct import decode_counter, encode_counter
from p4esp.p4rt.errors import Code, P4RuntimeError
from p4esp.p4rt.handler import AddEntity, first_entity, only_modify
from p4esp.p4rt.meter_config import (
    decode_meter_config,
    encode_meter_config,
    refuse_meter_counters,
)
from p4esp.p4rt.schema import ArrayInfo
from p4esp.switch.runtime.arrays import Counters
from p4esp.switch.runtime.meters import Meters

Indexed = p4r.CounterEntry | p4r.MeterEntry


class CounterHandler:
    """`CounterEntry`: cells of indirect counters."""

    def __init__(self, infos: Mapping[int, ArrayInfo], cores: Mapping[int, Counters]) -> None:
        self._infos = infos
        self._cores = cores

    def write(self, update_type: int, entity: p4r.CounterEntry) -> None:
        """MODIFY one cell, or every cell when the index is left out; no data changes nothing."""
        info = _find(self._infos, entity.counter_id, "counter")
        only_modify(update_type, str(info))
        cells = _cells(info, entity)
        if not entity.HasField("data"):
            return
        value = decode_counter(str(info), entity.data)
        for index in cells:
            self._cores[info.array_id].write(index, value)

    def read(self, query: p4r.CounterEntry, add: AddEntity) -> Iterator[None]:
        """One cell, one array, or all arrays."""
        for info in _select(self._infos, query.counter_id, "counter"):
            core = self._cores[info.array_id]
            for index in _cells(info, query):
                message = add().counter_entry
                message.counter_id = info.array_id
                message.index.index = index
                encode_counter(message.data, core.read(index))
                yield

    def snapshot(self, entity: p4r.CounterEntry) -> p4r.Entity | None:
        """The cell with its value."""
        return first_entity(self.read, entity)

    def object_id(self, entity: p4r.CounterEntry) -> int:
        """The counter's id."""
        return entity.counter_id


class MeterHandler:
    """`MeterEntry`: cells of indirect meters."""

    def __init__(self, infos: Mapping[int, ArrayInfo], cores: Mapping[int, Meters]) -> None:
        self._infos = infos
        self._cores = cores

    def write(self, update_type: int, entity: p4r.MeterEntry) -> None:
        """MODIFY one cell or, without index, every cell; without config it is reset to green."""
        info = _find(self._infos, entity.meter_id, "meter")
        only_modify(update_type, str(info))
        if entity.HasField("counter_data"):
            raise refuse_meter_counters(str(info))
        has_config = entity.HasField("config")
        config = decode_meter_config(str(info), entity.config) if has_config else None
        for index in _cells(info, entity):
            self._cores[info.array_id].write(index, config)

    def read(self, query: p4r.MeterEntry, add: AddEntity) -> Iterator[None]:
        """One cell, one array, or all arrays."""
        for info in _select(self._infos, query.meter_id, "meter"):
            if query.HasField("counter_data"):
                raise refuse_meter_counters(str(info))
            core = self._cores[info.array_id]
            for index in _cells(info, query):
                message = add().meter_entry
                message.meter_id = info.array_id
                message.index.index = index
                config = core.read(index)
                if config is not None:
                    encode_meter_config(message.config, config)
                yield

    def snapshot(self, entity: p4r.MeterEntry) -> p4r.Entity | None:
        """The cell with its configuration."""
        return first_entity(self.read, entity)

    def object_id(self, entity: p4r.MeterEntry) -> int:
        """The meter's id."""
        return entity.meter_id


class RegisterHandler:
    """`RegisterEntry` is refused by name, as bmv2 does: registers belong to the data plane."""

    def __init__(self, infos: Mapping[int, ArrayInfo]) -> None:
        self._infos = infos

    def write(self, update_type: int, entity: p4r.RegisterEntry) -> None:
        """UNIMPLEMENTED, naming the register."""
        raise self._refuse(entity, "writes")

    def read(self, query: p4r.RegisterEntry, add: AddEntity) -> Iterator[None]:
        """UNIMPLEMENTED, naming the register."""
        raise self._refuse(query, "reads")

    def snapshot(self, entity: p4r.RegisterEntry) -> p4r.Entity | None:
        """Nothing to restore: writes are refused."""
        return None

    def object_id(self, entity: p4r.RegisterEntry) -> int:
        """The register's id."""
        return entity.register_id

    def _refuse(self, entity: p4r.RegisterEntry, what: str) -> P4RuntimeError:
        register_id = entity.register_id
        info = _find(self._infos, register_id, "register") if register_id else "registers"
        return P4RuntimeError(
            Code.UNIMPLEMENTED, f"{info}: register {what} are not supported over P4Runtime"
        )


def _find(infos: Mapping[int, ArrayInfo], array_id: int, kind: str) -> ArrayInfo:
    info = infos.get(array_id)
    if info is None:
        known = ", ".join(f"{i.array_id:#x} ({i.name})" for i in infos.values()) or "none"
        raise P4RuntimeError(
            Code.INVALID_ARGUMENT, f"{kind} id {array_id:#x} is unknown; accepted: {known}"
        )
    return info


def _select(infos: Mapping[int, ArrayInfo], array_id: int, kind: str) -> Iterable[ArrayInfo]:
    return [_find(infos, array_id, kind)] if array_id else infos.values()


def _cells(info: ArrayInfo, entity: Indexed) -> range:
    """The indices an entity names: one, or all when the index is left out."""
    if not entity.HasField("index"):
        return range(info.size)
    index = entity.index.index
    if not 0 <= index < info.size:
        code = Code.INVALID_ARGUMENT if index < 0 else Code.OUT_OF_RANGE
        raise P4RuntimeError(code, f"{info}: index {index}; accepted: 0..{info.size - 1}")
    return range(index, index + 1)
