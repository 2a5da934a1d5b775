"""Action profile members and groups (section 9.2)."""

from collections.abc import Iterator, Mapping

from finsy.proto import p4r

from p4esp.p4rt.actions import ActionCodec, ActionEncoder
from p4esp.p4rt.errors import P4RuntimeError, invalid
from p4esp.p4rt.handler import AddEntity, check_update_type
from p4esp.p4rt.oneshot import FIRST_HIDDEN_ID, OneShots
from p4esp.p4rt.schema import ProfileInfo
from p4esp.p4rt.weights import check_group_size, check_watch, check_weight
from p4esp.switch.entries import ActionCall, TableError
from p4esp.switch.runtime.profiles import Profile as CoreProfile

Members = tuple[tuple[int, int], ...]


class Profile:
    """One action profile: what both entity kinds and the tables that use it share."""

    def __init__(
        self,
        info: ProfileInfo,
        core: CoreProfile,
        codec: ActionCodec,
        encoder: ActionEncoder,
    ) -> None:
        self.info = info
        self.core = core
        self.codec = codec
        self.encoder = encoder
        self.one_shots = OneShots(info, core, codec)

    def member(self, member_id: int) -> ActionCall | None:
        """The action of a member, None if there is no such member."""
        return dict(self.core.members()).get(member_id)

    def group(self, group_id: int) -> tuple[Members, int] | None:
        """Members with weights, and max size, of a group."""
        for found, members, max_size in self.core.groups():
            if found == group_id:
                return members, max_size
        return None


class MemberHandler:
    """`ActionProfileMember` entities of all profiles."""

    def __init__(self, profiles: Mapping[int, Profile]) -> None:
        self._profiles = profiles

    def write(self, update_type: int, entity: p4r.ActionProfileMember) -> None:
        """INSERT, MODIFY or DELETE one member."""
        check_update_type(update_type)
        profile = _find(self._profiles, entity.action_profile_id)
        where = f"{profile.info}, member {entity.member_id}"
        _check_client_id(where, entity.member_id)
        try:
            self._write(profile, update_type, entity, where)
        except TableError as error:
            raise P4RuntimeError.from_table_error(error, where) from None

    def _write(
        self, profile: Profile, update_type: int, entity: p4r.ActionProfileMember, where: str
    ) -> None:
        if update_type == p4r.Update.DELETE:
            profile.core.delete_member(entity.member_id)
            return
        if not entity.HasField("action"):
            invalid(f"{where}: action is missing")
        call = profile.codec.decode(entity.action)
        if update_type == p4r.Update.INSERT:
            profile.core.insert_member(entity.member_id, call)
        else:
            profile.core.modify_member(entity.member_id, call)

    def read(self, query: p4r.ActionProfileMember, add: AddEntity) -> Iterator[None]:
        """One member, all members of a profile, or all members (ids left at 0)."""
        for profile in _select(self._profiles, query.action_profile_id):
            for member_id, call in profile.core.members():
                if member_id < FIRST_HIDDEN_ID and query.member_id in (0, member_id):
                    _fill_member(profile, add().action_profile_member, member_id, call)
                    yield

    def snapshot(self, entity: p4r.ActionProfileMember) -> p4r.Entity | None:
        """The member as it is now."""
        profile = _find(self._profiles, entity.action_profile_id)
        call = profile.member(entity.member_id)
        if call is None:
            return None
        found = p4r.Entity()
        _fill_member(profile, found.action_profile_member, entity.member_id, call)
        return found

    def object_id(self, entity: p4r.ActionProfileMember) -> int:
        """The profile's id."""
        return entity.action_profile_id


