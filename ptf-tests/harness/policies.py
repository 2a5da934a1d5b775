"""The outbound rules that the switch holds, as the invariants know policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Final

from finsy import P4TableAction, P4TableEntry
from p4esp.invariants import Policy, Verdict

from harness.ids import Role

ANYWHERE: Final = {"spd": IPv4Network("0.0.0.0/0"), "spd_v6": IPv6Network("::/0")}
ANY_PORT: Final = (0, 0xFFFF)


class SpdMirror:
    """Entries of ``spd`` and ``spd_v6`` by their key, and the version in force."""

    def __init__(self) -> None:
        self._entries: dict[bytes, P4TableEntry] = {}
        self._version = 0

    def present(self, entries: Mapping[bytes, P4TableEntry]) -> bool:
        """Entries were written; whether any of them matters to policy."""
        versions = [e for e in entries.values() if e.table_id == "policy_version"]
        rules = {key: e for key, e in entries.items() if e.table_id in ANYWHERE}
        for entry in versions:
            self._version = _action(entry).args["version"]
        self._entries.update(rules)
        return bool(versions or rules)

    def absent(self, keys: Sequence[bytes]) -> bool:
        """Entries were deleted; whether any of them mattered to policy."""
        gone = self._entries.keys() & set(keys)
        for key in gone:
            del self._entries[key]
        return bool(gone)

    def outbound(self) -> list[Policy]:
        """Rules for packets from the protected side, the highest priority first."""
        ranked = sorted(self._entries.values(), key=lambda entry: -entry.priority)
        return [
            _policy(entry, entry.match or {})
            for entry in ranked
            if _is_outbound(entry.match or {}, self._version)
        ]


def _is_outbound(match: Mapping[str, Any], version: int) -> bool:
    outbound = match.get("role", Role.PROTECTED) == Role.PROTECTED
    return bool(outbound and match.get("version", version) == version)


def _policy(entry: P4TableEntry, match: Mapping[str, Any]) -> Policy:
    l4_known, anywhere = match.get("l4_known"), ANYWHERE[entry.table_id]
    return Policy(
        _verdict(_action(entry).name),
        match.get("src", anywhere),
        match.get("dst", anywhere),
        match.get("protocol"),
        match.get("sport", ANY_PORT),
        match.get("dport", ANY_PORT),
        None if l4_known is None else bool(l4_known),
    )


def _verdict(action: str) -> Verdict:
    return Verdict.DISCARD if action == "discard_unseen" else Verdict(action)


def _action(entry: P4TableEntry) -> P4TableAction:
    assert isinstance(entry.action, P4TableAction)
    return entry.action
