"""CREATE_CHILD_SA: new child SAs and rekeying of old ones (RFC 7296 1.3, 2.8, 2.25)."""

from dataclasses import replace
from functools import partial

from p4esp.ike.auth.ppk_rekey import FreshPpk, answer_fresh_ppk
from p4esp.ike.child_scope import Scope
from p4esp.ike.children import ChildPhase, ChildSa
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.config import ChildConfig
from p4esp.ike.constants import (
    OWN_NONCE_SIZE,
    ExchangeType,
    NotifyType,
    ProtocolId,
    name_of,
)
from p4esp.ike.crypto.schedule import FreshInput, Nonces
from p4esp.ike.errors import IkeError, ParseError, Refusal
from p4esp.ike.events import ChildFailed, ChildRekeyed, ChildUp, DownReason
from p4esp.ike.inheriting import (
    GO_REGULAR,
    InheritedOffer,
    accept_inheritance,
    answer_inheriting,
    inherited_offer,
)
from p4esp.ike.ke_payloads import KeyOffer, answer_key_exchange, chosen_method
from p4esp.ike.negotiation import (
    Agreement,
    ChildOffer,
    accept_answer,
    answer_offer,
    enter_child,
    make_offer,
    refusal_detail,
)
from p4esp.ike.retrying import answered, retry_later
from p4esp.ike.state import IkeSaState, Phase, Subject
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict
from p4esp.ike.tasks.deleting import DeleteChild, DeleteSpi
from p4esp.ike.tasks.ike_followup_ke import await_followups, follow_up
from p4esp.ipsec.sa import EVERYTHING, Share

_CHILD_PROTOCOLS = (ProtocolId.AH, ProtocolId.ESP, ProtocolId.EESP)


