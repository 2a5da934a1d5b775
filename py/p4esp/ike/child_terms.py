"""What two ends may agree on about one child SA besides algorithms, selectors, mode and format:
which part of its policy's traffic it is for. Each term is a notify beside the SA payload.

The initiator asks, and who answers agrees; a rekey asks for what the SA that it replaces has.
"""

from typing import Final, Protocol

from p4esp.ike.children import ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import ChildConfig
from p4esp.ike.extensions.dscp_classes import DscpClasses
from p4esp.ike.extensions.resources import Resources
from p4esp.ike.state import IkeSaState
from p4esp.ipsec.sa import Share


class ChildTerm(Protocol):
    """One of them. It holds no state."""

    def asked(self, sa: IkeSaState, config: ChildConfig, share: Share) -> list[Notify]:
        """What an offer says; `share` is what is wanted."""

    def agreed(
        self,
        sa: IkeSaState,
        config: ChildConfig,
        offer: PayloadSet,
        share: Share,
        replaces: ChildSa | None,
    ) -> Share:
        """`share` with what we agree to of an offer; `Refusal` when it can't be had."""

    def answered(
        self, sa: IkeSaState, config: ChildConfig, offer: PayloadSet, share: Share
    ) -> list[Notify]:
        """What our answer to an offer says of the share that we agreed to."""

    def accepted(
        self,
        sa: IkeSaState,
        wanted: Share,
        answer: PayloadSet,
        share: Share,
        replaces: ChildSa | None,
    ) -> Share:
        """`share` with what a responder agreed to; `ProposalError` when that is not within what was
        wanted, or too little.
        """


TERMS: Final[tuple[ChildTerm, ...]] = (DscpClasses(), Resources())
"""All there are, in the order in which they are asked: resources divide a class."""


def terms_asked(sa: IkeSaState, config: ChildConfig, share: Share) -> tuple[Notify, ...]:
    """What an offer says of all of them."""
    return tuple(notify for term in TERMS for notify in term.asked(sa, config, share))


def share_agreed(
    sa: IkeSaState,
    config: ChildConfig,
    offer: PayloadSet,
    share: Share,
    replaces: ChildSa | None,
) -> Share:
    """What we agree to of an offer; `Refusal` when it can't be had. `share` has the label that the
    selectors have.
    """
    for term in TERMS:
        share = term.agreed(sa, config, offer, share, replaces)
    return share


def terms_answered(
    sa: IkeSaState, config: ChildConfig, offer: PayloadSet, share: Share
) -> tuple[Notify, ...]:
    """What our answer says."""
    return tuple(notify for term in TERMS for notify in term.answered(sa, config, offer, share))


def share_accepted(
    sa: IkeSaState,
    wanted: Share,
    answer: PayloadSet,
    share: Share,
    replaces: ChildSa | None,
) -> Share:
    """What a responder agreed to; `ProposalError` when that is not acceptable. `share` has the
    label that the selectors have.
    """
    for term in TERMS:
        share = term.accepted(sa, wanted, answer, share, replaces)
    return share
