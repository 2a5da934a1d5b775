"""Rules that groups and one-shot action sets share: weights, sizes, watch ports (9.2.2)."""

from p4esp.p4rt.errors import Code, P4RuntimeError, invalid
from p4esp.p4rt.schema import ProfileInfo


def check_weight(info: ProfileInfo, where: str, weight: int) -> int:
    """The weight to store: 1 where the profile disallows weights."""
    if info.weights_disallowed:
        if weight:
            invalid(f"{where}: weight {weight} is not allowed by {info}; accepted: 0")
        return 1
    if weight <= 0:
        invalid(f"{where}: weight {weight} is out of range; accepted: 1 or more")
    if info.sum_of_members and 0 < info.max_member_weight < weight:
        invalid(f"{where}: weight {weight}; accepted: 1..{info.max_member_weight}")
    return weight


def check_watch(where: str, watch: int, watch_port: bytes) -> None:
    """Watch ports are refused by name: the switch does not remove members of downed ports."""
    if watch or watch_port:
        raise P4RuntimeError(Code.UNIMPLEMENTED, f"{where}: watch_port is not supported")


def check_group_size(info: ProfileInfo, where: str, weights: list[int], max_size: int) -> None:
    """Members or weights within `max_size`, and that within the profile's max_group_size."""
    limit = info.max_group_size
    if limit and not 0 < max_size <= limit:
        invalid(f"{where}: max_size {max_size} is out of range; accepted: 1..{limit}")
    size = len(weights) if info.sum_of_members else sum(weights)
    if max_size and size > max_size:
        raise P4RuntimeError(
            Code.RESOURCE_EXHAUSTED, f"{where}: size {size} is above max_size {max_size}"
        )
