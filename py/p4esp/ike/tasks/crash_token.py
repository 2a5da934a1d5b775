"""INFORMATIONAL that gives the peer our token of a new IKE SA (RFC 6290 4.3)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType
from p4esp.ike.extensions.crash_detection import makes_tokens, tell
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict


class TellToken(InitiatorTask):
    """For the end that began the rekey: the other told its own in the answer."""

    exchange = ExchangeType.INFORMATIONAL

    def prepare(self, sa: IkeSaState) -> bool:
        """False when there is none to tell, or the peer has it."""
        return makes_tokens(sa) and not sa.crash.told

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(QUICK_CRASH_DETECTION)."""
        return tell(sa)

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """The answer says only that it was heard."""
        return Verdict.DONE
