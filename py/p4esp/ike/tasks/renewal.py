"""What is asked and told anew once an IKE SA has taken over from the one that it replaces."""

from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import InitiatorTask
from p4esp.ike.tasks.crash_token import TellToken
from p4esp.ike.tasks.ticket import RequestTicket


def renewals(heir: IkeSaState) -> list[InitiatorTask]:
    """Exchanges that begin its life; those that have nothing to say are skipped."""
    return [TellToken(), RequestTicket()]
