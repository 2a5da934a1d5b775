"""Which traffic a child SA carries, and in which mode (RFC 7296 1.3.1, 2.9)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from p4esp.ike.assigning import local_side, remote_side
from p4esp.ike.children import ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import CommandError, ProposalError, Refusal
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.sa import Mode
from p4esp.ipsec.selectors import Address, TrafficSelector, is_subset, narrow

MAX_LISTED = 8
"""Selectors that errors name."""

Selectors = tuple[TrafficSelector, ...]
MODE_NOTIFIES = {
    Mode.TRANSPORT: NotifyType.USE_TRANSPORT_MODE,
    Mode.BEET: NotifyType.USE_BEET_MODE,
}
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

    @property
    def mode(self) -> Mode:
        """The configured one; the other end must want the same."""
        return self.config.mode

    def notifies(self) -> list[Notify]:
        """What asks for a mode other than the tunnel, and agrees to it."""
        kind = MODE_NOTIFIES.get(self.mode)
        return [] if kind is None else [Notify(kind)]


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
    scope = _allowed(sa, config)
    if config.mode is Mode.BEET:
        _require_pair(scope)
    if packet is None or config.mode is Mode.BEET:
        return scope
    local_ts, remote_ts = packet.local_ts + scope.local_ts, packet.remote_ts + scope.remote_ts
    return Scope(config, local_ts, remote_ts)


def _allowed(sa: IkeSaState, config: ChildConfig) -> Scope:
    """All that a child may carry: in transport mode only what these two hosts say."""
    if config.mode is Mode.BEET and not sa.announced.private_numbers:
        reason = f"child {config.name} is for BEET mode, which the peer has no vendor ID for"
        raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)
    if config.mode is not Mode.TRANSPORT:
        local_ts, remote_ts = local_side(sa, config.local_ts), remote_side(sa, config.remote_ts)
        return Scope(config, local_ts, remote_ts)
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
    fault = _fault_of_pair(scope)
    if fault is not None:
        raise Refusal(NotifyType.TS_UNACCEPTABLE, fault)


def _fault_of_pair(scope: Scope) -> str | None:
    both = (*scope.local_ts, *scope.remote_ts)
    single = len(scope.local_ts) == len(scope.remote_ts) == 1
    if single and all(ts.first == ts.last for ts in both) and both[0].version == both[1].version:
        return None
    sides = f"{listed(scope.local_ts)} - {listed(scope.remote_ts)}"
    return (
        f"child {scope.config.name}: BEET mode is between two addresses of one family, not {sides}"
    )


def _only(host: Address) -> Selectors:
    return (TrafficSelector(host, host),)


def agreed_scope(sa: IkeSaState, offer: PayloadSet, replaces: ChildSa | None) -> Scope:
    """What is in common of the peer's proposal and one of our children; a rekey stays with its
    child. `Refusal` when nothing is.
    """
    theirs, ours = offer.one(TsInitiator).selectors, offer.one(TsResponder).selectors
    wish = _mode_of(sa, offer)
    reason = f"no child configuration covers {listed(theirs)} to {listed(ours)}"
    for config in _candidates(sa, theirs, ours, replaces):
        try:
            scope = _narrowed(sa, config, theirs, ours, wish)
            return replace(scope, tfc=_takes_tfc(offer))
        except Refusal as refusal:
            reason = refusal.reason
    raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)


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
    scope = Scope(config, narrow(ours, allowed.local_ts), narrow(theirs, allowed.remote_ts))
    objection = _objection(sa, scope, wish)
    if objection is not None:
        raise Refusal(NotifyType.TS_UNACCEPTABLE, objection)
    return scope


def _objection(sa: IkeSaState, scope: Scope, wish: Mode) -> str | None:
    name = scope.config.name
    if not scope.local_ts or not scope.remote_ts:
        return f"child {name} has nothing in common with the proposal"
    if scope.mode not in (Mode.TUNNEL, wish):
        return f"child {name} is for {scope.mode} mode, the peer asks for {wish} mode"
    if scope.mode is Mode.BEET and (fault := _fault_of_pair(scope)) is not None:
        return fault
    return sa.env.objection(sa.config.name, name, scope.local_ts, scope.remote_ts)


def accepted_scope(
    sa: IkeSaState, offered: Scope, answer: PayloadSet, replaces: ChildSa | None
) -> Scope:
    """The scope that a responder answers with; `ProposalError` when it is not within our offer, or
    no longer has what the SA that is replaced carries (RFC 7296 2.9.2).
    """
    local_ts, remote_ts = answer.one(TsInitiator).selectors, answer.one(TsResponder).selectors
    scope = Scope(offered.config, local_ts, remote_ts, tfc=_takes_tfc(answer))
    _check_narrowed(local_ts, offered.local_ts)
    _check_narrowed(remote_ts, offered.remote_ts)
    if replaces is not None:
        _check_covered(replaces.params.local_ts, local_ts)
        _check_covered(replaces.params.remote_ts, remote_ts)
    if _mode_of(sa, answer) is not scope.mode:
        raise ProposalError(f"the peer answered in another mode, asked for was {scope.mode}")
    objection = _objection(sa, scope, scope.mode)
    if objection is not None:
        raise ProposalError(objection)
    return scope


def inherited_scope(sa: IkeSaState, old: ChildSa) -> Scope:
    """What the successor of a child SA carries that is to be like it; `Refusal` when that is no
    longer allowed.
    """
    params, allowed = old.params, _allowed(sa, old.config)
    scope = Scope(old.config, params.local_ts, params.remote_ts, params.tfc)
    if not is_subset(scope.local_ts, allowed.local_ts) or not is_subset(
        scope.remote_ts, allowed.remote_ts
    ):
        raise Refusal(NotifyType.TS_UNACCEPTABLE, f"child {old.config.name} is for less than that")
    objection = _objection(sa, scope, params.mode)
    if objection is not None:
        raise Refusal(NotifyType.TS_UNACCEPTABLE, objection)
    return scope


def _mode_of(sa: IkeSaState, message: PayloadSet) -> Mode:
    """The mode that a peer asks for, or agrees to; `Refusal` when it is two at once."""
    found = [mode for mode, kind in MODE_NOTIFIES.items() if message.notify(kind) is not None]
    if not sa.announced.private_numbers and Mode.BEET in found:
        found.remove(Mode.BEET)
    if len(found) > 1:
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, f"the peer asks for {' and '.join(found)}")
    return found[0] if found else Mode.TUNNEL


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
