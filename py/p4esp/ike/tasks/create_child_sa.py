"""The peer's CREATE_CHILD_SA requests: its SA payload tells what they are about (RFC 7296 1.3)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.errors import Refusal
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
        proposals = request.payloads.one(SecurityAssociation).proposals
        if any(proposal.protocol == ProtocolId.IKE for proposal in proposals):
            self._task = RekeyIkeResponder()
        self._task.process(sa, request)

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """Its answer."""
        return self._task.build(sa)
