"""Action profiles and selectors.

A member is a slot, a list that holds its row; a group is a list of such slots, one per weight.
Entries point to these lists, so a changed member or group is at once what packets see.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p4esp.switch.entries import ActionCall, ErrorCode, GroupRef, MemberRef, TableError
from p4esp.switch.program import ProfileSpec
from p4esp.switch.runtime.calls import CallCodec
from p4esp.switch.runtime.stores import Row

Slot = list[Row]


@dataclass(slots=True)
class _Group:
    slots: list[Slot]
    members: tuple[tuple[int, int], ...]
    max_size: int


class Profile:
    """Members and groups of one action profile; ids are the controller's."""

    def __init__(self, spec: ProfileSpec, codec: CallCodec) -> None:
        self.spec = spec
        self._codec = codec
        self._members: dict[int, Slot] = {}
        self._lone: dict[int, list[Slot]] = {}
        self._groups: dict[int, _Group] = {}
        self._used: Counter[MemberRef | GroupRef] = Counter()

    # ------------------------------------------------------------ members

    def insert_member(self, member_id: int, action: ActionCall) -> None:
        """Adds a member; ALREADY_EXISTS, RESOURCE_EXHAUSTED when the profile is full."""
        if member_id in self._members:
            raise self._error(ErrorCode.ALREADY_EXISTS, f"member {member_id} exists")
        if len(self._members) >= self.spec.size:
            raise self._error(ErrorCode.RESOURCE_EXHAUSTED, f"all {self.spec.size} members taken")
        self._members[member_id] = [self._codec.row(action)]
        self._lone[member_id] = [self._members[member_id]]

    def modify_member(self, member_id: int, action: ActionCall) -> None:
        """Replaces a member's action wherever it is used."""
        self._member(member_id)[0] = self._codec.row(action)

    def delete_member(self, member_id: int) -> None:
        """Removes a member; FAILED_PRECONDITION while an entry or a group uses it."""
        self._member(member_id)
        self._refuse_if_used(MemberRef(member_id), f"member {member_id}")
        del self._members[member_id], self._lone[member_id]

    def members(self) -> Iterator[tuple[int, ActionCall]]:
        """All members: (id, action)."""
        return iter([(i, self._codec.call(slot[0])) for i, slot in self._members.items()])

    # ------------------------------------------------------------ groups

    def insert_group(
        self, group_id: int, members: Sequence[tuple[int, int]], max_size: int = 0
    ) -> None:
        """Adds a group of (member id, weight); NOT_FOUND for an unknown member."""
        if not self.spec.selector:
            raise self._error(ErrorCode.INVALID_ARGUMENT, "has no selector, so no groups")
        if group_id in self._groups:
            raise self._error(ErrorCode.ALREADY_EXISTS, f"group {group_id} exists")
        slots = self._slots(members, max_size)
        self._groups[group_id] = _Group(slots, tuple(members), max_size)
        self._used.update(MemberRef(m) for m, _ in members)

    def modify_group(
        self, group_id: int, members: Sequence[tuple[int, int]], max_size: int = 0
    ) -> None:
        """Replaces a group's members wherever it is used."""
        group = self._group(group_id)
        slots = self._slots(members, max_size)
        self._used.subtract(MemberRef(m) for m, _ in group.members)
        self._used.update(MemberRef(m) for m, _ in members)
        group.slots[:] = slots
        group.members, group.max_size = tuple(members), max_size

    def delete_group(self, group_id: int) -> None:
        """Removes a group; FAILED_PRECONDITION while an entry uses it."""
        group = self._group(group_id)
        self._refuse_if_used(GroupRef(group_id), f"group {group_id}")
        self._used.subtract(MemberRef(m) for m, _ in group.members)
        del self._groups[group_id]

    def groups(self) -> Iterator[tuple[int, tuple[tuple[int, int], ...], int]]:
        """All groups: (id, members with weights, maximum size)."""
        return iter([(i, g.members, g.max_size) for i, g in self._groups.items()])

    # ------------------------------------------------------------ for tables

    def slots(self, reference: MemberRef | GroupRef) -> list[Slot]:
        """What an entry's row holds for a reference; NOT_FOUND if there is no such thing."""
        if isinstance(reference, GroupRef):
            return self._group(reference.group_id).slots
        self._member(reference.member_id)
        return self._lone[reference.member_id]

    def reference(self, slots: list[Slot]) -> MemberRef | GroupRef:
        """The reference whose slots these are."""
        for member_id, lone in self._lone.items():
            if lone is slots:
                return MemberRef(member_id)
        return GroupRef(next(i for i, g in self._groups.items() if g.slots is slots))

    def acquire(self, reference: MemberRef | GroupRef) -> None:
        """An entry uses the reference from now on."""
        self._used[reference] += 1

    def release(self, reference: MemberRef | GroupRef) -> None:
        """An entry no longer uses the reference."""
        self._used[reference] -= 1

    # ------------------------------------------------------------ helpers

    def _slots(self, members: Sequence[tuple[int, int]], max_size: int) -> list[Slot]:
        if max_size and sum(weight for _, weight in members) > max_size:
            raise self._error(ErrorCode.RESOURCE_EXHAUSTED, f"group above its size {max_size}")
        if any(weight < 1 for _, weight in members):
            raise self._error(ErrorCode.INVALID_ARGUMENT, "weights are at least 1")
        return [self._member(m) for m, weight in members for _ in range(weight)]

    def _member(self, member_id: int) -> Slot:
        if member_id not in self._members:
            raise self._error(ErrorCode.NOT_FOUND, f"no member {member_id}")
        return self._members[member_id]

    def _group(self, group_id: int) -> _Group:
        if group_id not in self._groups:
            raise self._error(ErrorCode.NOT_FOUND, f"no group {group_id}")
        return self._groups[group_id]

    def _refuse_if_used(self, reference: MemberRef | GroupRef, what: str) -> None:
        if self._used[reference] > 0:
            raise self._error(ErrorCode.FAILED_PRECONDITION, f"{what} is in use")

    def _error(self, code: ErrorCode, text: str) -> TableError:
        return TableError(code, f"action profile {self.spec.name}: {text}")
