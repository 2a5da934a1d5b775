"""IKE_AUTH: who both sides are, and the first child SA (RFC 7296 1.2)."""

from p4esp.ike.assigning import ask, assign, learn
from p4esp.ike.auth import postquantum
from p4esp.ike.auth.peers import find_peer, proven_identity
from p4esp.ike.auth.proof import check_proof, own_proof
from p4esp.ike.child_methods import shown_in_auth
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Authentication, IdInitiator, IdResponder, Notify
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.config import ChildConfig, Childless
from p4esp.ike.constants import ExchangeType, NotifyType, name_of
from p4esp.ike.crypto.schedule import FreshInput
from p4esp.ike.errors import AuthenticationError, IkeError, ProposalError, Refusal
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildFailed,
    ChildUp,
    DownReason,
    IkeEstablished,
)
from p4esp.ike.negotiation import (
    ChildOffer,
    accept_answer,
    answer_offer,
    enter_child,
    make_offer,
    refusal_detail,
)
from p4esp.ike.notifies import note_ignored
from p4esp.ike.redirection import is_sent_away
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict
from p4esp.ike.tasks.create_child import CreateChild
from p4esp.ike.tasks.deleting import DeleteIke, DeleteSpi
from p4esp.ike.teardown import give_up
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.identity_pattern import PeerIdentity


class IkeAuth(InitiatorTask):
    """Our half: prove who we are, check the answer, and ask for the first child SA."""

    exchange = ExchangeType.IKE_AUTH

    def __init__(self, child: ChildConfig | None) -> None:
        self._child = child
        self._proof: list[AnyPayload] = []
        self._offer: ChildOffer | None = None

    def prepare(self, sa: IkeSaState) -> bool:
        """Make our proof, and the child SA's offer; or give up."""
        try:
            self._proof = self._prove(sa)
        except AuthenticationError as error:
            _reject_peer(sa, error, told=True)
            return False
        if self._child is not None and sa.config.childless is not Childless.FORCE:
            self._make_offer(sa, self._child)
        if self._offer is None and not sa.announced.childless:
            give_up(sa, DownReason.PROTOCOL_ERROR, "the peer makes no IKE SA without a child SA")
            return False
        return True

    def _prove(self, sa: IkeSaState) -> list[AnyPayload]:
        """What proves who we are."""
        return postquantum.initiator_proof(sa, IdInitiator(sa.config.local_id))

    def _make_offer(self, sa: IkeSaState, child: ChildConfig) -> None:
        try:
            self._offer = make_offer(sa, child, with_ke=shown_in_auth(sa))
        except Refusal as refusal:
            sa.events.append(ChildFailed(sa.info(), child.name, str(refusal)))

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """IDi, CERT, AUTH, IDr, CP, and SA, TSi, TSr of the child SA."""
        payloads: list[AnyPayload] = [
            IdInitiator(sa.config.local_id),
            *self._proof,
            *_wanted(sa.config.remote_id),
            *ask(sa),
        ]
        if self._offer is None:
            return payloads
        return [*payloads, *self._offer.payloads()]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Authenticate the responder, then take its answer on the child SA."""
        try:
            self._authenticate(sa, reply)
        except AuthenticationError as error:
            self.abandon(sa)
            _reject_peer(sa, error, told=not reply.payloads.has(Authentication))
            return Verdict.DONE
        _establish(sa)
        if self._offer is not None:
            self._conclude_child(sa, self._offer, reply)
        else:
            self._conclude_alone(sa, reply)
        return Verdict.DONE

    def _conclude_alone(self, sa: IkeSaState, reply: Inbound) -> None:
        """No child SA was asked for in this exchange, or it could not be."""
        try:
            learn(sa, reply.payloads)
        except ProposalError as error:
            name = self._child.name if self._child is not None else ""
            sa.events.append(ChildFailed(sa.info(), name, str(error)))
        else:
            if self._child is not None and sa.config.childless is Childless.FORCE:
                sa.tasks.append(CreateChild(self._child))

    def _authenticate(self, sa: IkeSaState, reply: Inbound) -> None:
        error = reply.payloads.error()
        if error is not None and not reply.payloads.has(Authentication):
            name = name_of(NotifyType, error.type)
            raise AuthenticationError(f"the peer refused us with {name}")
        identity = reply.payloads.one(IdResponder)
        if not sa.config.remote_id.matches(identity.identity):
            raise AuthenticationError(
                f"the peer is {identity.identity}, expected is {sa.config.remote_id}"
            )
        self._verify(sa, identity, reply.payloads)

    def _verify(self, sa: IkeSaState, identity: IdResponder, payloads: PayloadSet) -> None:
        """Check the responder's proof, and note who it is."""
        postquantum.settle(sa, payloads)
        proof = check_proof(sa, sa.config, identity, payloads)
        sa.remote_id = proven_identity(sa.config, identity.identity, proof)

    def _conclude_child(self, sa: IkeSaState, offer: ChildOffer, reply: Inbound) -> None:
        error = _error_of_child(sa, reply.payloads)
        if error is not None:
            self.abandon(sa)
            reason = name_of(NotifyType, error.type)
            self._fail_child(sa, offer, reason, refusal_detail(offer, error))
            return
        try:
            learn(sa, reply.payloads)
            agreement = accept_answer(sa, offer, reply.payloads)
        except IkeError as bad:
            sa.tasks.append(DeleteSpi(offer.spi, offer.protocols))
            self._fail_child(sa, offer, str(bad))
        else:
            child = enter_child(sa, agreement, FreshInput(sa.nonces))
            sa.events.append(ChildUp(child.params))

    @staticmethod
    def _fail_child(sa: IkeSaState, offer: ChildOffer, reason: str, detail: str = "") -> None:
        sa.events.append(ChildFailed(sa.info(), offer.config.name, reason, detail))

    def abandon(self, sa: IkeSaState) -> None:
        """Give back the SPI."""
        if self._offer is not None:
            sa.env.spis.release(self._offer.spi)
            self._offer = None


