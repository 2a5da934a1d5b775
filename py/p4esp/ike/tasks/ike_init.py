"""IKE_SA_INIT (RFC 7296 1.2, 2.6, 2.7)."""

from p4esp.ike.choosing import select, verify_choice, without_additional
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import KeyExchange, Nonce
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import (
    NO_SPI,
    OWN_NONCE_SIZE,
    ExchangeType,
    NotifyType,
    TransformType,
    name_of,
)
from p4esp.ike.cookie_demands import CookieDemands
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod
from p4esp.ike.crypto.methods import KEY_EXCHANGES
from p4esp.ike.crypto.schedule import Nonces
from p4esp.ike.errors import ParseError, ProposalError, Refusal
from p4esp.ike.establish import check_nonces, derive_keys
from p4esp.ike.events import InitRefused
from p4esp.ike.ke_payloads import offered_methods
from p4esp.ike.ppk import PpkMode
from p4esp.ike.proposals import Template, additional_methods, offers
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict
from p4esp.ike.tasks.ike_auth import IkeAuth
from p4esp.ike.tasks.ike_intermediate import IkeIntermediate


class IkeInit(InitiatorTask):
    """Our half: one attempt, with retries for a cookie or another key exchange method."""

    exchange = ExchangeType.IKE_SA_INIT

    def __init__(self, sa: IkeSaState, child: ChildConfig | None) -> None:
        """`child` is asked for in the IKE_AUTH that follows; None: no child SA."""
        self._child = child
        self._offers = offers(sa.config.proposals)
        self._nonce = sa.env.random(OWN_NONCE_SIZE)
        self._cookies = CookieDemands()
        self._tried: set[int] = set()
        self._exchange = self._start(sa, offered_methods(self._offers)[0])

    def _start(self, sa: IkeSaState, method: int) -> KeyExchangeMethod:
        self._tried.add(method)
        return KEY_EXCHANGES[method](sa.env.random)

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(COOKIE) first when we were given one, then SA, KE, Ni."""
        cookie = self._cookies.payloads(sa)
        ke = KeyExchange(self._exchange.transform_id, self._exchange.public)
        return [*cookie, SecurityAssociation(self._offers), ke, Nonce(self._nonce)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Conclude, retry, or wait on: nothing in this message is authenticated yet."""
        payloads = reply.payloads
        if payloads.has(SecurityAssociation):
            return self._answered(sa, reply)
        if (cookie := payloads.notify(NotifyType.COOKIE)) is not None:
            return self._cookies.take(sa, cookie, payloads)
        if (wanted := payloads.notify(NotifyType.INVALID_KE_PAYLOAD)) is not None:
            return self._change_method(sa, wanted.data)
        if (error := payloads.error()) is not None:
            self._report(sa, name_of(NotifyType, error.type))
        return Verdict.IGNORE

    def _answered(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        ppk = sa.config.ppk
        if ppk is not None and ppk.required and sa.ppk.agreed is PpkMode.NONE:
            self._report(sa, "the answer has no use for the PPK, which is mandatory")
            return Verdict.IGNORE
        self._conclude(sa, reply)
        return Verdict.DONE

    def _change_method(self, sa: IkeSaState, data: bytes) -> Verdict:
        method = int.from_bytes(data, "big")
        if len(self._tried) > 1 and method == self._exchange.transform_id:
            return Verdict.IGNORE  # an answer to the request before this one
        if len(data) != 2 or method in self._tried or method not in offered_methods(self._offers):
            self._report(sa, f"INVALID_KE_PAYLOAD wants method {data.hex()}, which is no choice")
            return Verdict.IGNORE
        self._exchange = self._start(sa, method)
        self._cookies.settle()
        return Verdict.RETRY

    def _report(self, sa: IkeSaState, reason: str) -> None:
        sa.events.append(InitRefused(sa.info(), reason))

    def _conclude(self, sa: IkeSaState, reply: Inbound) -> None:
        payloads = reply.payloads
        chosen = verify_choice(payloads.one(SecurityAssociation).proposals, self._offers)
        ke, nonce = payloads.one(KeyExchange), payloads.one(Nonce)
        if additional_methods(chosen) and not sa.additional.supported:
            raise ProposalError("the answer has additional key exchanges but no IKE_INTERMEDIATE")
        method = self._exchange.transform_id
        if reply.header.spi_r == NO_SPI or not method == ke.method == _method(chosen):
            raise ProposalError("the answer lacks an SPI or uses another key exchange method")
        nonces = Nonces(self._nonce, nonce.data)
        check_nonces(chosen, nonces)
        secret = self._exchange.shared_secret(ke.data)
        sa.spi_r, sa.init_response = reply.header.spi_r, reply.raw
        derive_keys(sa, chosen, nonces, secret)
        if sa.nat is not None and (sa.nat.found or sa.config.mobike):  # RFC 4555 3.3
            sa.use_path(sa.env.settings.ports.float(sa.path))
        sa.tasks.extend(IkeIntermediate() for _ in range(sa.additional.rounds))
        sa.tasks.append(IkeAuth(self._child))


class IkeInitResponder(ResponderTask):
    """The peer's half; an error leaves no state behind."""

    def __init__(self) -> None:
        self._payloads: list[AnyPayload] = []

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Choose algorithms, make our key pair and the IKE SA's keys."""
        payloads = request.payloads
        offered = payloads.one(SecurityAssociation).proposals
        ke, nonce = payloads.one(KeyExchange), payloads.one(Nonce)
        templates = _templates(sa)
        if not sa.additional.supported:
            templates = without_additional(templates)
        chosen = select(offered, templates)
        self._check_method(ke.method, _method(chosen))
        own_nonce = sa.env.random(OWN_NONCE_SIZE)
        nonces = Nonces(nonce.data, own_nonce)
        check_nonces(chosen, nonces)
        answer = KEY_EXCHANGES[ke.method].respond(sa.env.random, ke.data)
        sa.init_request = request.raw
        derive_keys(sa, chosen, nonces, answer.secret)
        self._payloads = [
            SecurityAssociation((chosen,)),
            KeyExchange(ke.method, answer.public),
            Nonce(own_nonce),
        ]

    @staticmethod
    def _check_method(got: int, chosen: int) -> None:
        if got != chosen:
            reason = f"KE payload uses method {got}, chosen is {chosen}"
            data = chosen.to_bytes(2, "big")
            raise Refusal(NotifyType.INVALID_KE_PAYLOAD, reason, data=data)

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """SA, KE, Nr."""
        return self._payloads


def _templates(sa: IkeSaState) -> list[Template]:
    """What any peer in question may use; many peers have the same, if not the very same."""
    same = {id(one): one for peer in sa.candidates for one in peer.proposals}
    return list(dict.fromkeys(same.values()))


def _method(chosen: Proposal) -> int:
    transforms = chosen.of_type(TransformType.KE)
    if len(transforms) != 1:
        raise ParseError("an IKE proposal was chosen without a key exchange method")
    return transforms[0].id
