"""Tables of the SPD, and of the SAs that serve a policy."""

from p4esp.controller.entries import Entry, Value
from p4esp.controller.numbers import Role, Spread
from p4esp.controller.tables.matches import PacketMatch, lpm, of_family
from p4esp.ipsec.selectors import Network

Place = tuple[int, Role, PacketMatch, int]
"""Where a rule stands: policy version, role of the port, selector, priority."""


def spd_protect(
    version: int, role: Role, selector: PacketMatch, priority: int, policy: int, *, label: int = 0
) -> Entry:
    """A rule that protects: its packets need an SA of this policy."""
    return _spd((version, role, selector, priority), label, "protect", {"policy": policy})


def spd_bypass(
    version: int, role: Role, selector: PacketMatch, priority: int, *, label: int = 0
) -> Entry:
    """A rule that lets packets pass in clear."""
    return _spd((version, role, selector, priority), label, "bypass", {})


def spd_discard(
    version: int, role: Role, selector: PacketMatch, priority: int, *, label: int = 0
) -> Entry:
    """A rule that drops."""
    return _spd((version, role, selector, priority), label, "discard", {})


def spd_discard_unseen(
    version: int, role: Role, selector: PacketMatch, priority: int, *, label: int = 0
) -> Entry:
    """A rule that drops later fragments, whose ports would decide."""
    return _spd((version, role, selector, priority), label, "discard_unseen", {})


def _spd(place: Place, label: int, action: str, args: dict[str, int]) -> Entry:
    """A rule is for packets of one label, or (0) for those without. What comes in clear has none:
    from outside a rule speaks of all, so that what a label's rule wants protected does not pass.
    """
    version, role, selector, priority = place
    match: dict[str, Value] = {"version": (version, 0xFF), "role": (int(role), 0xFF)}
    if role is Role.PROTECTED:
        match["label"] = (label, 0xFF)
    table = of_family("spd", selector.version)
    return Entry.make(table, match | selector.fields(), action, args, priority=priority)


def policy_version(version: int) -> Entry:
    """Which version of the SPD packets see: the default action, so one write switches all."""
    return Entry.make(
        "policy_version", {}, "set_policy_version", {"version": version}, default=True
    )


def sa_select(policy: int, destination: Network, index: int) -> Entry:
    """Which outbound SA serves a policy for an inner destination."""
    return _select(policy, destination, "use_sa", {"sa": index})


def sa_select_set(
    policy: int, destination: Network, number: int, spread: Spread, fallback: int
) -> Entry:
    """Which set of SAs serves a policy (RFC 9611); `fallback` is the SA of empty buckets."""
    args = {"set": number, "spread": int(spread), "fallback": fallback}
    return _select(policy, destination, "use_set", args)


def _select(policy: int, destination: Network, action: str, args: dict[str, int]) -> Entry:
    match: dict[str, Value] = lpm("dst", destination) | {"policy": policy}
    return Entry.make(of_family("sa_select", destination.version), match, action, args)


def sa_member(number: int, bucket: int, index: int) -> Entry:
    """The SA that serves one of the 256 buckets of a set (numbered from 1)."""
    return Entry.make("sa_member", {"set": number, "bucket": bucket}, "member", {"sa": index})


def acquire_member(number: int, bucket: int) -> Entry:
    """The fallback SA serves one of the buckets of a set, and we are told that it is in use."""
    return Entry.make("sa_member", {"set": number, "bucket": bucket}, "acquire_member", {})
