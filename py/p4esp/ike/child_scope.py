"""Which traffic a child SA carries, and in which mode (RFC 7296 1.3.1, 2.9)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from p4esp.ike.assigning import local_side, remote_side
from p4esp.ike.child_modes import mode_answered, mode_asked, mode_notifies
from p4esp.ike.children import ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import CommandError, ProposalError, Refusal
from p4esp.ike.extensions.labels import (
    Labels,
    accepted_label,
    agreed_label,
    labels_wanted,
    note_empty_labels,
)
from p4esp.ike.state import IkeSaState, IntendedSa
from p4esp.ipsec.sa import Mode
from p4esp.ipsec.selectors import Address, TrafficSelector, is_subset, narrow

MAX_LISTED = 8
"""Selectors that errors name."""

Selectors = tuple[TrafficSelector, ...]
Packet = tuple[TrafficSelector, TrafficSelector]
"""The selectors of one packet: from here, to there."""


@dataclass(frozen=True, slots=True)
class Scope:
    """Traffic from `local_ts` to `remote_ts` and back."""

    config: ChildConfig
    local_ts: Selectors
    remote_ts: Selectors
    tfc: bool = True
    """Whether the peer takes TFC padding; one that does not says so (RFC 7296 1.3.1)."""
    labels: Labels = ()
    """Security labels: of an offer those of which the peer is to choose one."""
    fallback: bool = False
    """Whether a tunnel takes the place of the mode that the child is for."""

    @property
    def label(self) -> bytes:
        """The one that was agreed on; empty: none."""
        return self.labels[0].bare if self.labels else b""

    @property
    def mode(self) -> Mode:
        """The configured one, or a tunnel in its place."""
        return Mode.TUNNEL if self.fallback else self.config.mode

    def notifies(self) -> list[Notify]:
        """What asks for a mode other than the tunnel, and agrees to it."""
        return mode_notifies(self.mode)

    def selectors(self, *, initiator: bool) -> tuple[TsInitiator, TsResponder]:
        """The TS payloads; `initiator`: that is us."""
        local, remote = self.local_ts + self.labels, self.remote_ts + self.labels
        return (
            (TsInitiator(local), TsResponder(remote))
            if initiator
            else (TsInitiator(remote), TsResponder(local))
        )


def packet_scope(config: ChildConfig, packet: Packet) -> Scope:
    """The scope of one packet; `CommandError` when the child is not for it."""
    local, remote = packet
    if not is_subset([local], config.local_ts) or not is_subset([remote], config.remote_ts):
        raise CommandError(f"child {config.name} does not carry {local} to {remote}")
    return Scope(config, (local,), (remote,))


def wanted_scope(sa: IkeSaState, config: ChildConfig, packet: Scope | None) -> Scope:
    """What to propose for a child; selectors of the packet that asks for it come first.

    `Refusal` when the mode cannot be had on this path.
    """
    scope = replace(_allowed(sa, config), labels=labels_wanted(config.labels))
    if config.mode is Mode.BEET:
        _require_pair(scope)
    if packet is None or config.mode is Mode.BEET:
        return scope
    local_ts, remote_ts = packet.local_ts + scope.local_ts, packet.remote_ts + scope.remote_ts
    return replace(scope, local_ts=local_ts, remote_ts=remote_ts)


def rekeyed_scope(old: ChildSa) -> Scope:
    """What to propose in place of a child: the selectors and the mode in use (RFC 7296 2.9.2)."""
    params = old.params
    scope = Scope(old.config, params.local_ts, params.remote_ts)
    return replace(scope, fallback=params.mode is Mode.TUNNEL)


def _allowed(sa: IkeSaState, config: ChildConfig) -> Scope:
    """All that a child may carry: in transport mode only what these two hosts say."""
    unknown = config.mode is Mode.BEET and not sa.announced.beet
    if unknown and config.mode_required:
        reason = f"child {config.name} is for BEET mode, which the peer has no vendor ID for"
        raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)
    if config.mode is not Mode.TRANSPORT:
        local_ts, remote_ts = local_side(sa, config.local_ts), remote_side(sa, config.remote_ts)
        return Scope(config, local_ts, remote_ts, fallback=unknown)
    if sa.nat is not None and sa.nat.found:
        reason = f"child {config.name}: transport mode through a NAT (2.23.1) is not supported"
        raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)
    local_ts = narrow(config.local_ts, _only(sa.path.local.host))
    remote_ts = narrow(config.remote_ts, _only(sa.path.remote.host))
    if not local_ts or not remote_ts:
        reason = f"child {config.name}: transport mode is between {sa.path}, which it leaves out"
        raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)
    return Scope(config, local_ts, remote_ts)


def _require_pair(scope: Scope) -> None:
    """In BEET mode the inner addresses are not sent, so there is one pair of them."""
    both = (*scope.local_ts, *scope.remote_ts)
    single = len(scope.local_ts) == len(scope.remote_ts) == 1
    one_family = len({ts.version for ts in both}) == 1
    if single and one_family and all(ts.first == ts.last for ts in both):
        return
    sides = f"{listed(scope.local_ts)} - {listed(scope.remote_ts)}"
    name = scope.config.name
    raise Refusal(
        NotifyType.SINGLE_PAIR_REQUIRED if one_family else NotifyType.TS_UNACCEPTABLE,
        f"child {name}: BEET mode is between two addresses of one family, not {sides}",
    )


def _only(host: Address) -> Selectors:
    return (TrafficSelector(host, host),)


def agreed_scope(sa: IkeSaState, offer: PayloadSet, replaces: ChildSa | None) -> Scope:
    """What is in common of the peer's proposal and one of our children; a rekey stays with its
    child and its mode. `Refusal` when nothing is.
    """
    theirs, ours = offer.one(TsInitiator).selectors, offer.one(TsResponder).selectors
    wish = mode_asked(sa, offer, replaces)
    note_empty_labels(sa, offer)
    reason = f"no child configuration covers {listed(theirs)} to {listed(ours)}"
    refused = Refusal(NotifyType.TS_UNACCEPTABLE, reason)
    for config in _candidates(sa, theirs, ours, replaces):
        try:
            scope = _narrowed(sa, config, theirs, ours, wish)
            labels = agreed_label(config, offer, replaces)
            return replace(scope, tfc=_takes_tfc(offer), labels=labels)
        except Refusal as refusal:
            refused = refusal
    raise refused


def _candidates(
    sa: IkeSaState,
    theirs: Sequence[TrafficSelector],
    ours: Sequence[TrafficSelector],
    replaces: ChildSa | None,
) -> list[ChildConfig]:
    """Children that meet the proposal; those first that have all of its first selectors, which
    stand for the packet that made the peer ask.
    """
    if replaces is not None:
        return [replaces.config]
    meeting = [
        config
        for config in sa.config.children
        if narrow(theirs, config.remote_ts) and narrow(ours, config.local_ts)
    ]
    return sorted(meeting, key=lambda config: not _has_first(config, theirs, ours))


def _has_first(
    config: ChildConfig, theirs: Sequence[TrafficSelector], ours: Sequence[TrafficSelector]
) -> bool:
    return is_subset(theirs[:1], config.remote_ts) and is_subset(ours[:1], config.local_ts)


def _narrowed(
    sa: IkeSaState,
    config: ChildConfig,
    theirs: Sequence[TrafficSelector],
    ours: Sequence[TrafficSelector],
    wish: Mode,
) -> Scope:
    allowed = _allowed(sa, config)
    local_ts, remote_ts = narrow(ours, allowed.local_ts), narrow(theirs, allowed.remote_ts)
    fallback = allowed.fallback or (wish is not config.mode and not config.mode_required)
    scope = Scope(config, local_ts, remote_ts, fallback=fallback)
    objection = _objection(sa, scope, wish)
    if objection is not None:
        raise Refusal(NotifyType.TS_UNACCEPTABLE, objection)
    return scope


def _objection(sa: IkeSaState, scope: Scope, wish: Mode) -> str | None:
    """Why there can be no such child SA; `Refusal` for BEET mode with more than one pair."""
    name = scope.config.name
    if not scope.local_ts or not scope.remote_ts:
        return f"child {name} has nothing in common with the proposal"
    if scope.mode not in (Mode.TUNNEL, wish):
        return f"child {name} is for {scope.mode} mode, the peer asks for {wish} mode"
    if scope.mode is Mode.BEET:
        _require_pair(scope)
    ends = scope.local_ts, scope.remote_ts
    return sa.env.objection(IntendedSa(sa.config.name, sa.proven_id, name, scope.mode, *ends))


def accepted_scope(
    sa: IkeSaState, offered: Scope, answer: PayloadSet, replaces: ChildSa | None
) -> Scope:
    """The scope that a responder answers with; `ProposalError` when it is not within our offer, or
    no longer has what the SA that is replaced carries (RFC 7296 2.9.2).
    """
    local_ts, remote_ts = answer.one(TsInitiator).selectors, answer.one(TsResponder).selectors
    labels = accepted_label(offered.labels, offered.config, answer, replaces)
    _check_narrowed(local_ts, offered.local_ts)
    _check_narrowed(remote_ts, offered.remote_ts)
    if replaces is not None:
        _check_covered(replaces.params.local_ts, local_ts)
        _check_covered(replaces.params.remote_ts, remote_ts)
    fallback = _is_fallback(offered, mode_answered(sa, answer), replaces)
    tfc = _takes_tfc(answer)
    scope = Scope(offered.config, local_ts, remote_ts, tfc, labels, fallback)
    objection = _objection(sa, scope, scope.mode)
    if objection is not None:
        raise ProposalError(objection)
    return scope


def inherited_scope(sa: IkeSaState, old: ChildSa) -> Scope:
    """What the successor of a child SA carries that is to be like it; `Refusal` when that is no
    longer allowed.
    """
    params, allowed = old.params, _allowed(sa, old.config)
    scope = replace(rekeyed_scope(old), tfc=params.tfc)
    within = is_subset(scope.local_ts, allowed.local_ts) and is_subset(
        scope.remote_ts, allowed.remote_ts
    )
    objection = _objection(sa, scope, params.mode)
    if not within or params.mode is not scope.mode:
        objection = f"child {old.config.name} is for {scope.mode} mode and for less than it carries"
    if objection is not None:
        raise Refusal(NotifyType.TS_UNACCEPTABLE, objection)
    return scope


def _is_fallback(offered: Scope, answered: Mode, replaces: ChildSa | None) -> bool:
    """Whether it has come to a tunnel where the child is for another mode. A peer that declines
    gets it only for a new child whose configuration does not insist.
    """
    if answered is offered.mode:
        return offered.fallback
    if answered is not Mode.TUNNEL or offered.config.mode_required or replaces is not None:
        raise ProposalError(f"the peer answered in another mode, asked for was {offered.mode}")
    return True


def _takes_tfc(message: PayloadSet) -> bool:
    return message.notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) is None


def _check_narrowed(answer: Selectors, offered: Selectors) -> None:
    if not answer or not is_subset(answer, offered):
        raise ProposalError(
            f"the peer answered selectors {listed(answer)}, which are not within {listed(offered)}"
        )


def _check_covered(in_use: Selectors, answer: Selectors) -> None:
    if not is_subset(in_use, answer):
        raise ProposalError(
            f"the peer answered selectors {listed(answer)}, in use are {listed(in_use)}"
        )


def listed(selectors: Sequence[TrafficSelector]) -> str:
    """Those that a line of a log has room for."""
    more = [f"{len(selectors) - MAX_LISTED} more"] if len(selectors) > MAX_LISTED else []
    return ", ".join([*map(str, selectors[:MAX_LISTED]), *more]) or "nothing"
