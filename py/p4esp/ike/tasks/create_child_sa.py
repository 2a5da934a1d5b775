"""The peer's CREATE_CHILD_SA requests: the SA payload tells what they are about (RFC 7296 1.3), or
of an optimized rekey its notifies.
"""

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.errors import Refusal
from p4esp.ike.inheriting import IKE_SPI_SIZE, is_agreed, spi_named
from p4esp.ike.negotiation import SPI_SIZE
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, ResponderTask
from p4esp.ike.tasks.create_child import CreateChildResponder
from p4esp.ike.tasks.rekey_ike import RekeyIkeResponder


class CreateChildSaResponder(ResponderTask):
    """A child SA, new or rekeyed, or the IKE SA rekeyed."""

    def __init__(self) -> None:
        self._task: ResponderTask = CreateChildResponder()

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Find out which it is, and do that; later when the peer asks too often."""
        if not sa.asked_of_us.allow(sa.now):
            raise Refusal(NotifyType.TEMPORARY_FAILURE, "too many requests for new SAs")
        self._task = _task_for(sa, request.payloads)
        self._task.process(sa, request)

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """Its answer."""
        return self._task.build(sa)


def _task_for(sa: IkeSaState, payloads: PayloadSet) -> ResponderTask:
    rekeys_child = payloads.notify(NotifyType.REKEY_SA) is not None
    spi = spi_named(sa, payloads, SPI_SIZE if rekeys_child else IKE_SPI_SIZE)
    if spi is not None:
        return CreateChildResponder(spi) if rekeys_child else RekeyIkeResponder(spi)
    if is_agreed(sa) and not payloads.has(SecurityAssociation):
        reason = "neither an SA payload nor an N(OPTIMIZED_REKEY) that can be used"
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)
    proposals = payloads.one(SecurityAssociation).proposals
    of_ike = any(proposal.protocol == ProtocolId.IKE for proposal in proposals)
    return RekeyIkeResponder() if of_ike else CreateChildResponder()
