"""The SPD in the switch, a table for each family: rules of one version, and the flip that makes the
version count.

A rule covers both directions: clear packets from the protected side, and, mirrored, clear packets
from outside, which the pipeline drops where a rule wants them protected (RFC 4301 5.2).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from p4esp.controller import tables
from p4esp.controller.entries import Entry, Op, Update, deletes, inserts
from p4esp.controller.errors import ControllerError
from p4esp.controller.fragment_rules import Pair, unseen_by
from p4esp.controller.labels import LabelNumber, no_labels
from p4esp.controller.numbers import SIZE_SPD, Role
from p4esp.controller.policy_ids import PolicyIds
from p4esp.controller.selectors import packet_matches
from p4esp.controller.tables import PacketMatch
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.policy import Action, PolicyRule
from p4esp.ipsec.selectors import TrafficSelector

VERSIONS = 256
NO_LABELS: Final[Mapping[bytes, int]] = {b"": 0}


class PolicyTooLargeError(ControllerError):
    """The rules do not fit; the text says how many there are, and how many are accepted."""


def spd_entries(
    rules: Sequence[PolicyRule],
    policy_ids: Mapping[str, int],
    version: int,
    labels: Mapping[bytes, int] = NO_LABELS,
) -> list[Entry]:
    """The rules as entries of one version. Among rules of one priority the first one wins.

    `labels`: the numbers of their security labels.
    """
    ranked = sorted(rules, key=lambda rule: -rule.priority)
    return [
        entry
        for role in (Role.PROTECTED, Role.UNPROTECTED)
        for entry in _seen_from(role, ranked, policy_ids, (version, labels))
    ]


def _seen_from(
    role: Role,
    ranked: Sequence[PolicyRule],
    policy_ids: Mapping[str, int],
    numbering: tuple[int, Mapping[bytes, int]],
) -> Iterator[Entry]:
    """The rules for clear packets of one side. Those of our site have labels, and a rule is for
    those of one. From outside none has: there a rule is for all, but not one that lets packets of a
    label pass, for these are none.
    """
    version, labels = numbering
    inside = role is Role.PROTECTED
    rules = ranked if inside else [rule for rule in ranked if not _passes_label(rule)]
    for rank, (rule, kept) in enumerate(zip(rules, unseen_by(rules, by_label=inside), strict=True)):
        place = (version, role, len(rules) - rank, labels[rule.label])
        yield from _entries(rule, kept, policy_ids, place)


def _passes_label(rule: PolicyRule) -> bool:
    return rule.action is Action.BYPASS and bool(rule.label)


def _entries(
    rule: PolicyRule,
    kept: Iterable[Pair],
    policy_ids: Mapping[str, int],
    place: tuple[int, Role, int, int],
) -> Iterator[Entry]:
    """One rule in a version, of a role, at a priority and for a label, and the fragments kept from
    the rules below.
    """
    version, role, priority, label = place
    for match in _matches(role, rule.local, rule.remote):
        yield _entry(rule, policy_ids, (version, role, match, priority), label)
    for local, remote in kept:
        for match in _matches(role, [local], [remote]):
            yield tables.spd_discard_unseen(version, role, match, priority, label=label)


def _matches(
    role: Role, local: Sequence[TrafficSelector], remote: Sequence[TrafficSelector]
) -> list[PacketMatch]:
    inside = role is Role.PROTECTED
    return packet_matches(local, remote) if inside else packet_matches(remote, local)


def _entry(
    rule: PolicyRule,
    policy_ids: Mapping[str, int],
    place: tuple[int, Role, PacketMatch, int],
    label: int,
) -> Entry:
    if rule.action is Action.PROTECT:
        return tables.spd_protect(*place, policy=policy_ids[rule.name], label=label)
    make = tables.spd_bypass if rule.action is Action.BYPASS else tables.spd_discard
    return make(*place, label=label)


class PolicyTable:
    """The SPD of one switch."""

    def __init__(
        self, writer: TableWriter, ids: PolicyIds, label_number: LabelNumber = no_labels
    ) -> None:
        self._writer = writer
        self._ids = ids
        self._label_number = label_number
        self._version = 0
        self._entries: list[Entry] = []

    def adopt(self, version: int, entries: Sequence[Entry]) -> None:
        """Start from what a switch holds."""
        self._version = version
        self._entries = list(entries)

    async def install(self, rules: Sequence[PolicyRule]) -> None:
        """Replace all rules, atomically to packets: new entries, one flip, old entries go.

        Nothing is written when the switch holds these rules already. For a moment it holds the old
        rules and the new ones: PolicyTooLargeError when they do not fit together; the old ones
        stay in force then.
        """
        ids = self._numbers(rules)
        labels = {rule.label: self._label_number(rule.label) for rule in rules}
        await self._drop_leftovers()
        if set(spd_entries(rules, ids, self._version, labels)) != set(self._entries):
            version = (self._version + 1) % VERSIONS
            await self._switch_to(version, spd_entries(rules, ids, version, labels))
        self._ids.keep(ids)

    async def _drop_leftovers(self) -> None:
        """Delete what a replacement that was cut off has left: rules that are not in force."""
        in_force = (self._version, 0xFF)
        leftover = [entry for entry in self._entries if entry.field("version") != in_force]
        await self._writer.write(deletes(leftover))
        self._entries = [entry for entry in self._entries if entry.field("version") == in_force]

    async def _switch_to(self, version: int, entries: list[Entry]) -> None:
        _require_room(entries, self._entries)
        self._entries = [*self._entries, *entries]
        await self._writer.write(inserts(entries))
        await self._writer.write([Update(Op.MODIFY, tables.policy_version(version))])
        self._version = version
        await self._drop_leftovers()

    def _numbers(self, rules: Sequence[PolicyRule]) -> dict[str, int]:
        protect = (rule.name for rule in rules if rule.action is Action.PROTECT)
        return {name: self._ids.of(name) for name in protect}


def _require_room(entries: Iterable[Entry], in_force: Iterable[Entry]) -> None:
    wanted, present = (Counter(entry.table for entry in items) for items in (entries, in_force))
    for table, new in wanted.items():
        _require_room_in(table, new, present[table])


def _require_room_in(table: str, new: int, old: int) -> None:
    if new + old > SIZE_SPD:
        beside = f" beside the {old} that are in force" if old else ""
        raise PolicyTooLargeError(
            f"{table}: {new} entries do not fit{beside}; accepted: {SIZE_SPD - old}"
            + (" (a switch that starts afresh takes more)" if old else "")
        )
