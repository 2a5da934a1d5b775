"""Role configuration (section 5.2): the `P4RoleConfig` message of Stratum, or none.

Without a configuration a role has full access to the pipeline.
"""

from dataclasses import dataclass

from finsy.proto import p4r, stratum

from p4esp.p4rt.errors import Code, P4RuntimeError, invalid


@dataclass(frozen=True, slots=True)
class RoleConfig:
    """What clients of a role may do; `object_ids` None means every P4 object."""

    object_ids: frozenset[int] | None = None
    receives_packet_ins: bool = True
    packet_in_filter: tuple[int, bytes] | None = None
    can_push_pipeline: bool = True

    def check_object(self, object_id: int, what: str) -> None:
        """PERMISSION_DENIED if the role has no access to the P4 object."""
        if self.object_ids is not None and object_id not in self.object_ids:
            raise P4RuntimeError(Code.PERMISSION_DENIED, f"{what} is not in the client's role")

    def check_pipeline(self) -> None:
        """PERMISSION_DENIED if the role must not push a pipeline."""
        if not self.can_push_pipeline:
            raise P4RuntimeError(
                Code.PERMISSION_DENIED, "the client's role has can_push_pipeline unset"
            )

    def wants(self, packet: p4r.PacketIn) -> bool:
        """Whether a packet-in is for this role."""
        if self.packet_in_filter is None:
            return self.receives_packet_ins
        return self.receives_packet_ins and any(
            (metadata.metadata_id, metadata.value) == self.packet_in_filter
            for metadata in packet.metadata
        )


def read_role_config(role: p4r.Role) -> RoleConfig:
    """The configuration inside `role`; INVALID_ARGUMENT for a scheme this server does not know."""
    if not role.HasField("config"):
        return RoleConfig()
    config = stratum.P4RoleConfig()
    if not role.config.Unpack(config):
        invalid(
            f"role '{role.name}': config of type {role.config.TypeName()} is unknown; "
            f"accepted: {config.DESCRIPTOR.full_name}"
        )
    ids = frozenset((*config.exclusive_p4_ids, *config.shared_p4_ids))
    packet_filter = config.packet_in_filter
    return RoleConfig(
        object_ids=ids or None,
        receives_packet_ins=config.receives_packet_ins,
        packet_in_filter=(packet_filter.metadata_id, packet_filter.value.lstrip(b"\0") or b"\0")
        if config.HasField("packet_in_filter")
        else None,
        can_push_pipeline=config.can_push_pipeline,
    )
