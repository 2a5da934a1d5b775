"""CREATE_CHILD_SA that rekeys the IKE SA itself (RFC 7296 1.3.2, 2.8.2, 2.18, 2.25.2)."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from p4esp.ike.auth.ppk_rekey import FreshPpk, answer_fresh_ppk
from p4esp.ike.choosing import select, verify_choice
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.constants import (
    NO_SPI,
    OWN_NONCE_SIZE,
    ExchangeType,
    NotifyType,
    TransformType,
    name_of,
)
from p4esp.ike.crypto.schedule import FreshInput, Nonces
from p4esp.ike.errors import ProposalError, Refusal
from p4esp.ike.establish import check_nonces, derive_rekeyed
from p4esp.ike.events import IkeRekeyFailed
from p4esp.ike.inheriting import (
    GO_REGULAR,
    IKE_SPI_SIZE,
    inherited_ike,
    inherited_proposal,
    new_spi,
    require_same_method,
    spi_named,
)
from p4esp.ike.ke_payloads import KeyOffer, answer_key_exchange, chosen_method
from p4esp.ike.proposals import Template, offers
from p4esp.ike.retrying import answered, retry_later
from p4esp.ike.spi import new_ike_spi
from p4esp.ike.state import IkeSaState, Phase, Subject
from p4esp.ike.succession import made_by_peer, made_by_us, ours_failed
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict
from p4esp.ike.tasks.ike_followup_ke import await_followups, follow_up
from p4esp.ike.teardown import OVER


class RekeyIke(InitiatorTask):
    """Our half: replace the IKE SA by a fresh one that inherits its child SAs."""

    exchange = ExchangeType.CREATE_CHILD_SA
    subject = Subject.IKE_SA

    def __init__(self, sa: IkeSaState) -> None:
        """`sa` is the IKE SA to replace; no other is."""
        self._old = sa
        self._spi = new_ike_spi(sa.env.random)
        self._inherited = inherited_ike(sa, _templates(sa), self._spi)
        """What the new one is to be like, in an optimized rekey."""
        self._propose(sa)
        self._ppks = FreshPpk()
        self._nonce = b""
        self._peer_spi = NO_SPI
        self._agreed: tuple[Proposal, FreshInput] | None = None

    def _propose(self, sa: IkeSaState) -> None:
        inherited = self._inherited
        self._offers = (inherited,) if inherited else offers(_templates(sa), self._spi)
        self._key = KeyOffer(self._offers, sa.secrets[0].key_exchange.transform_id)

    def prepare(self, sa: IkeSaState) -> bool:
        """Nothing is left to do when the peer was faster."""
        return sa is self._old and sa.phase is Phase.ESTABLISHED

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """SA with our new SPI, or of an optimized rekey N(OPTIMIZED_REKEY); Ni, KEi."""
        self._nonce = sa.env.random(OWN_NONCE_SIZE)
        ke = self._key.payloads(sa.env.random)
        named = new_spi(self._spi) if self._inherited else SecurityAssociation(self._offers)
        return [named, Nonce(self._nonce), *ke, *self._ppks.notifies(sa, self._nonce)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Make the new IKE SA, or see what the refusal asks for."""
        error = reply.payloads.error()
        if error is None:
            self._conclude(sa, reply)
        elif self._can_ask_otherwise(sa, error):
            sa.tasks.appendleft(self)
        else:
            self.refused(sa, error)
        return Verdict.DONE

    def _can_ask_otherwise(self, sa: IkeSaState, error: Notify) -> bool:
        """For one that need not be like the old one, or with another key exchange method."""
        if self._inherited is not None and error.type in GO_REGULAR:
            self._inherited = None
            self._propose(sa)
            return True
        return error.type == NotifyType.INVALID_KE_PAYLOAD and self._key.change(error.data)

    def _conclude(self, sa: IkeSaState, reply: Inbound) -> None:
        payloads = reply.payloads
        answered(sa)
        chosen = self._chosen(sa, payloads)
        secret = self._key.conclude(payloads, chosen_method(chosen))
        nonces = Nonces(self._nonce, payloads.one(Nonce).data)
        check_nonces(chosen, nonces)
        self._peer_spi = _ike_spi(chosen)
        self._agreed = chosen, FreshInput(nonces, secret, ppk=self._ppks.taken(sa, payloads))
        follow_up(sa, self, chosen, payloads)

    def _chosen(self, sa: IkeSaState, answer: PayloadSet) -> Proposal:
        if self._inherited is None:
            return verify_choice(answer.one(SecurityAssociation).proposals, self._offers)
        spi = spi_named(sa, answer, IKE_SPI_SIZE)
        if spi is None:
            raise ProposalError("the answer to an optimized rekey names no SPI of 8 octets")
        return replace(self._inherited, spi=spi)

    def finish(self, sa: IkeSaState, additional: bytes) -> None:
        """Make the new IKE SA, with the secrets of additional exchanges if there were any."""
        if self._agreed is None:
            raise RuntimeError("CREATE_CHILD_SA was not answered")
        chosen, fresh = self._agreed
        new = sa.successor(self._spi, self._peer_spi, initiator=True)
        derive_rekeyed(new, sa, chosen, replace(fresh, additional=additional))
        made_by_us(sa, new)

    def refused(self, sa: IkeSaState, error: Notify) -> None:
        """The IKE SA stays as it is."""
        ours_failed(sa)
        if sa.phase is not Phase.ESTABLISHED:
            return
        if error.type in (NotifyType.TEMPORARY_FAILURE, NotifyType.STATE_NOT_FOUND):
            retry_later(sa, self)
        else:
            sa.events.append(IkeRekeyFailed(sa.info(), name_of(NotifyType, error.type)))


