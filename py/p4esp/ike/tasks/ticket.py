"""INFORMATIONAL that asks for a ticket (RFC 5723 4.1)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict


class RequestTicket(InitiatorTask):
    """For who began the IKE SA: after a rekey, and before a ticket expires."""

    exchange = ExchangeType.INFORMATIONAL

    def prepare(self, sa: IkeSaState) -> bool:
        """False when we want none, or have one that is good for long."""
        ticket = sa.resumption.ticket
        due = ticket is None or ticket.renew <= sa.now
        return sa.resumption.wanted and due and sa.phase is Phase.ESTABLISHED

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(TICKET_REQUEST)."""
        sa.resumption.asking = True
        return [Notify(NotifyType.TICKET_REQUEST)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """The ticket has been taken from the answer, if there was one."""
        return Verdict.DONE
