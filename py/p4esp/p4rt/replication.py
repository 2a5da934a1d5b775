"""Packet replication: clone sessions and multicast groups (section 9.5).

Only clients write these, so the message as written is kept and read back: class of service,
opaque metadata and the kind of port field come back as they were.
"""

from collections.abc import Iterable, Iterator

from finsy.proto import p4r

from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.handler import AddEntity, check_update_type, first_entity
from p4esp.switch.device import Device
from p4esp.switch.entries import TableError

PORT_LIMIT = 1 << 9
INSTANCE_LIMIT = 1 << 16

Replicas = tuple[tuple[int, int], ...]


class ReplicationHandler:
    """`PacketReplicationEngineEntry`: clone sessions and multicast groups of one device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._clones: dict[int, p4r.PacketReplicationEngineEntry] = {}
        self._groups: dict[int, p4r.PacketReplicationEngineEntry] = {}

    def write(self, update_type: int, entity: p4r.PacketReplicationEngineEntry) -> None:
        """INSERT, MODIFY or DELETE a clone session or multicast group."""
        check_update_type(update_type)
        store, object_id, where = self._find(entity)
        if not object_id:
            invalid(f"{where}: id 0 is the wildcard of reads; accepted: 1 or more")
        _check_existence(where, update_type, object_id in store)
        try:
            self._apply(update_type, entity, where)
        except TableError as error:
            raise P4RuntimeError.from_table_error(error, where) from None
        if update_type == p4r.Update.DELETE:
            del store[object_id]
        else:
            store[object_id] = p4r.PacketReplicationEngineEntry()
            store[object_id].CopyFrom(entity)

    def read(self, query: p4r.PacketReplicationEngineEntry, add: AddEntity) -> Iterator[None]:
        """One session or group, or all of its kind when the id is 0."""
        store, wanted, _ = self._find(query)
        for object_id, entry in store.items():
            if wanted in (0, object_id):
                add().packet_replication_engine_entry.CopyFrom(entry)
                yield

    def snapshot(self, entity: p4r.PacketReplicationEngineEntry) -> p4r.Entity | None:
        """The session or group as it is now."""
        return first_entity(self.read, entity)

    def object_id(self, entity: p4r.PacketReplicationEngineEntry) -> int:
        """Replication entries have no P4 object id."""
        return 0

    def _find(
        self, entity: p4r.PacketReplicationEngineEntry
    ) -> tuple[dict[int, p4r.PacketReplicationEngineEntry], int, str]:
        match entity.WhichOneof("type"):
            case "clone_session_entry":
                object_id = entity.clone_session_entry.session_id
                return self._clones, object_id, f"clone session {object_id}"
            case "multicast_group_entry":
                object_id = entity.multicast_group_entry.multicast_group_id
                return self._groups, object_id, f"multicast group {object_id}"
            case _:
                invalid(
                    "packet replication: no entry is set; "
                    "accepted: clone_session_entry, multicast_group_entry"
                )

    def _apply(
        self, update_type: int, entity: p4r.PacketReplicationEngineEntry, where: str
    ) -> None:
        deleting = update_type == p4r.Update.DELETE
        if entity.HasField("clone_session_entry"):
            self._apply_clone(entity.clone_session_entry, where, deleting)
        else:
            self._apply_group(entity.multicast_group_entry, where, deleting)

    def _apply_clone(self, session: p4r.CloneSessionEntry, where: str, deleting: bool) -> None:
        if deleting:
            self._device.delete_clone_session(session.session_id)
            return
        length = session.packet_length_bytes
        if length < 0:
            invalid(f"{where}: packet_length_bytes {length} is negative")
        replicas = _decode_replicas(where, session.replicas)
        self._device.set_clone_session(session.session_id, replicas, length)

    def _apply_group(self, group: p4r.MulticastGroupEntry, where: str, deleting: bool) -> None:
        if deleting:
            self._device.delete_multicast_group(group.multicast_group_id)
            return
        replicas = _decode_replicas(where, group.replicas)
        self._device.set_multicast_group(group.multicast_group_id, replicas)


def _check_existence(where: str, update_type: int, exists: bool) -> None:
    if update_type == p4r.Update.INSERT and exists:
        raise P4RuntimeError(Code.ALREADY_EXISTS, f"{where}: it exists; use MODIFY to change it")
    if update_type != p4r.Update.INSERT and not exists:
        raise P4RuntimeError(Code.NOT_FOUND, f"{where}: it does not exist")


def _decode_replicas(where: str, replicas: Iterable[p4r.Replica]) -> Replicas:
    decoded = tuple(_decode_replica(where, replica) for replica in replicas)
    if len(set(decoded)) != len(decoded):
        invalid(f"{where}: a (port, instance) pair is listed twice; accepted: once")
    return decoded


def _decode_replica(where: str, replica: p4r.Replica) -> tuple[int, int]:
    """Egress port and instance; the port as bytes or in the deprecated integer field."""
    if replica.backup_replicas:
        raise P4RuntimeError(Code.UNIMPLEMENTED, f"{where}: backup replicas are not supported")
    port = int.from_bytes(replica.port) if replica.port else replica.egress_port
    if port >= PORT_LIMIT:
        invalid(f"{where}: egress port {port} is out of range; accepted: 0..{PORT_LIMIT - 1}")
    if replica.instance >= INSTANCE_LIMIT:
        invalid(f"{where}: instance {replica.instance}; accepted: 0..{INSTANCE_LIMIT - 1}")
    return port, replica.instance
