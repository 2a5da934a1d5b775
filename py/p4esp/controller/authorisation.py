"""Which SAs today's configuration still agrees to.

An SA exists because the SPD and the peer authorisation database want it (RFC 4301 4.4). One that
the switch kept over a restart of the controller is held against both again.
"""

from collections.abc import Iterable

from p4esp.controller.policy_ids import PolicyIds
from p4esp.controller.protect_rules import ProtectRules
from p4esp.ike.codec.proposal import Transform
from p4esp.ike.config import ChildConfig, FormatWish, PeerConfig
from p4esp.ike.constants import TransformType
from p4esp.ike.eesp import eesp_templates
from p4esp.ike.extensions.resources import number_of
from p4esp.ike.proposals import numbers_of
from p4esp.ipsec.layouts import form_of, is_eesp
from p4esp.ipsec.sa import ChildSaParams, Layout, Mode, Share
from p4esp.ipsec.selectors import is_subset
from p4esp.store import SaRecord


class Authorisation:
    """The peers, children and rules of one gateway. A new pre-shared key ends no SA."""

    def __init__(
        self, peers: Iterable[PeerConfig], rules: ProtectRules, policy_ids: PolicyIds
    ) -> None:
        self._peers = {peer.name: peer for peer in peers}
        self._rules = rules
        self._policy_ids = policy_ids

    def covers(self, record: SaRecord) -> bool:
        """Whether peer, child and rule of an SA are configured as they were when it was made."""
        child = record.child
        peer = self._peers.get(child.peer)
        if peer is None or not _is_peer(peer, child) or not self._rules_want(record):
            return False
        sections = (item for item in peer.children if item.name == child.name)
        return any(_is_within(child, item) for item in sections)

    def _rules_want(self, record: SaRecord) -> bool:
        """Whether the rule that an SA was made for is there, and would have it made so again."""
        child, rule = record.child, self._policy_ids.rule(record.policy)
        if rule is None or self._rules.child_of(rule) != (child.peer, child.name):
            return False
        ends = (child.local_ts, child.remote_ts)
        return self._rules.objection(child.peer, child.name, *ends) is None


def _is_peer(peer: PeerConfig, child: ChildSaParams) -> bool:
    if peer.local_id != child.local_id or not peer.remote_id.matches(child.remote_id):
        return False
    behind_nat = child.encapsulation is not None  # it may have moved since
    same_remote = behind_nat or peer.remote in (None, child.remote)
    return same_remote and peer.local in (None, child.local)


def _is_within(child: ChildSaParams, section: ChildConfig) -> bool:
    local, remote = section.local_ts, section.remote_ts
    sides = is_subset(child.local_ts, local) and is_subset(child.remote_ts, remote)
    return (
        sides
        and _has_mode(child, section)
        and _has_format(child, section.format)
        and _has_share(child.share, section)
        and _has_label(child, section)
        and _has_algorithms(child, section)
    )


def _has_share(share: Share, section: ChildConfig) -> bool:
    """Whether resource and class are still what the configuration knows."""
    number = number_of(share)
    resource = number is None or number < section.resources
    classes = (set(share.dscps) <= set(dscps) for dscps in section.dscp_classes)
    return resource and (not share.dscps or any(classes))


def _has_label(child: ChildSaParams, section: ChildConfig) -> bool:
    """None is what remains where the peer knows no labels."""
    label = child.share.label
    if not label:
        return not section.labels or not section.label_required
    return label in section.labels


def _has_mode(child: ChildSaParams, section: ChildConfig) -> bool:
    """A tunnel is what remains where the peer did not agree."""
    declined = child.mode is Mode.TUNNEL and not section.mode_required
    return child.mode is section.mode or declined


def _has_format(child: ChildSaParams, wish: FormatWish) -> bool:
    """Plain ESP is what remains where the peer did not agree."""
    layout = child.layout
    if layout.format != wish.name:
        return layout == Layout() and not wish.required
    if layout.spi_octets < wish.spi_octets or layout.sn_octets < wish.sn_octets:
        return False
    if wish.trailer and not layout.trailer:
        return False
    same = layout.subs_in == (1 if layout.one_key else wish.subs)
    shown = max(layout.shown_in, layout.shown_out)
    return same and shown <= wish.shown and layout.numbered == wish.numbered


def _has_algorithms(child: ChildSaParams, section: ChildConfig) -> bool:
    """Whether one template allows suite and numbers together."""
    eesp = is_eesp(form_of(child.layout))
    templates = eesp_templates(section) if eesp else section.proposals
    number = Transform(TransformType.SN, numbers_of(child))
    return any(
        number in template.transforms and child.suite in template.suites() for template in templates
    )