class CreateChild(InitiatorTask):
    """Our half: ask for a new child SA, or for the successor of one we have."""

    exchange = ExchangeType.CREATE_CHILD_SA
    subject = Subject.CHILD_SA

    def __init__(
        self,
        config: ChildConfig,
        replaces: ChildSa | None = None,
        packet: Scope | None = None,
        share: Share = EVERYTHING,
    ) -> None:
        """`packet`: the traffic that makes us ask for a new child SA (RFC 7296 2.9); `share`: what
        part of the child's traffic a new one is for.
        """
        self._config = config
        self._old = replaces
        self._packet = packet
        self._share = share
        self._regular = False
        """Whether the peer has refused an SA just like the old one."""
        self._single = False
        """Whether the peer wants a pair of addresses, not ranges."""
        self._nonce = b""
        self._offer: ChildOffer | None = None
        self._key: KeyOffer | None = None
        self._ppks = FreshPpk()
        self._agreed: tuple[Agreement, FreshInput] | None = None

    def prepare(self, sa: IkeSaState) -> bool:
        """Rekey only while the old SA is there and nobody else replaces or deletes it."""
        if self._old is not None and not _replaceable(sa, self._old):
            return False
        try:
            self._offer = self._make_offer(sa)
        except Refusal as refusal:
            self._fail(sa, str(refusal))
        return self._offer is not None

    def _fail(
        self, sa: IkeSaState, reason: str, detail: str = "", refusal: NotifyType | None = None
    ) -> None:
        share = self._share if self._old is None else self._old.params.share
        failed = ChildFailed(sa.info(), self._config.name, reason, detail, share, refusal)
        sa.events.append(failed)

    def _make_offer(self, sa: IkeSaState) -> ChildOffer:
        if self._old is not None and not self._regular:
            inherited = inherited_offer(sa, self._old)
            if inherited is not None:
                return inherited
        packet, share = self._packet, self._share
        offer = make_offer(sa, self._config, self._old, packet=packet, with_ke=True, share=share)
        if not self._single or packet is None:
            return offer
        pair = replace(offer.scope, local_ts=packet.local_ts, remote_ts=packet.remote_ts)
        return replace(offer, scope=pair)

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """[N(REKEY_SA)] [N(USE_TRANSPORT_MODE | USE_BEET_MODE)] SA Ni [KEi] TSi TSr; of an
        optimized rekey N(REKEY_SA) N(OPTIMIZED_REKEY) Ni [KEi].
        """
        offer = self._made_offer()
        sa.awaiting_child = True
        self._nonce = sa.env.random(OWN_NONCE_SIZE)
        ke = self._key_offer(offer).payloads(sa.env.random)
        ppks = self._ppks.notifies(sa, self._nonce)
        return [*self._rekey(), *offer.payloads(Nonce(self._nonce), *ke), *ppks]

    def _made_offer(self) -> ChildOffer:
        if self._offer is None:
            raise RuntimeError("CREATE_CHILD_SA was not prepared")
        return self._offer

    def _key_offer(self, offer: ChildOffer) -> KeyOffer:
        """The same for all tries, so that it remembers what the peer wants."""
        if self._key is None:
            guess = None if self._old is None else self._old.known_method
            self._key = KeyOffer(offer.proposals, guess)
        return self._key

    def _rekey(self) -> list[AnyPayload]:
        if self._old is None:
            return []
        self._old.phase = ChildPhase.REKEYING
        spi = self._old.params.spi_in.to_bytes(4, "big")
        return [Notify(NotifyType.REKEY_SA, protocol=self._old.protocol, spi=spi)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Take the new SA up, or see what the refusal asks for."""
        error = reply.payloads.error()
        if error is None:
            answered(sa)
            self._conclude(sa, reply)
        else:
            self.refused(sa, error)
        return Verdict.DONE

    def _stop_waiting(self, sa: IkeSaState) -> None:
        sa.awaiting_child = False
        if self._old is not None and self._old.phase is ChildPhase.REKEYING:
            self._old.phase = ChildPhase.INSTALLED

    def abandon(self, sa: IkeSaState) -> None:
        """Give back the SPI."""
        if self._offer is not None:
            sa.env.spis.release(self._offer.spi)
            self._offer = None

    def _conclude(self, sa: IkeSaState, reply: Inbound) -> None:
        offer = self._made_offer()
        nonces = Nonces(self._nonce, reply.payloads.one(Nonce).data)
        try:
            agreement = _accept(sa, offer, reply.payloads)
            secret = self._key_offer(offer).conclude(
                reply.payloads, chosen_method(agreement.chosen)
            )
            ppk = self._ppks.taken(sa, reply.payloads)
        except IkeError as bad:
            self._stop_waiting(sa)
            sa.early_deletes.clear()
            sa.tasks.append(DeleteSpi(offer.spi, offer.protocols))
            self._fail(sa, str(bad))
        else:
            self._agreed = agreement, FreshInput(nonces, secret, ppk=ppk)
            follow_up(sa, self, agreement.chosen, reply.payloads)

    def finish(self, sa: IkeSaState, additional: bytes) -> None:
        """Make the keys, with the secrets of additional exchanges if there were any."""
        if self._agreed is None:
            raise RuntimeError("CREATE_CHILD_SA was not answered")
        agreement, fresh = self._agreed
        self._stop_waiting(sa)
        self._take_up(sa, enter_child(sa, agreement, replace(fresh, additional=additional)))
        sa.early_deletes.clear()

    def _take_up(self, sa: IkeSaState, child: ChildSa) -> None:
        old = self._old
        if (child.protocol, child.params.spi_out) in sa.early_deletes:
            self._drop_deleted(sa, child)
        elif old is None:
            sa.events.append(ChildUp(child.params))
        elif old.successor is not None and child.nonces.lowest < old.successor.nonces.lowest:
            self._lose(sa, child)
        else:
            self._replace(sa, old, child)

    def _drop_deleted(self, sa: IkeSaState, child: ChildSa) -> None:
        sa.children.remove(child)
        self.abandon(sa)
        self._fail(sa, "the peer deleted it before its answer reached us")

    @staticmethod
    def _lose(sa: IkeSaState, child: ChildSa) -> None:
        """Both ends rekeyed at once and ours has the lowest nonce: it goes (RFC 7296 2.8.1)."""
        sa.events.append(ChildUp(child.params))
        sa.tasks.append(DeleteChild(child, DownReason.COLLISION))

    @staticmethod
    def _replace(sa: IkeSaState, old: ChildSa, child: ChildSa) -> None:
        sa.events.append(ChildRekeyed(old.params, child.params))
        if old in sa.children:
            sa.tasks.append(DeleteChild(old, DownReason.REKEYED))

    def refused(self, sa: IkeSaState, error: Notify) -> None:
        """Do what the error asks for."""
        offer = self._made_offer()
        self._stop_waiting(sa)
        sa.early_deletes.clear()
        self.abandon(sa)
        if error.type in (NotifyType.TEMPORARY_FAILURE, NotifyType.STATE_NOT_FOUND):
            retry_later(sa, self)
        elif error.type == NotifyType.CHILD_SA_NOT_FOUND and self._old is not None:
            self._start_over(sa, self._old)
        elif self._can_ask_otherwise(offer, error):
            sa.tasks.appendleft(self)
        else:
            reason, detail = name_of(NotifyType, error.type), refusal_detail(offer, error)
            known = NotifyType(error.type) if error.type in list(NotifyType) else None
            self._fail(sa, reason, detail, known)

    def _can_ask_otherwise(self, offer: ChildOffer, error: Notify) -> bool:
        """For an SA that need not be like the old one, with another key exchange method, or for the
        packet's addresses alone.
        """
        if isinstance(offer, InheritedOffer):
            self._regular, self._key = True, None
            return error.type in GO_REGULAR
        if error.type == NotifyType.INVALID_KE_PAYLOAD and self._key is not None:
            return self._key.change(error.data)
        if error.type != NotifyType.SINGLE_PAIR_REQUIRED or self._packet is None:
            return False
        tried, self._single = self._single, True
        return not tried

    def _start_over(self, sa: IkeSaState, old: ChildSa) -> None:
        """The peer has lost the SA: drop it here too and make a new one (RFC 7296 2.25.1)."""
        if old in sa.children and old.successor is None:
            sa.drop_child(old, DownReason.PEER_DELETE)
            sa.tasks.append(CreateChild(self._config, share=old.params.share))


def _accept(sa: IkeSaState, offer: ChildOffer, answer: PayloadSet) -> Agreement:
    if isinstance(offer, InheritedOffer):
        return accept_inheritance(sa, offer, answer)
    return accept_answer(sa, offer, answer)


def _replaceable(sa: IkeSaState, old: ChildSa) -> bool:
    return old in sa.children and old.phase is not ChildPhase.DELETING and old.successor is None


class CreateChildResponder(ResponderTask):
    """The peer's half."""

    def __init__(self, new_spi: bytes | None = None) -> None:
        """`new_spi`: what the request names of an SA that is to be like the old one."""
        self._new_spi = new_spi
        self._answer: list[AnyPayload] = []

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Make the child SA, or refuse with the notify RFC 7296 2.25 names."""
        payloads = request.payloads
        _check_possible(sa)
        rekey = payloads.notify(NotifyType.REKEY_SA)
        old = None if rekey is None else _find_rekeyed(sa, rekey)
        nonces = Nonces(payloads.one(Nonce).data, sa.env.random(OWN_NONCE_SIZE))
        agreement = self._agree(sa, payloads, old)
        fresh, more = _answer_keys(sa, agreement, request, nonces)
        self._answer = agreement.payloads(Nonce(nonces.responder), *more)
        self._answer += await_followups(
            sa,
            agreement.chosen,
            partial(self._finish, sa, agreement, fresh, old),
            partial(sa.env.spis.release, agreement.spi_in),
        )

    def _agree(self, sa: IkeSaState, request: PayloadSet, old: ChildSa | None) -> Agreement:
        if old is None or self._new_spi is None:
            return answer_offer(sa, request, old, with_ke=True)
        return answer_inheriting(sa, old, request, self._new_spi)

    @staticmethod
    def _finish(
        sa: IkeSaState,
        agreement: Agreement,
        fresh: FreshInput,
        old: ChildSa | None,
        additional: bytes,
    ) -> None:
        _check_possible(sa)  # all may have changed since the answer
        if old is not None:
            _check_replaceable(sa, old)
        child = enter_child(sa, agreement, replace(fresh, additional=additional))
        if old is None:
            sa.events.append(ChildUp(child.params))
        else:
            old.successor = child
            sa.events.append(ChildRekeyed(old.params, child.params))

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """[N(USE_TRANSPORT_MODE | USE_BEET_MODE)] SA Nr [KEr] TSi TSr, or of an optimized rekey
        N(OPTIMIZED_REKEY) Nr [KEr].
        """
        return self._answer


def _check_possible(sa: IkeSaState) -> None:
    if sa.phase is not Phase.ESTABLISHED:
        raise Refusal(NotifyType.TEMPORARY_FAILURE, f"the IKE SA is {sa.phase.name}")
    if sa.asking is Subject.IKE_SA:
        raise Refusal(NotifyType.TEMPORARY_FAILURE, "the IKE SA is being rekeyed")


def _answer_keys(
    sa: IkeSaState, agreement: Agreement, request: Inbound, nonces: Nonces
) -> tuple[FreshInput, list[AnyPayload]]:
    """What the keys are made from, and what the answer says of it: [KEr] [N(PPK_IDENTITY)]."""
    method = chosen_method(agreement.chosen)
    try:
        ke, secret = answer_key_exchange(sa.env.random, request.payloads, method)
        taken, ppk = answer_fresh_ppk(sa, request.payloads)
    except IkeError:
        sa.env.spis.release(agreement.spi_in)
        raise
    return FreshInput(nonces, secret, ppk=ppk), [*ke, *taken]


def _find_rekeyed(sa: IkeSaState, rekey: Notify) -> ChildSa:
    if rekey.protocol not in _CHILD_PROTOCOLS or len(rekey.spi) != 4:
        raise ParseError("N(REKEY_SA) names no child SA")
    child = sa.children.by_outbound(int.from_bytes(rekey.spi, "big"))
    if child is None and sa.awaiting_child:
        raise Refusal(NotifyType.TEMPORARY_FAILURE, "the child SA may be one not yet known here")
    if child is None or rekey.protocol != child.protocol:
        raise _not_found(rekey.protocol, rekey.spi)
    _check_replaceable(sa, child)
    return child


def _not_found(protocol: int, spi: bytes) -> Refusal:
    reason = f"there is no child SA with SPI {spi.hex()}"
    return Refusal(NotifyType.CHILD_SA_NOT_FOUND, reason, protocol=protocol, spi=spi)


def _check_replaceable(sa: IkeSaState, child: ChildSa) -> None:
    if child not in sa.children:
        raise _not_found(child.protocol, child.params.spi_out.to_bytes(4, "big"))
    if child.phase is ChildPhase.DELETING or child.successor in sa.children:
        raise Refusal(NotifyType.TEMPORARY_FAILURE, "the child SA is being deleted or replaced")
