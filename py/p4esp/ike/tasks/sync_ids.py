"""INFORMATIONAL with message ID 0: we have taken over an IKE SA (RFC 6311 5.1)."""

from collections.abc import Callable

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.message_id_sync import NONCE_SIZE, SyncIds, counter_notify
from p4esp.ike.notifies import MalformedNotifyError, note_ignored
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict


class SyncIdsRequest(InitiatorTask):
    """Our numbers, and the higher ones that the peer answers."""

    exchange = ExchangeType.INFORMATIONAL
    message_id = 0

    def __init__(
        self, send: int, receive: int, missed: int, use: Callable[[int, int], None]
    ) -> None:
        """`send` and `receive` are ours; `missed` packets may have come that we do not know of.
        `use` is called with the numbers that count.
        """
        self._send, self._receive, self._missed = send, receive, missed
        self._use = use
        self._ids: SyncIds | None = None

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(IKEV2_MESSAGE_ID_SYNC), and N(IPSEC_REPLAY_COUNTER_SYNC) where that was agreed on."""
        self._ids = SyncIds(sa.env.random(NONCE_SIZE), self._send, self._receive)
        counters = NotifyType.IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED
        raised = self._missed and sa.announced.agreed(counters)
        return [self._ids.notify(), *([counter_notify(sa, self._missed)] if raised else [])]

    def is_new(self, sa: IkeSaState, reply: PayloadSet) -> bool:
        """An answer with another nonce, or that goes back, is none."""
        try:
            answer = SyncIds.of(reply)
        except MalformedNotifyError as error:
            note_ignored(sa, str(error))
            return False
        if not self._fits(answer):
            note_ignored(sa, "an answer to another synchronisation of message IDs")
            return False
        return True

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Use the numbers of an answer that `is_new`."""
        answer = SyncIds.of(reply.payloads)
        self._use(answer.receive, answer.send)
        return Verdict.DONE

    def _fits(self, answer: SyncIds) -> bool:
        forward = answer.receive >= self._send and answer.send >= self._receive
        return self._ids is not None and same_secret(answer.nonce, self._ids.nonce) and forward
