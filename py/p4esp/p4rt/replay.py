"""Carries the forwarding state that clients wrote from one pipeline to another (COMMIT)."""

from finsy.proto import p4r

from p4esp.p4rt.entities import Entities

_INSERTED = (
    "action_profile_member",
    "action_profile_group",
    "packet_replication_engine_entry",
    "digest_entry",
)
"""Kinds of entity that exist only because a client inserted them, members before groups."""


def replay_state(source: Entities, target: Entities) -> None:
    """Write everything that clients wrote to `source` into the freshly loaded `target`."""
    for kind in _INSERTED:
        for entity in _read_all(source, kind):
            target.handlers[kind].write(p4r.Update.INSERT, getattr(entity, kind))
    for table_id in source.tables:
        _replay_table(source, target, table_id)
    for kind in ("counter_entry", "meter_entry"):
        for entity in _read_all(source, kind):
            target.handlers[kind].write(p4r.Update.MODIFY, getattr(entity, kind))


def _replay_table(source: Entities, target: Entities, table_id: int) -> None:
    old, new = source.tables[table_id], target.tables[table_id]
    if not old.info.is_const:
        for initial in list(new.entries()):
            message = p4r.TableEntry()
            new.fill_key(message, initial)
            new.delete(message)
        for entry in old.entries():
            message = p4r.TableEntry()
            old.fill(message, entry)
            old.direct.fill_all(message, entry)
            new.insert(message)
    default = old.default.snapshot().table_entry
    if not (old.info.has_const_default or old.info.profile_id) and default.HasField("action"):
        default.is_const = False
        new.default.write(p4r.Update.MODIFY, default)


def _read_all(source: Entities, kind: str) -> list[p4r.Entity]:
    found: list[p4r.Entity] = []

    def add() -> p4r.Entity:
        found.append(p4r.Entity())
        return found[-1]

    queries = _PRE_QUERIES if kind == "packet_replication_engine_entry" else (p4r.Entity(),)
    for query in queries:
        for _ in source.handlers[kind].read(getattr(query, kind), add):
            pass
    return found


def _replication_query(kind: str) -> p4r.Entity:
    """A wildcard read of one kind of replication entry: the kind is set, the id stays 0."""
    query = p4r.Entity()
    getattr(query.packet_replication_engine_entry, kind).SetInParent()
    return query


_PRE_QUERIES = (
    _replication_query("clone_session_entry"),
    _replication_query("multicast_group_entry"),
)
