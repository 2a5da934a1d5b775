"""What an entry of a table may point to: an action, or a member, group or set of its profile."""

from typing import Protocol

from finsy.proto import p4r

from p4esp.p4rt.actions import ActionCodec, ActionEncoder
from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.oneshot import FIRST_HIDDEN_ID
from p4esp.p4rt.profiles import Profile
from p4esp.switch.entries import ActionCall, GroupRef, MemberRef, TableAction


class TableActions(Protocol):
    """Codec of `TableEntry.action` for one table."""

    owns_groups: bool

    def decode(self, action: p4r.TableAction) -> TableAction:
        """The action of an entry; a one-shot action set creates its hidden group here."""

    def encode(self, message: p4r.TableAction, action: TableAction) -> None:
        """Fill `message` as the client wrote it."""

    def release(self, action: TableAction) -> None:
        """Drop what `decode` created for `action`, once no entry uses it any more."""


class DirectActions:
    """A table without implementation property: entries carry the action itself."""

    owns_groups = False

    def __init__(self, where: str, codec: ActionCodec, encoder: ActionEncoder) -> None:
        self._where = where
        self._codec = codec
        self._encoder = encoder

    def decode(self, action: p4r.TableAction) -> ActionCall:
        """The call; member and group references are INVALID_ARGUMENT."""
        call = action.action
        if not call.action_id and not action.HasField("action"):
            invalid(f"{self._where}: entry has {_kind(action)}; accepted: action")
        return self._codec.decode(call)

    def encode(self, message: p4r.TableAction, action: TableAction) -> None:
        """Fill `message.action`."""
        assert isinstance(action, ActionCall)
        self._encoder.encode(message.action, action)

    def release(self, action: TableAction) -> None:
        """A plain call owns nothing."""


class ProfileActions:
    """A table implemented by an action profile or selector."""

    owns_groups = True

    def __init__(self, where: str, profile: Profile) -> None:
        self._where = where
        self._profile = profile

    def decode(self, action: p4r.TableAction) -> TableAction:
        """A reference to an existing member or group, or the hidden group of an action set."""
        match action.WhichOneof("type"):
            case "action_profile_member_id":
                return MemberRef(action.action_profile_member_id)
            case "action_profile_group_id":
                return self._group_ref(action.action_profile_group_id)
            case "action_profile_action_set":
                return self._profile.one_shots.create(action.action_profile_action_set)
            case _:
                invalid(
                    f"{self._where}: entry has {_kind(action)}; accepted: action_profile_member_id"
                    ", action_profile_group_id, action_profile_action_set"
                )

    def _group_ref(self, group_id: int) -> GroupRef:
        """The core says whether the group exists; hidden groups are not the client's."""
        if group_id >= FIRST_HIDDEN_ID:
            raise P4RuntimeError(Code.NOT_FOUND, f"{self._where}: no group {group_id}")
        return GroupRef(group_id)

    def encode(self, message: p4r.TableAction, action: TableAction) -> None:
        """Fill `message`; one-shot groups come back as the action set they were made from."""
        if isinstance(action, MemberRef):
            message.action_profile_member_id = action.member_id
        elif isinstance(action, GroupRef):
            action_set = self._profile.one_shots.get(action.group_id)
            if action_set is None:
                message.action_profile_group_id = action.group_id
            else:
                message.action_profile_action_set.CopyFrom(action_set)

    def release(self, action: TableAction) -> None:
        """Delete the hidden group of a one-shot action set."""
        if isinstance(action, GroupRef):
            self._profile.one_shots.release(action.group_id)


def _kind(action: p4r.TableAction) -> str:
    return action.WhichOneof("type") or "no action"
