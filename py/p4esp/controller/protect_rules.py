"""The protect rules of one gateway: what each child carries, and what of it the pipeline can."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from p4esp.controller.errors import ControllerError
from p4esp.controller.selectors import check_matchable
from p4esp.ike.state import IntendedSa
from p4esp.ipsec.policy import PolicyRule
from p4esp.ipsec.selectors import TrafficSelector, is_subset


class ProtectRules:
    """Rules by the child that carries their traffic, and by name."""

    def __init__(self, rules: Iterable[PolicyRule]) -> None:
        self._by_child = {rule.child: rule for rule in rules if rule.child is not None}
        self._labels = {rule.name: rule.label for rule in self._by_child.values()}
        self._child_of = {rule.name: child for child, rule in self._by_child.items()}

    def of(self, peer: str, child: str) -> PolicyRule:
        """The rule whose traffic a child carries; ControllerError when there is none."""
        rule = self._by_child.get(f"{peer}/{child}")
        if rule is None:
            raise ControllerError(f"no policy protects with child {peer}/{child}")
        return rule

    def label(self, rule: str | None) -> bytes:
        """The security label of a rule's traffic, empty for none, whoever made the SAs that carry
        it; ControllerError when there is no such rule.
        """
        if rule is None or rule not in self._labels:
            raise ControllerError(f"there is no policy that protects by the name of {rule}")
        return self._labels[rule]

    def child_of(self, rule: str) -> tuple[str, str] | None:
        """Peer and child that carry a rule's traffic."""
        child = self._child_of.get(rule)
        if child is None:
            return None
        peer, name = child.split("/", 1)
        return peer, name

    def objects(self, wanted: IntendedSa) -> str | None:
        """Why the pipeline cannot carry what is about to be agreed to."""
        return self.objection(wanted.peer, wanted.child, wanted.local_ts, wanted.remote_ts)

    def objection(
        self,
        peer: str,
        child: str,
        local: Sequence[TrafficSelector],
        remote: Sequence[TrafficSelector],
    ) -> str | None:
        """Why the pipeline cannot carry such a child SA."""
        try:
            _require_whole_rule(self.of(peer, child), local, remote)
            check_matchable(remote, local)
        except ControllerError as error:
            return str(error)
        return None


def _require_whole_rule(
    rule: PolicyRule, local: Sequence[TrafficSelector], remote: Sequence[TrafficSelector]
) -> None:
    """The pipeline selects outbound SAs by policy and destination: a narrower SA would be sent
    what its peer must drop (RFC 4301 4.4.1.2).
    """
    whole_ports = all(any(_carries_ports(ts, wanted) for wanted in rule.remote) for ts in remote)
    if not whole_ports or not is_subset(rule.local, local):
        raise ControllerError(
            f"rule {rule.name} narrowed to {_list(local)} - {_list(remote)} cannot be carried; "
            f"accepted: all of {_list(rule.local)}, and the ports of {_list(rule.remote)}"
        )


def _carries_ports(selector: TrafficSelector, wanted: TrafficSelector) -> bool:
    """Whether a selector has all of another's protocol and ports, whatever its addresses."""
    return replace(selector, first=wanted.first, last=wanted.last).contains(wanted)


def _list(selectors: Iterable[TrafficSelector]) -> str:
    return ", ".join(map(str, selectors))
