"""Leaving an IKE SA because there is a better gateway, at both ends (RFC 5685 5, 6)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.events import DownReason, Redirected
from p4esp.ike.redirection import Gateway, encode_gateway
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict
from p4esp.ike.tasks.deleting import DeleteIke

PATIENCE = 30.0
"""Seconds a peer has to leave by itself once it was told where to go."""


class Leave(DeleteIke):
    """Delete an established IKE SA, whatever else was to be asked."""

    def __init__(self) -> None:
        super().__init__(DownReason.REDIRECTED)

    def prepare(self, sa: IkeSaState) -> bool:
        """False when it is being deleted already, or its peer has not proved who it is."""
        if sa.phase is not Phase.ESTABLISHED:
            return False
        sa.abandon_tasks()
        sa.phase = Phase.DELETING
        return True


class FollowRedirect(Leave):
    """The peer sends us to another gateway: tell the owner, and leave."""

    def __init__(self, gateway: Gateway) -> None:
        super().__init__()
        self._gateway = gateway

    def prepare(self, sa: IkeSaState) -> bool:
        """False when we are leaving anyhow."""
        if not super().prepare(sa):
            return False
        names = [child.config.name for child in sa.children] or sa.redirection.first_children
        sa.events.append(Redirected(sa.info(), self._gateway, tuple(dict.fromkeys(names))))
        return True


class SendAway(InitiatorTask):
    """Tell the peer to go to another gateway; when it does not leave, we do."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(REDIRECT)."""
        return [Notify(NotifyType.REDIRECT, encode_gateway(self._gateway))]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """The answer says only that it was heard."""
        sa.deferred.append((sa.now + PATIENCE, Leave()))
        return Verdict.DONE
