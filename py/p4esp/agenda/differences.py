"""What is different between a run without an item of the agenda and one with it, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any, Final

from p4esp.agenda.model import Evidence, Message
from p4esp.controller.entries import Entry
from p4esp.ike.constants import NotifyType
from p4esp.ike.ppk import PpkMode

_USUAL: Final = {"mode": "tunnel", "format": "esp", "esn": False, "udp": False}
_USUAL_EXTENSIONS: Final = frozenset((NotifyType.IKE_SA_INIT_FULL_TRANSCRIPT_AUTH.name,))
"""Those that are on unless they are switched off."""
_ALWAYS: Final = frozenset(("resource", "dscps", "label"))


def agreed_on(evidence: Evidence) -> list[str]:
    """What is unusual about the IKE SA and about the first child SA."""
    ike = next(iter(evidence.ike.get("left", ())), None)
    child = next(iter(evidence.children.get("left", ())), None)
    return [*(_of_ike(ike) if ike else ()), *(_of_child(child) if child else ())]


def _of_ike(ike: dict[str, Any]) -> Iterator[str]:
    yield from (name for name in ike["extensions"] if name not in _USUAL_EXTENSIONS)
    if ike["ppk"] != PpkMode.NONE:
        yield f"PPK {ike['ppk_id']} by RFC {ike['ppk']}"


def _of_child(child: dict[str, Any]) -> Iterator[str]:
    for key, value in child.items():
        if key in _ALWAYS or _USUAL.get(key, value) != value:
            yield f"{key} {value}"


_TOLD: Final = ("mode", "format")
"""Arguments that are told."""


def wire_changes(before: Evidence, after: Evidence) -> list[str]:
    """Messages that are new, gone, or hold other payloads."""
    names = dict.fromkeys(message.name for message in (*before.messages, *after.messages))
    return [line for name in names for line in _of_exchange(name, before, after)]


def _of_exchange(name: str, before: Evidence, after: Evidence) -> Iterator[str]:
    pairs = zip_longest(before.messages_of(name), after.messages_of(name))
    for number, (old, new) in enumerate(pairs, 1):
        change = _of_message(old, new)
        if change:
            yield f"{name}{f' #{number}' if number > 1 else ''}: {change}"


def _of_message(old: Message | None, new: Message | None) -> str:
    if new is None:
        return "is gone"
    if old is None:
        return f"is new, {new.octets} octets: {' '.join(new.payloads)}"
    changes = [*_payload_changes(old.payloads, new.payloads), *_size_change(old, new)]
    return ", ".join(changes)


def _payload_changes(old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    yield from (f"+{name}" for name in (Counter(new) - Counter(old)).elements())
    yield from (f"-{name}" for name in (Counter(old) - Counter(new)).elements())


def _size_change(old: Message, new: Message) -> Iterator[str]:
    if old.octets != new.octets:
        yield f"{old.octets} -> {new.octets} octets"


def table_changes(before: Evidence, after: Evidence) -> list[str]:
    """Tables that have more entries, fewer, or ones with other actions."""
    return [
        f"{gateway}: {line}"
        for gateway in after.tables
        for line in _of_tables(before.tables[gateway], after.tables[gateway])
    ]


def _of_tables(before: Sequence[Entry], after: Sequence[Entry]) -> Iterator[str]:
    old, new = Counter(map(_kind, before)), Counter(map(_kind, after))
    for kind in sorted(old.keys() | new.keys()):
        if old[kind] != new[kind]:
            yield f"{kind} {old[kind]} -> {new[kind]}"


def _kind(entry: Entry) -> str:
    """With what an SA is like, where that is unusual."""
    args = dict(entry.args)
    unusual = [f" {name} {args[name]}" for name in _TOLD if args.get(name)]
    return f"{entry.table} {entry.action}{''.join(unusual)}"
