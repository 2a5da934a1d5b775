"""A small blocking P4Runtime client that can send requests encoded beforehand.

finsy brings the messages and the p4info reader. Its own encoding takes longer than a switch needs
for the write, so entries are encoded here, once, before the clock starts.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import grpc
from finsy import P4Schema
from finsy.proto import p4r, p4r_grpc

from bench.entries import Entry, Value

DEVICE_ID = 1
TIMEOUT = 60.0
BATCH = 1000
ELECTION = p4r.Uint128(low=1)
# The servers come and go: reconnect at once instead of backing off.
CHANNEL_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 5),
    ("grpc.min_reconnect_backoff_ms", 5),
    ("grpc.max_reconnect_backoff_ms", 20),
    ("grpc.max_receive_message_length", 64 << 20),
)
WRITE = "/p4.v1.P4Runtime/Write"
READ = "/p4.v1.P4Runtime/Read"


class EntryEncoder:
    """Entries by name to P4Runtime messages, with the ids and match kinds of a p4info."""

    def __init__(self, p4info: Path) -> None:
        schema = P4Schema(p4info)
        self._tables = {table.alias: table for table in schema.tables}
        self._actions = {action.alias: action for action in schema.actions}
        self._params = {
            name: {param.name: param.id for param in action.params}
            for name, action in self._actions.items()
        }
        self._keys = {
            name: {field.alias: field for field in table.match_fields}
            for name, table in self._tables.items()
        }

    def encode(self, entry: Entry) -> p4r.TableEntry:
        """One entry."""
        message = p4r.TableEntry(
            table_id=self._tables[entry.table].id,
            priority=entry.priority,
            is_default_action=entry.default,
        )
        # In the order of the p4info, as P4Runtime clients commonly do.
        keys = self._keys[entry.table].items()
        message.match.extend(
            _match(key, entry.match[name]) for name, key in keys if name in entry.match
        )
        action = message.action.action
        action.action_id = self._actions[entry.action].id
        for name, number in self._params[entry.action].items():
            action.params.add(param_id=number, value=_octets(entry.args[name]))
        return message

    def insert(self, entry: Entry) -> p4r.Update:
        """An INSERT; a MODIFY for a default action, which is always there."""
        kind = p4r.Update.MODIFY if entry.default else p4r.Update.INSERT
        return self.update(kind, entry)

    def update(self, kind: p4r.Update.Type.ValueType, entry: Entry) -> p4r.Update:
        """An update of one entry."""
        return p4r.Update(type=kind, entity=p4r.Entity(table_entry=self.encode(entry)))

    def table_query(self, table: str) -> bytes:
        """A ReadRequest for all entries of a table, encoded."""
        wanted = p4r.TableEntry(table_id=self._tables[table].id)
        entity = p4r.Entity(table_entry=wanted)
        request = p4r.ReadRequest(device_id=DEVICE_ID, entities=[entity])
        return bytes(request.SerializeToString())


def write_requests(updates: Iterable[p4r.Update], batch: int = BATCH) -> Iterator[bytes]:
    """Encoded WriteRequests of `batch` updates each."""
    rest = iter(updates)
    while chunk := list(islice(rest, batch)):
        request = p4r.WriteRequest(device_id=DEVICE_ID, election_id=ELECTION, updates=chunk)
        yield request.SerializeToString()


class Client:
    """The primary controller of one switch."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
        self._stub = p4r_grpc.P4RuntimeStub(self._channel)
        self._requests: queue.SimpleQueue[p4r.StreamMessageRequest | None] = queue.SimpleQueue()
        # Without a serialiser, octets go out as they are.
        self._write = self._channel.unary_unary(WRITE)
        self._read = self._channel.unary_stream(READ)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self._requests.put(None)
        self._channel.close()

    def capabilities(self) -> str:
        """The version of the API, as soon as the server answers."""
        request = p4r.CapabilitiesRequest()
        answer = self._stub.Capabilities(request, timeout=TIMEOUT, wait_for_ready=True)
        return str(answer.p4runtime_api_version)

    def become_primary(self) -> None:
        """Opens the stream and wins the arbitration."""
        # Kept: a stream that nobody holds is cancelled.
        self._responses = self._stub.StreamChannel(iter(self._requests.get, None))
        update = p4r.MasterArbitrationUpdate(device_id=DEVICE_ID, election_id=ELECTION)
        self._requests.put(p4r.StreamMessageRequest(arbitration=update))
        answer = next(self._responses)
        if answer.arbitration.status.code:
            raise RuntimeError(f"not primary: {answer.arbitration.status.message}")

    def push(self, p4info: Path, program: Path) -> None:
        """Loads a program."""
        config = p4r.ForwardingPipelineConfig(
            p4info=P4Schema(p4info).p4info, p4_device_config=program.read_bytes()
        )
        request = p4r.SetForwardingPipelineConfigRequest(
            device_id=DEVICE_ID,
            election_id=ELECTION,
            action=p4r.SetForwardingPipelineConfigRequest.VERIFY_AND_COMMIT,
            config=config,
        )
        self._stub.SetForwardingPipelineConfig(request, timeout=TIMEOUT)

    def write_encoded(self, requests: Sequence[bytes]) -> None:
        """Sends WriteRequests, one after the other; grpc.RpcError when one is refused."""
        write = self._write
        for request in requests:
            write(request, timeout=TIMEOUT)

    def read_encoded(self, request: bytes) -> list[bytes]:
        """All responses to a ReadRequest, as they came."""
        return list(self._read(request, timeout=TIMEOUT))


def entities_in(responses: Iterable[bytes]) -> int:
    """How many entities a Read brought."""
    return sum(len(p4r.ReadResponse.FromString(response).entities) for response in responses)


def _match(key: Any, value: Value) -> p4r.FieldMatch:
    field = p4r.FieldMatch(field_id=key.id)
    if isinstance(value, int):
        field.exact.value = _octets(value)
    else:
        _set_pair(field, key.match_type.name, value)
    return field


def _set_pair(field: p4r.FieldMatch, kind: str, pair: tuple[int, int]) -> None:
    first, second = pair
    match kind:
        case "LPM":
            field.lpm.value, field.lpm.prefix_len = _octets(first), second
        case "TERNARY":
            field.ternary.value, field.ternary.mask = _octets(first), _octets(second)
        case "RANGE":
            field.range.low, field.range.high = _octets(first), _octets(second)
        case _:
            raise ValueError(f"field {field.field_id}: a pair {pair} for a {kind} key")


def _octets(value: int) -> bytes:
    """The shortest octet string of a number (P4Runtime 8.4)."""
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
