"""The embedded switch in this process, with the gateway loaded and filled."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable

from bench.entries import Entry, KeyOf, Value, gateway_entries, sa_entries
from bench.packets import Traffic
from bench.session import Session
from bench.topology import default_key
from p4esp.switch.device import Device
from p4esp.switch.entries import ActionCall, Exact, Lpm, Match, Range, TableEntry, Ternary
from p4esp.switch.program import ActionSpec, KeySpec, MatchKind, TableSpec


class WrongWayError(Exception):
    """A packet did not come out where it must; measuring would mean nothing."""


def new_device(session: Session) -> Device:
    """A switch that runs the gateway program, its tables empty."""
    device = Device(time.monotonic_ns, random.Random(1))
    device.load(session.program.read_bytes())
    return device


def gateway_device(
    session: Session, sas: int, seal_key: KeyOf = default_key, open_key: KeyOf = default_key
) -> Device:
    """A working gateway with that many SAs."""
    device = new_device(session)
    fill(device, gateway_entries())
    fill(device, sa_entries(sas, seal_key, open_key))
    return device


def fill(device: Device, entries: Iterable[Entry]) -> None:
    """Writes entries straight into the switch, without P4Runtime."""
    program = device.program
    assert program is not None, "a program is loaded"
    for entry in entries:
        table, spec = device.table(entry.table), program.tables[entry.table]
        action = _action_call(spec, entry)
        if entry.default:
            table.set_default(action)
        else:
            table.insert(TableEntry(_match(spec, entry), action, entry.priority))


def check_way(device: Device, traffic: Traffic) -> None:
    """Sends one round and checks that each packet leaves once, by the right port.

    Raises `WrongWayError` with the first packet that does not. Round 0 is used up.
    """
    for number, frame in enumerate(traffic.round(0)):
        ports = [port for port, _ in device.process(traffic.port, frame)]
        if ports != [traffic.egress]:
            raise WrongWayError(
                f"packet {number} entered port {traffic.port} and left by {ports or 'none'}, "
                f"not by {traffic.egress}"
            )


def _action_call(spec: TableSpec, entry: Entry) -> ActionCall:
    action = _action(spec, entry.action)
    return ActionCall(action.name, tuple(entry.args[param.name] for param in action.params))


def _action(spec: TableSpec, name: str) -> ActionSpec:
    return next(action for action in spec.actions if action.name == name)


def _match(spec: TableSpec, entry: Entry) -> tuple[Match | None, ...]:
    return tuple(_key_match(key, entry.match.get(key.name)) for key in spec.keys)


def _key_match(key: KeySpec, value: Value | None) -> Match | None:
    if value is None:
        return None
    if isinstance(value, int):
        return Exact(value)
    kinds: dict[MatchKind, type[Lpm | Ternary | Range]] = {
        MatchKind.LPM: Lpm,
        MatchKind.TERNARY: Ternary,
        MatchKind.RANGE: Range,
    }
    return kinds[key.kind](*value)
