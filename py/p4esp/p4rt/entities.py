"""The handlers of all entity kinds for one loaded pipeline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from p4esp.p4rt.actions import ActionCodec, ActionEncoder, ActionRef
from p4esp.p4rt.arrays import CounterHandler, MeterHandler, RegisterHandler
from p4esp.p4rt.default_entry import DefaultEntry
from p4esp.p4rt.digests import DigestHandler, SendDigest
from p4esp.p4rt.handler import EntityHandler
from p4esp.p4rt.idle import IdleScanner
from p4esp.p4rt.packet_io import PacketInCodec, PacketOutCodec
from p4esp.p4rt.profiles import GroupHandler, MemberHandler, Profile
from p4esp.p4rt.replication import ReplicationHandler
from p4esp.p4rt.schema import ProfileInfo, Schema, TableInfo
from p4esp.p4rt.table_actions import DirectActions, ProfileActions, TableActions
from p4esp.p4rt.table_entities import (
    DirectCounterHandler,
    DirectMeterHandler,
    TableEntryHandler,
)
from p4esp.p4rt.tables import TableHandler
from p4esp.switch.device import Device
from p4esp.switch.runtime.tables import Table


@dataclass(frozen=True, slots=True)
class Clocks:
    """`monotonic` never runs backwards (the device's clock); `wall` counts from 1970. Both ns."""

    monotonic: Callable[[], int]
    wall: Callable[[], int]


class Entities:
    """Everything a client can write and read in one pipeline, by field name of `Entity`."""

    def __init__(
        self, schema: Schema, device: Device, clocks: Clocks, send_digest: SendDigest
    ) -> None:
        self.schema = schema
        self.encoder = ActionEncoder(tuple(schema.actions.values()))
        self.packet_in = PacketInCodec(schema.packet_in)
        self.packet_out = PacketOutCodec(schema.packet_out)
        self.digests = DigestHandler(schema.digests, send_digest, clocks.monotonic, clocks.wall)
        cores = {table_id: device.table(info.name) for table_id, info in schema.tables.items()}
        profiles = {
            profile_id: self._profile(info, device) for profile_id, info in schema.profiles.items()
        }
        tables = {
            table_id: self._table(info, cores[table_id], profiles)
            for table_id, info in schema.tables.items()
        }
        self.tables = tables
        self.idle = IdleScanner(tables.values(), clocks.monotonic, clocks.wall)
        self.handlers: dict[str, EntityHandler[Any]] = {
            "action_profile_member": MemberHandler(profiles),
            "action_profile_group": GroupHandler(profiles),
            "table_entry": TableEntryHandler(tables),
            "direct_counter_entry": DirectCounterHandler(tables, cores),
            "direct_meter_entry": DirectMeterHandler(tables, cores),
            "counter_entry": CounterHandler(
                schema.counters,
                {i: device.counter_array(info.name) for i, info in schema.counters.items()},
            ),
            "meter_entry": MeterHandler(
                schema.meters,
                {i: device.meter_array(info.name) for i, info in schema.meters.items()},
            ),
            "register_entry": RegisterHandler(schema.registers),
            "packet_replication_engine_entry": ReplicationHandler(device),
            "digest_entry": self.digests,
        }

    def _profile(self, info: ProfileInfo, device: Device) -> Profile:
        codec = ActionCodec(str(info), self._profile_actions(info))
        return Profile(info, device.action_profile(info.name), codec, self.encoder)

    def _profile_actions(self, info: ProfileInfo) -> tuple[ActionRef, ...]:
        """Members take the actions of the tables that use the profile; the tables agree on them."""
        for table_id in info.table_ids:
            return self.schema.tables[table_id].actions
        return ()

    def _table(self, info: TableInfo, core: Table, profiles: dict[int, Profile]) -> TableHandler:
        codec = ActionCodec(str(info), info.actions)
        default = DefaultEntry(info, core, codec, self.encoder)
        actions: TableActions
        if info.profile_id:
            actions = ProfileActions(str(info), profiles[info.profile_id])
        else:
            actions = DirectActions(str(info), codec, self.encoder)
        return TableHandler(info, core, actions, self.encoder, default)