class GroupHandler:
    """`ActionProfileGroup` entities of all profiles."""

    def __init__(self, profiles: Mapping[int, Profile]) -> None:
        self._profiles = profiles

    def write(self, update_type: int, entity: p4r.ActionProfileGroup) -> None:
        """INSERT, MODIFY or DELETE one group."""
        check_update_type(update_type)
        profile = _find(self._profiles, entity.action_profile_id)
        where = f"{profile.info}, group {entity.group_id}"
        _check_client_id(where, entity.group_id)
        if not profile.info.has_selector:
            invalid(f"{where}: the profile has no selector; accepted: members only")
        try:
            self._write(profile, update_type, entity, where)
        except TableError as error:
            raise P4RuntimeError.from_table_error(error, where) from None

    def _write(
        self, profile: Profile, update_type: int, entity: p4r.ActionProfileGroup, where: str
    ) -> None:
        if update_type == p4r.Update.DELETE:
            profile.core.delete_group(entity.group_id)
            return
        members = _decode_members(profile, entity, where)
        if update_type == p4r.Update.INSERT:
            profile.core.insert_group(entity.group_id, members, entity.max_size)
            return
        _check_same_max_size(profile, entity, where)
        profile.core.modify_group(entity.group_id, members, entity.max_size)

    def read(self, query: p4r.ActionProfileGroup, add: AddEntity) -> Iterator[None]:
        """One group, all groups of a profile, or all groups (ids left at 0)."""
        for profile in _select(self._profiles, query.action_profile_id):
            for group_id, members, max_size in profile.core.groups():
                if group_id < FIRST_HIDDEN_ID and query.group_id in (0, group_id):
                    message = add().action_profile_group
                    _fill_group(profile, message, group_id, members, max_size)
                    yield

    def snapshot(self, entity: p4r.ActionProfileGroup) -> p4r.Entity | None:
        """The group as it is now."""
        profile = _find(self._profiles, entity.action_profile_id)
        group = profile.group(entity.group_id)
        if group is None:
            return None
        found = p4r.Entity()
        _fill_group(profile, found.action_profile_group, entity.group_id, *group)
        return found

    def object_id(self, entity: p4r.ActionProfileGroup) -> int:
        """The profile's id."""
        return entity.action_profile_id


def _find(profiles: Mapping[int, Profile], profile_id: int) -> Profile:
    profile = profiles.get(profile_id)
    if profile is None:
        known = ", ".join(f"{p.info.profile_id:#x} ({p.info.name})" for p in profiles.values())
        invalid(f"action profile id {profile_id:#x} is unknown; accepted: {known}")
    return profile


def _select(profiles: Mapping[int, Profile], profile_id: int) -> list[Profile]:
    return [_find(profiles, profile_id)] if profile_id else list(profiles.values())


def _check_client_id(where: str, object_id: int) -> None:
    if not 0 < object_id < FIRST_HIDDEN_ID:
        invalid(f"{where}: the id is out of range; accepted: 1..{FIRST_HIDDEN_ID - 1}")


def _decode_members(profile: Profile, entity: p4r.ActionProfileGroup, where: str) -> Members:
    members = []
    for member in entity.members:
        place = f"{where}, member {member.member_id}"
        check_watch(place, member.watch, member.watch_port)
        members.append((member.member_id, check_weight(profile.info, place, member.weight)))
    if len(dict(members)) != len(members):
        invalid(f"{where}: a member is listed twice; use its weight instead")
    check_group_size(profile.info, where, [weight for _, weight in members], entity.max_size)
    return tuple(members)


def _check_same_max_size(profile: Profile, entity: p4r.ActionProfileGroup, where: str) -> None:
    group = profile.group(entity.group_id)
    if group is not None and group[1] != entity.max_size:
        invalid(f"{where}: max_size {entity.max_size} differs from {group[1]}, set at INSERT")


def _fill_member(
    profile: Profile, message: p4r.ActionProfileMember, member_id: int, call: ActionCall
) -> None:
    message.action_profile_id = profile.info.profile_id
    message.member_id = member_id
    profile.encoder.encode(message.action, call)


def _fill_group(
    profile: Profile,
    message: p4r.ActionProfileGroup,
    group_id: int,
    members: Members,
    max_size: int,
) -> None:
    message.action_profile_id = profile.info.profile_id
    message.group_id = group_id
    message.max_size = max_size
    for member_id, weight in members:
        member = message.members.add()
        member.member_id = member_id
        member.weight = 0 if profile.info.weights_disallowed else weight