def is_being_rekeyed(sa: IkeSaState) -> bool:
    """Whether our request is outstanding, queued or put off."""
    waiting = [*sa.tasks, *(task for _, task in sa.deferred)]
    return sa.asking is Subject.IKE_SA or any(isinstance(task, RekeyIke) for task in waiting)


class RekeyIkeResponder(ResponderTask):
    """The peer's half."""

    def __init__(self, new_spi: bytes | None = None) -> None:
        """`new_spi`: what the request names of an IKE SA that is to be like the old one."""
        self._new_spi = new_spi
        self._answer: list[AnyPayload] = []

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Make the new IKE SA; it takes over at once unless we are rekeying too."""
        _check_possible(sa)
        payloads = request.payloads
        chosen = self._choose(sa, payloads)
        peer_spi = _ike_spi(chosen)
        ke, secret = answer_key_exchange(sa.env.random, payloads, chosen_method(chosen))
        nonces = Nonces(payloads.one(Nonce).data, sa.env.random(OWN_NONCE_SIZE))
        check_nonces(chosen, nonces)
        answer = replace(chosen, spi=new_ike_spi(sa.env.random))
        taken, ppk = answer_fresh_ppk(sa, payloads)
        fresh = FreshInput(nonces, secret, ppk=ppk)
        finish = partial(self._finish, sa, peer_spi, answer, fresh)
        named = SecurityAssociation((answer,)) if self._new_spi is None else new_spi(answer.spi)
        self._answer = [named, Nonce(nonces.responder), *ke, *taken]
        self._answer += await_followups(sa, chosen, finish, lambda: None)

    def _choose(self, sa: IkeSaState, request: PayloadSet) -> Proposal:
        if self._new_spi is None:
            return select(request.one(SecurityAssociation).proposals, _templates(sa))
        chosen = inherited_proposal(sa.proposal, _templates(sa), self._new_spi)
        require_same_method(request, chosen)
        return chosen

    @staticmethod
    def _finish(
        sa: IkeSaState, peer_spi: bytes, answer: Proposal, fresh: FreshInput, additional: bytes
    ) -> None:
        _check_possible(sa)
        new = sa.successor(peer_spi, answer.spi, initiator=False)
        derive_rekeyed(new, sa, answer, replace(fresh, additional=additional))
        made_by_peer(sa, new)

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """SA with our new SPI, or of an optimized rekey N(OPTIMIZED_REKEY); Nr, KEr."""
        return self._answer


def _check_possible(sa: IkeSaState) -> None:
    if sa.phase is not Phase.ESTABLISHED or sa.rival is not None:
        raise Refusal(NotifyType.TEMPORARY_FAILURE, f"the IKE SA is {sa.phase.name}")
    if sa.asking is Subject.CHILD_SA:
        raise Refusal(NotifyType.TEMPORARY_FAILURE, "a child SA of it is being changed")
    if sa.predecessor is not None and sa.predecessor.phase not in OVER:
        raise Refusal(NotifyType.TEMPORARY_FAILURE, "its predecessor has not been deleted yet")


def _templates(sa: IkeSaState) -> Sequence[Template]:
    """Our templates with the PRF in use: peers differ on which PRF, the old or the new one, makes
    the new keys.
    """
    prf = sa.secrets[0].prf.transform_id
    kept = (_with_prf(template, prf) for template in sa.config.proposals)
    return [template for template in kept if template.of_type(TransformType.PRF)]


def _with_prf(template: Template, prf: int) -> Template:
    fitting = (t for t in template.transforms if t.type != TransformType.PRF or t.id == prf)
    return replace(template, transforms=tuple(fitting))


def _ike_spi(chosen: Proposal) -> bytes:
    if len(chosen.spi) != len(NO_SPI) or chosen.spi == NO_SPI:
        raise ProposalError(f"the new IKE SA's SPI is {chosen.spi.hex() or 'missing'}")
    return chosen.spi
