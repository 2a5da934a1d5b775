"""IKE_INTERMEDIATE: what is added to the keys before IKE_AUTH (RFC 9242): additional key exchanges
(RFC 9370 2.2.2), one each, and with the last of them a postquantum preshared key (RFC 9867 3.1).
"""

from p4esp.ike.auth.ppk_offer import PpkChoice, PpkOffer, choose_ppk, initial_context
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import KeyExchange
from p4esp.ike.constants import ExchangeType, NotifyType, name_of
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod
from p4esp.ike.errors import AuthenticationError, ProposalError
from p4esp.ike.establish import add_key_exchange, add_ppk
from p4esp.ike.events import DownReason
from p4esp.ike.ke_payloads import payload_of
from p4esp.ike.ppk import PpkMode
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict
from p4esp.ike.teardown import give_up


def _with_ppk(sa: IkeSaState) -> bool:
    """Whether this is the round for it: the last."""
    return sa.additional.rounds == 1 and sa.ppk.agreed is PpkMode.INTERMEDIATE


class IkeIntermediate(InitiatorTask):
    """Our half of the next round."""

    exchange = ExchangeType.IKE_INTERMEDIATE

    def __init__(self) -> None:
        self._exchange: KeyExchangeMethod | None = None
        self._ppks = PpkOffer()

    def prepare(self, sa: IkeSaState) -> bool:
        """Give up when there is no key left to offer, and it takes one."""
        if not _with_ppk(sa) or self._ppks.keys(sa) or not _is_required(sa):
            return True
        give_up(sa, DownReason.PROTOCOL_ERROR, "the PPK is mandatory, and there is none to offer")
        return False

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """[KEi(n)] [N(PPK_IDENTITY_KEY) ...]."""
        named = self._ppks.notifies(sa, initial_context(sa)) if _with_ppk(sa) else []
        if not sa.additional.pending:
            return named
        self._exchange = sa.additional.pending[0](sa.env.random)
        return [KeyExchange(self._exchange.transform_id, self._exchange.public), *named]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Mix the secrets in. Any error ends the attempt: there is no way on without them."""
        error = reply.payloads.error()
        if error is not None:
            name = name_of(NotifyType, error.type)
            raise ProposalError(f"the peer refused IKE_INTERMEDIATE with {name}")
        if sa.additional.pending:
            self._take_key_exchange(sa, reply.payloads)
        if _with_ppk(sa):
            self._take_ppk(sa, reply.payloads)
        sa.additional.rounds -= 1
        return Verdict.DONE

    def _take_key_exchange(self, sa: IkeSaState, answer: PayloadSet) -> None:
        ke = payload_of(answer, sa.additional.pending[0].transform_id)
        if self._exchange is None:
            raise RuntimeError("IKE_INTERMEDIATE was not built")
        add_key_exchange(sa, self._exchange.shared_secret(ke.data))

    def _take_ppk(self, sa: IkeSaState, answer: PayloadSet) -> None:
        """Without one that is mandatory the peer does not learn who we are."""
        key = self._ppks.taken(sa, answer)
        if key is not None:
            add_ppk(sa, key)
        elif _is_required(sa):
            raise ProposalError("the PPK is mandatory, and the peer took none of ours")


def _is_required(sa: IkeSaState) -> bool:
    return sa.config.ppk is not None and sa.config.ppk.required


class IkeIntermediateResponder(ResponderTask):
    """The peer's half."""

    def __init__(self) -> None:
        self._secret: bytes | None = None
        self._choice: PpkChoice | None = None
        self._answer: list[AnyPayload] = []

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Make our value, choose a PPK. One that is not the method's turn or not acceptable is
        fatal.
        """
        if sa.additional.pending:
            self._answer_key_exchange(sa, request.payloads)
        if _with_ppk(sa):
            self._choose_ppk(sa, request.payloads)

    def _answer_key_exchange(self, sa: IkeSaState, request: PayloadSet) -> None:
        method = sa.additional.pending[0]
        ke = payload_of(request, method.transform_id)
        public, self._secret = method.respond(sa.env.random, ke.data)
        self._answer.append(KeyExchange(method.transform_id, public))

    def _choose_ppk(self, sa: IkeSaState, request: PayloadSet) -> None:
        """Of any peer that it may be; IKE_AUTH tells whether it is the peer's."""
        owners = [
            peer for peer in sa.candidates if peer.ppk and PpkMode.INTERMEDIATE in peer.ppk.modes
        ]
        self._choice = choose_ppk(sa, owners, request, initial_context(sa))
        if self._choice is not None:
            self._answer.append(self._choice.notify())
        elif all(peer.ppk is not None and peer.ppk.required for peer in sa.candidates):
            raise AuthenticationError("the PPK is mandatory, and none of the peer's is ours")

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """[KEr(n)] [N(PPK_IDENTITY)]."""
        return self._answer

    def answered(self, sa: IkeSaState) -> None:
        """Mix the secrets in, now that the answer is sealed under the keys before them."""
        if self._secret is not None:
            add_key_exchange(sa, self._secret)
        if self._choice is not None:
            add_ppk(sa, self._choice.key)
            sa.ppk.owner = self._choice.owner.name
        sa.additional.rounds -= 1