def _error_of_child(sa: IkeSaState, answer: PayloadSet) -> Notify | None:
    """The first error of an answer. IKE_AUTH has no KE payload that could be the wrong one."""
    errors = [notify for notify in answer.every(Notify) if notify.is_error]
    real = [notify for notify in errors if notify.type != NotifyType.INVALID_KE_PAYLOAD]
    if len(real) < len(errors):
        note_ignored(sa, "N(INVALID_KE_PAYLOAD) in IKE_AUTH; accepted: in CREATE_CHILD_SA")
    return next(iter(real), None)


def _wanted(identity: PeerIdentity) -> list[AnyPayload]:
    """IDr, when it is one identity that we want to speak to."""
    return [IdResponder(identity)] if isinstance(identity, Identity) else []


def _reject_peer(sa: IkeSaState, error: AuthenticationError, *, told: bool) -> None:
    """End the IKE SA; of a fault that we found the peer is told (RFC 7296 2.21.2)."""
    sa.events.append(AuthenticationFailed(sa.info(), error.reason))
    if told:
        sa.phase = Phase.DEAD
    else:
        sa.phase = Phase.DELETING
        sa.tasks.append(DeleteIke(unauthenticated=True))


class IkeAuthResponder(ResponderTask):
    """The peer's half: find out who it is, check its proof, answer its child SA request."""

    def __init__(self) -> None:
        self._identity: list[AnyPayload] = []
        self._child: list[AnyPayload] = []

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """Authenticate before anything else; a child SA that fails does not fail the IKE SA."""
        payloads = self._authenticate(sa, request.payloads)
        with_child = payloads.has(SecurityAssociation)
        _check_shape(sa, with_child=with_child)
        own = IdResponder(sa.config.local_id)
        self._identity = [own, *self._prove(sa, own)]
        _establish(sa)
        if not is_sent_away(sa):
            self._admit(sa, payloads, with_child=with_child)

    def _authenticate(self, sa: IkeSaState, payloads: PayloadSet) -> PayloadSet:
        """Find out who the peer is; the payloads of its request that count."""
        peer = find_peer(sa, payloads)
        payloads = postquantum.responder_payloads(sa, peer, payloads)
        proof = check_proof(sa, peer, payloads.one(IdInitiator), payloads)
        postquantum.take_up(sa, peer)
        sa.remote_id = proven_identity(peer, payloads.one(IdInitiator).identity, proof)
        sa.peer = peer
        return payloads

    def _prove(self, sa: IkeSaState, own: IdResponder) -> list[AnyPayload]:
        """What proves who we are."""
        return [*own_proof(sa, own), *postquantum.confirmation(sa)]

    def _admit(self, sa: IkeSaState, payloads: PayloadSet, *, with_child: bool) -> None:
        """Give the peer its internal addresses, and its child SA within them."""
        try:
            self._child += assign(sa, payloads)
            if with_child:
                self._answer_child(sa, payloads)
        except Refusal as refusal:
            self._child.append(Notify(refusal.notify, refusal.data))
            sa.events.append(ChildFailed(sa.info(), "", str(refusal)))

    def _answer_child(self, sa: IkeSaState, payloads: PayloadSet) -> None:
        agreement = answer_offer(sa, payloads, with_ke=shown_in_auth(sa))
        self._child += agreement.payloads()
        child = enter_child(sa, agreement, FreshInput(sa.nonces))
        sa.events.append(ChildUp(child.params))

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """IDr, CERT, AUTH, CP, and the child SA's payloads or why there is none."""
        return [*self._identity, *self._child]


def _check_shape(sa: IkeSaState, *, with_child: bool) -> None:
    """A request without child SA only where that was announced, with one unless forbidden."""
    allowed = sa.announced.childless and sa.config.childless is not Childless.NEVER
    forced = sa.config.childless is Childless.FORCE
    if (with_child and forced) or (not with_child and not allowed):
        what = "a" if with_child else "no"
        reason = f"IKE_AUTH with {what} child SA; childless is {sa.config.childless}"
        raise Refusal(NotifyType.INVALID_SYNTAX, reason, fatal=True)


def _establish(sa: IkeSaState) -> None:
    sa.phase, sa.authenticated = Phase.ESTABLISHED, True
    sa.events.append(IkeEstablished(sa.info(), sa.first_contact))
