"""What the write and read paths ask of every kind of P4 entity."""

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from finsy.proto import p4r

from p4esp.p4rt.errors import P4RuntimeError, invalid

AddEntity = Callable[[], p4r.Entity]

M_contra = TypeVar("M_contra", contravariant=True)


class EntityHandler(Protocol[M_contra]):
    """One kind of entity, `M` being its protobuf message. Methods raise `P4RuntimeError`."""

    def write(self, update_type: int, entity: M_contra) -> None:
        """Carry out one update; either it happens whole or an error is raised."""

    def read(self, query: M_contra, add: AddEntity) -> Iterator[None]:
        """Fill one `add()` per entity that `query` selects, yielding after each."""

    def snapshot(self, entity: M_contra) -> p4r.Entity | None:
        """The entity with the same key as it is now (None: there is none), for a rollback."""

    def object_id(self, entity: M_contra) -> int:
        """The P4 object id by which a role is granted access; 0 for objects without one."""


def only_modify(update_type: int, what: str) -> None:
    """Arrays and direct resources can neither be inserted nor deleted."""
    if update_type != p4r.Update.MODIFY:
        name = p4r.Update.Type.Name(update_type) if 0 <= update_type <= 3 else str(update_type)
        invalid(f"{what}: update type {name} is not allowed; accepted: MODIFY")


def check_update_type(update_type: int) -> None:
    """INVALID_ARGUMENT unless `update_type` is INSERT, MODIFY or DELETE."""
    if not p4r.Update.INSERT <= update_type <= p4r.Update.DELETE:
        invalid(
            f"update type {update_type} is not set or unknown; accepted: INSERT, MODIFY, DELETE"
        )


def first_entity(
    read: Callable[[M_contra, AddEntity], Iterator[None]], query: M_contra
) -> p4r.Entity | None:
    """The first entity that `read` finds for `query`; None if there is none."""
    found = p4r.Entity()
    try:
        next(read(query, lambda: found))
    except (StopIteration, P4RuntimeError):
        return None
    return found
