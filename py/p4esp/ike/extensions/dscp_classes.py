"""A child SA for certain code points of DiffServ alone (draft-mglt-ipsecme-dscp-np).

The draft's octets could not be read: the notify's number and layout are ours, one octet for each
code point, ascending. A child's first SA has no class and carries all that no class has.
"""

from collections.abc import Collection
from dataclasses import replace
from itertools import pairwise
from typing import Final

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.notifies import MalformedNotifyError, data_of, note_ignored
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.sa import Share

CODE_POINTS: Final = 64
_SIZES: Final = range(1, CODE_POINTS + 1)
_KIND: Final = NotifyType.DSCP


class DscpClasses:
    """The term by which a child SA carries a class."""

    def asked(self, sa: IkeSaState, config: ChildConfig, share: Share) -> list[Notify]:
        """The code points. `Refusal` when the peer could not know what they are."""
        if not share.dscps:
            return []
        if not sa.announced.experimental:
            reason = f"child {config.name}: the two ends do not share the vendor ID that DSCP takes"
            raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)
        return [Notify(_KIND, bytes(share.dscps))]

    def agreed(
        self,
        sa: IkeSaState,
        config: ChildConfig,
        offer: PayloadSet,
        share: Share,
        replaces: ChildSa | None,
    ) -> Share:
        """What is in common of an offer and a class of ours; `Refusal` with TS_UNACCEPTABLE when
        that is nothing, or less than the SA has that is replaced. An offer that says nothing that
        can be used is one of an SA without a class.
        """
        said = _said(sa, offer) if config.dscp_classes else None
        if replaces is not None:
            return replace(share, dscps=_kept(config, said or (), replaces.params.share.dscps))
        if said is None:
            return share
        if not _has_default(sa, config):
            note_ignored(sa, f"DSCP: the first SA of child {config.name} is for all of them")
            return share
        return replace(share, dscps=_common(config, said))

    def answered(
        self, sa: IkeSaState, config: ChildConfig, offer: PayloadSet, share: Share
    ) -> list[Notify]:
        """Those that we agreed to."""
        return [Notify(_KIND, bytes(share.dscps))] if share.dscps else []

    def accepted(
        self,
        sa: IkeSaState,
        wanted: Share,
        answer: PayloadSet,
        share: Share,
        replaces: ChildSa | None,
    ) -> Share:
        """What the peer took of our class. `ProposalError` when that is nothing, or more, or less
        than the SA has that is replaced.
        """
        if not wanted.dscps:
            _ignore_unasked(sa, answer)
            return share
        try:
            dscps = _read(answer)
        except MalformedNotifyError as error:
            raise ProposalError(f"the peer answered with {error}") from None
        if dscps is None:
            raise ProposalError(f"the peer does not bind an SA to DSCP {_listed(wanted.dscps)}")
        if not set(dscps) <= set(wanted.dscps) or (replaces and dscps != wanted.dscps):
            raise ProposalError(
                f"the peer answered DSCP {_listed(dscps)}, asked was {_listed(wanted.dscps)}"
            )
        return replace(share, dscps=dscps)


def _said(sa: IkeSaState, offer: PayloadSet) -> tuple[int, ...] | None:
    """What an offer says; nothing where the number means something else."""
    if not sa.announced.experimental:
        return None
    try:
        return _read(offer)
    except MalformedNotifyError as error:
        note_ignored(sa, str(error))
        return None


def _read(message: PayloadSet) -> tuple[int, ...] | None:
    data = data_of(_KIND, message, _SIZES)
    if data is None:
        return None
    rising = all(low < high for low, high in pairwise(data))
    if not rising or data[-1] >= CODE_POINTS:
        raise MalformedNotifyError(
            f"DSCP {_listed(data)}; accepted: each once, ascending, below {CODE_POINTS}"
        )
    return tuple(data)


def _has_default(sa: IkeSaState, config: ChildConfig) -> bool:
    same = (child for child in sa.children if child.config.name == config.name)
    return any(not child.params.share.dscps for child in same)


def _kept(config: ChildConfig, said: Collection[int], in_use: tuple[int, ...]) -> tuple[int, ...]:
    """The code points of an SA that is replaced. Those that an offer does not repeat would go to
    the SA without a class and nobody would know.
    """
    if set(in_use) <= set(said) and bool(in_use) == bool(said):
        return in_use
    reason = f"child {config.name}: a rekey for DSCP {_listed(said)}, in use are {_listed(in_use)}"
    raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)


def _common(config: ChildConfig, said: Collection[int]) -> tuple[int, ...]:
    """What is in the class that has most of it; the earlier one of equals."""
    common = [tuple(dscp for dscp in one if dscp in said) for one in config.dscp_classes]
    best = max(common, key=len, default=())
    if not best:
        reason = f"child {config.name} has no class with any of DSCP {_listed(said)}"
        raise Refusal(NotifyType.TS_UNACCEPTABLE, reason)
    return best


def _ignore_unasked(sa: IkeSaState, answer: PayloadSet) -> None:
    if sa.announced.experimental and answer.notify(_KIND) is not None:
        note_ignored(sa, "DSCP, for which nobody asked")


def _listed(dscps: Collection[int]) -> str:
    return ", ".join(map(str, dscps)) or "none"
