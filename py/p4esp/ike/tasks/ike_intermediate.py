"""IKE_INTERMEDIATE: additional key exchanges before IKE_AUTH (RFC 9242, RFC 9370 2.2.2)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import KeyExchange
from p4esp.ike.constants import ExchangeType, NotifyType, name_of
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod
from p4esp.ike.errors import ProposalError
from p4esp.ike.establish import add_key_exchange
from p4esp.ike.ke_payloads import payload_of
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict


class IkeIntermediate(InitiatorTask):
    """Our half of the next key exchange that was agreed on."""

    exchange = ExchangeType.IKE_INTERMEDIATE

    def __init__(self) -> None:
        self._exchange: KeyExchangeMethod | None = None

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """KEi(n)."""
        self._exchange = sa.additional.pending[0](sa.env.random)
        return [KeyExchange(self._exchange.transform_id, self._exchange.public)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Mix the secret in. Any error ends the attempt: there is no way on without this one."""
        error = reply.payloads.error()
        if error is not None:
            name = name_of(NotifyType, error.type)
            raise ProposalError(f"the peer refused IKE_INTERMEDIATE with {name}")
        ke = payload_of(reply.payloads, sa.additional.pending[0].transform_id)
        if self._exchange is None:
            raise RuntimeError("IKE_INTERMEDIATE was not built")
        add_key_exchange(sa, self._exchange.shared_secret(ke.data))
        return Verdict.DONE


class IkeIntermediateResponder(ResponderTask):
    """The peer's half."""

    def __init__(self) -> None:
        self._secret = b""
        self._answer: list[AnyPayload] = []

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Make our value. One that is not the method's turn or not acceptable is fatal."""
        method = sa.additional.pending[0]
        ke = payload_of(request.payloads, method.transform_id)
        public, self._secret = method.respond(sa.env.random, ke.data)
        self._answer = [KeyExchange(method.transform_id, public)]

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """KEr(n)."""
        return self._answer

    def answered(self, sa: IkeSaState) -> None:
        """Mix the secret in, now that the answer is sealed under the keys before it."""
        add_key_exchange(sa, self._secret)
