"""Which SAs today's configuration still agrees to.

An SA exists because the SPD and the peer authorisation database want it (RFC 4301 4.4). One that
the switch kept over a restart of the controller is held against both again.
"""

from collections.abc import Iterable

from p4esp.controller.policy import PolicyIds
from p4esp.ike.config import ChildConfig, PeerConfig
from p4esp.ipsec.policy import PolicyRule
from p4esp.ipsec.sa import ChildSaParams
from p4esp.ipsec.selectors import is_subset
from p4esp.store import SaRecord


class Authorisation:
    """The peers, children and rules of one gateway. A new pre-shared key ends no SA."""

    def __init__(
        self, peers: Iterable[PeerConfig], rules: Iterable[PolicyRule], policy_ids: PolicyIds
    ) -> None:
        self._peers = {peer.name: peer for peer in peers}
        self._rules = {rule.child: rule for rule in rules}
        self._policy_ids = policy_ids

    def covers(self, record: SaRecord) -> bool:
        """Whether peer, child and rule of an SA are configured as they were when it was made."""
        child = record.child
        peer = self._peers.get(child.peer)
        rule = self._rules.get(f"{child.peer}/{child.name}")
        if peer is None or rule is None or self._policy_ids.rule(record.policy) != rule.name:
            return False
        sections = (item for item in peer.children if item.name == child.name)
        return _is_peer(peer, child) and any(_is_within(child, item, rule) for item in sections)


def _is_peer(peer: PeerConfig, child: ChildSaParams) -> bool:
    if peer.local_id != child.local_id or not peer.remote_id.matches(child.remote_id):
        return False
    behind_nat = child.encapsulation is not None  # it may have moved since
    same_remote = behind_nat or peer.remote in (None, child.remote)
    return same_remote and peer.local in (None, child.local)


def _is_within(child: ChildSaParams, section: ChildConfig, rule: PolicyRule) -> bool:
    return (
        is_subset(child.local_ts, section.local_ts)
        and is_subset(child.remote_ts, section.remote_ts)
        and is_subset(rule.local, child.local_ts)
        and is_subset(child.remote_ts, rule.remote)
    )
