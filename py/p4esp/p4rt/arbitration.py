"""Client arbitration (section 5): who is primary for a role. Sans-IO.

Every method returns the notifications to send, in order, as (client, message) pairs.
"""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from finsy.proto import p4r, rpc_status

from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.roles import RoleConfig, read_role_config

MAX_CLIENTS = 16
"""Clients of one role."""

MAX_ROLES = 64
"""Roles are never forgotten, because their highest election id must not be."""

C = TypeVar("C")
Notifications = list[tuple[C, p4r.MasterArbitrationUpdate]]


@dataclass(slots=True)
class _Role(Generic[C]):
    """Clients of one role with their election ids (None: unset, never primary)."""

    clients: dict[C, int | None] = field(default_factory=dict)
    highest: int | None = None
    config: RoleConfig = field(default_factory=RoleConfig)
    message: p4r.Role | None = None

    @property
    def primary(self) -> C | None:
        """The client that holds the highest election id ever seen, if it is still there."""
        if self.highest is None:
            return None
        return next((c for c, eid in self.clients.items() if eid == self.highest), None)


class Arbitration(Generic[C]):
    """Arbitration for one device. `C` identifies a client's stream; it must be hashable."""

    def __init__(self, device_id: int) -> None:
        self.device_id = device_id
        self._roles: dict[str, _Role[C]] = {}
        self._role_of: dict[C, str] = {}

    def update(self, client: C, request: p4r.MasterArbitrationUpdate) -> Notifications[C]:
        """A `MasterArbitrationUpdate` from `client`; an error ends the client's stream."""
        role_name = request.role.name
        self._check_device(client, request.device_id)
        self._check_role(client, role_name)
        config = read_role_config(request.role)
        election_id = _election_id(request)
        role = self._roles.get(role_name, _Role())
        _check_election_id(role, client, election_id)
        self._check_room(role, role_name, client)
        self._roles[role_name] = role
        self._role_of[client] = role_name
        return self._elect(role, role_name, client, election_id, (config, request.role))

    def _elect(
        self,
        role: _Role[C],
        role_name: str,
        client: C,
        election_id: int | None,
        config: tuple[RoleConfig, p4r.Role],
    ) -> Notifications[C]:
        was_primary = role.primary
        role.clients[client] = election_id
        if election_id is not None and (role.highest is None or election_id >= role.highest):
            role.highest = election_id
            role.config, role.message = config[0], p4r.Role()
            role.message.CopyFrom(config[1])
            return self._notify_all(role, role_name, last=client)
        if was_primary == client:
            return self._notify_all(role, role_name)
        return [(client, self._notification(role, role_name, client))]

    def leave(self, client: C) -> Notifications[C]:
        """`client`'s stream is gone; if it was primary the others hear that there is none."""
        role_name = self._role_of.pop(client, None)
        if role_name is None:
            return []
        role = self._roles[role_name]
        was_primary = role.primary == client
        del role.clients[client]
        return self._notify_all(role, role_name) if was_primary else []

    def check_primary(self, role_name: str, election_id: p4r.Uint128, has_id: bool) -> RoleConfig:
        """The role's configuration if the ids are those of its primary; else PERMISSION_DENIED."""
        role = self._roles.get(role_name)
        if role is None and role_name:
            known = ", ".join(f"'{name}'" for name in self._roles if name) or "the default role ''"
            raise P4RuntimeError(
                Code.NOT_FOUND, f"role '{role_name}' has no client; accepted: {known}"
            )
        given = _uint128(election_id) if has_id else None
        if role is None or role.primary is None or given != role.highest:
            raise P4RuntimeError(Code.PERMISSION_DENIED, _not_primary(role, role_name, given))
        return role.config

    def is_primary(self, client: C) -> bool:
        """Whether `client` is primary of its role."""
        role_name = self._role_of.get(client)
        return role_name is not None and self._roles[role_name].primary == client

    def config_of(self, client: C) -> RoleConfig:
        """The role configuration of a connected client."""
        return self._roles[self._role_of[client]].config

    def primaries(self) -> list[tuple[C, RoleConfig]]:
        """The primary clients of all roles."""
        found = [(role.primary, role.config) for role in self._roles.values()]
        return [(client, config) for client, config in found if client is not None]

    def _notify_all(
        self, role: _Role[C], role_name: str, last: C | None = None
    ) -> Notifications[C]:
        """Everybody hears of the change, a new primary after all others (section 5.3)."""
        ordered = sorted(role.clients, key=lambda client: client == last)
        return [(client, self._notification(role, role_name, client)) for client in ordered]

    def _notification(
        self, role: _Role[C], role_name: str, client: C
    ) -> p4r.MasterArbitrationUpdate:
        message = p4r.MasterArbitrationUpdate(device_id=self.device_id)
        if role.message is not None and (role_name or role.message.ByteSize()):
            message.role.CopyFrom(role.message)
        elif role_name:
            message.role.name = role_name
        if role.highest is not None:
            message.election_id.high = role.highest >> 64
            message.election_id.low = role.highest & _LOW64
        message.status.CopyFrom(_status(role, client))
        return message

    def _check_device(self, client: C, device_id: int) -> None:
        if device_id == self.device_id:
            return
        known = client in self._role_of
        raise P4RuntimeError(
            Code.FAILED_PRECONDITION if known else Code.NOT_FOUND,
            f"device id {device_id} is unknown; accepted: {self.device_id}",
        )

    def _check_room(self, role: _Role[C], role_name: str, client: C) -> None:
        exhausted = Code.RESOURCE_EXHAUSTED
        if client not in role.clients and len(role.clients) >= MAX_CLIENTS:
            raise P4RuntimeError(exhausted, f"role '{role_name}': {MAX_CLIENTS} clients at most")
        if role_name not in self._roles and len(self._roles) >= MAX_ROLES:
            raise P4RuntimeError(exhausted, f"role '{role_name}': {MAX_ROLES} roles at most")

    def _check_role(self, client: C, role_name: str) -> None:
        current = self._role_of.get(client, role_name)
        if current != role_name:
            raise P4RuntimeError(
                Code.FAILED_PRECONDITION,
                f"this stream has role '{current}'; open another one for role '{role_name}'",
            )


_LOW64 = (1 << 64) - 1


def _uint128(value: p4r.Uint128) -> int:
    return value.high << 64 | value.low


def _election_id(request: p4r.MasterArbitrationUpdate) -> int | None:
    return _uint128(request.election_id) if request.HasField("election_id") else None


def _check_election_id(role: _Role[C], client: C, election_id: int | None) -> None:
    for other, taken in role.clients.items():
        if election_id is not None and taken == election_id and other != client:
            invalid(f"Election id already exists: {election_id} is used by another client")


def _status(role: _Role[C], client: C) -> rpc_status.Status:
    if role.primary is None:
        return rpc_status.Status(code=Code.NOT_FOUND, message="There is no primary")
    if role.primary == client:
        return rpc_status.Status(code=Code.OK, message="Is primary")
    return rpc_status.Status(code=Code.ALREADY_EXISTS, message="Is backup")


def _not_primary(role: _Role[C] | None, role_name: str, given: int | None) -> str:
    told = "no election id" if given is None else f"election id {given}"
    if role is None or role.primary is None:
        return f"Not primary: {told} given; role '{role_name}' has no primary client"
    return f"Not primary: {told} given; the primary of role '{role_name}' has {role.highest}"
