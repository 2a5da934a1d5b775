"""Entries on the wire are what finsy, which nobody here wrote, makes of the same names."""

from pathlib import Path

import pytest
from bench.entries import Entry, Value, gateway_entries, sa_entries
from bench.p4runtime import BATCH, EntryEncoder, write_requests
from finsy import Match, P4Schema, P4TableAction, P4TableEntry
from finsy.proto import p4r

P4INFO = Path(__file__).parents[3] / "bmv2-configs" / "esp_gateway.p4info.txtpb"
SCHEMA = P4Schema(P4INFO)
ENTRIES = [*gateway_entries(), *sa_entries(3)]


def by_finsy(entry: Entry) -> p4r.TableEntry:
    match: dict[str, Value] = dict(entry.match)
    finsy_entry = P4TableEntry(
        entry.table,
        match=Match(match) if match else None,
        action=P4TableAction(entry.action, **entry.args),
        priority=entry.priority,
        is_default_action=entry.default,
    )
    return finsy_entry.encode(SCHEMA).table_entry


def canonical(entry: p4r.TableEntry) -> tuple[object, ...]:
    fields = sorted(field.SerializeToString() for field in entry.match)
    params = sorted(param.SerializeToString() for param in entry.action.action.params)
    action = entry.action.action.action_id
    return entry.table_id, fields, action, params, entry.priority, entry.is_default_action


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.table)
def test_an_entry_is_encoded_as_finsy_encodes_it(entry: Entry) -> None:
    assert canonical(EntryEncoder(P4INFO).encode(entry)) == canonical(by_finsy(entry))


def test_an_entry_names_every_parameter_of_its_action() -> None:
    for entry in ENTRIES:
        params = {param.name for param in SCHEMA.actions[entry.action].params}
        assert set(entry.args) == params, entry.action


def test_requests_hold_all_updates_in_order() -> None:
    encoder = EntryEncoder(P4INFO)
    updates = [encoder.insert(entry) for entry in sa_entries(400)]
    requests = [p4r.WriteRequest.FromString(data) for data in write_requests(updates)]
    assert [len(request.updates) for request in requests] == [BATCH, 600]
    assert [update for request in requests for update in request.updates] == updates
