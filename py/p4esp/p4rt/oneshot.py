"""One-shot action sets (section 9.2.3): a group and its members behind one table entry.

The core knows only members and groups, so each set gets a hidden group and hidden members with
ids from FIRST_HIDDEN_ID up, which clients can neither use nor see. Reads return the original set.
"""

from collections.abc import Sequence

from finsy.proto import p4r

from p4esp.p4rt.actions import ActionCodec
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.schema import ProfileInfo
from p4esp.p4rt.weights import check_group_size, check_watch, check_weight
from p4esp.switch.entries import GroupRef, TableError
from p4esp.switch.runtime.profiles import Profile as CoreProfile

FIRST_HIDDEN_ID = 1 << 31


class OneShots:
    """The action sets of one profile."""

    def __init__(self, info: ProfileInfo, core: CoreProfile, codec: ActionCodec) -> None:
        self._info = info
        self._core = core
        self._codec = codec
        self._next_id = FIRST_HIDDEN_ID
        self._sets: dict[int, tuple[p4r.ActionProfileActionSet, tuple[int, ...]]] = {}

    def create(self, action_set: p4r.ActionProfileActionSet) -> GroupRef:
        """Install the members and the group of `action_set`, whole or not at all."""
        where = f"{self._info}, one-shot action set"
        weights = self._check(where, action_set)
        members: list[int] = []
        try:
            self._insert_members(members, action_set)
            group_id = self._new_id()
            self._core.insert_group(group_id, list(zip(members, weights, strict=True)), 0)
        except TableError as error:
            self._drop_members(members)
            raise P4RuntimeError.from_table_error(error, where) from None
        except P4RuntimeError:
            self._drop_members(members)
            raise
        stored = p4r.ActionProfileActionSet()
        stored.CopyFrom(action_set)
        self._sets[group_id] = (stored, tuple(members))
        return GroupRef(group_id)

    def get(self, group_id: int) -> p4r.ActionProfileActionSet | None:
        """The set behind a hidden group, None for a group of the client's own."""
        found = self._sets.get(group_id)
        return found[0] if found else None

    def release(self, group_id: int) -> None:
        """Remove the hidden group; groups of the client's own stay."""
        found = self._sets.pop(group_id, None)
        if found:
            self._core.delete_group(group_id)
            self._drop_members(found[1])

    def _check(self, where: str, action_set: p4r.ActionProfileActionSet) -> list[int]:
        if not self._info.has_selector:
            invalid(f"{where}: the profile has no selector; accepted: action_profile_member_id")
        if action_set.action_selection_mode or action_set.size_semantics:
            raise P4RuntimeError(
                Code.UNIMPLEMENTED,
                f"{where}: action_selection_mode and size_semantics are not supported",
            )
        weights = []
        for item in action_set.action_profile_actions:
            check_watch(where, item.watch, item.watch_port)
            weights.append(check_weight(self._info, where, item.weight))
        check_group_size(self._info, where, weights, self._info.max_group_size)
        return weights

    def _insert_members(self, members: list[int], action_set: p4r.ActionProfileActionSet) -> None:
        """Append the id of each member as it is inserted, so that a failure can undo them."""
        for item in action_set.action_profile_actions:
            member_id = self._new_id()
            self._core.insert_member(member_id, self._codec.decode(item.action))
            members.append(member_id)

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _drop_members(self, members: Sequence[int]) -> None:
        for member_id in members:
            self._core.delete_member(member_id)
