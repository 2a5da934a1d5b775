"""KE payloads after IKE_SA_INIT: a fresh secret for a child SA or an IKE SA (RFC 7296 1.3)."""

from collections.abc import Sequence

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import KeyExchange
from p4esp.ike.codec.proposal import Proposal
from p4esp.ike.constants import KE_NONE, NotifyType, TransformType
from p4esp.ike.crypto.keyexchange import KeyExchangeMethod, RandomSource
from p4esp.ike.crypto.methods import KEY_EXCHANGES
from p4esp.ike.errors import ParseError, ProposalError, Refusal

MAX_CHANGES = 3
"""How often the peer may ask for another method."""
METHOD_SIZE = 2
"""Octets of what INVALID_KE_PAYLOAD asks for."""


def chosen_method(chosen: Proposal) -> int:
    """The key exchange method of a chosen proposal; `KE_NONE` when there is none."""
    return next((transform.id for transform in chosen.of_type(TransformType.KE)), KE_NONE)


def offered_methods(offered: Sequence[Proposal]) -> list[int]:
    """The methods in an offer, most preferred first, NONE left out."""
    found = [t.id for proposal in offered for t in proposal.of_type(TransformType.KE)]
    return [method for method in dict.fromkeys(found) if method != KE_NONE]


def may_lack_method(offered: Sequence[Proposal]) -> bool:
    """Whether an offer does without a key exchange, too."""
    methods = (proposal.of_type(TransformType.KE) for proposal in offered)
    return any(not found or any(t.id == KE_NONE for t in found) for found in methods)


def payload_of(payloads: PayloadSet, method: int) -> KeyExchange:
    """The one KE payload, which must be for this method; ParseError."""
    ke = payloads.one(KeyExchange)
    if ke.method != method:
        raise ParseError(f"KE payload uses method {ke.method}, its turn has {method}")
    return ke


class KeyOffer:
    """Our half of the exchange, with a key pair of its own for each request."""

    def __init__(self, offered: Sequence[Proposal], guess: int | None = None) -> None:
        """`guess`: the method the peer took last time, `KE_NONE` included; None: not known. An
        offer without methods needs no KE.
        """
        self._methods = offered_methods(offered)
        first = next(iter(self._methods), KE_NONE)
        possible = guess in self._methods or (guess == KE_NONE and may_lack_method(offered))
        self._wanted = guess if guess is not None and possible else first
        self._changes = 0
        self._exchange: KeyExchangeMethod | None = None

    def payloads(self, random: RandomSource) -> list[KeyExchange]:
        """KEi, or nothing."""
        if self._wanted == KE_NONE:
            return []
        self._exchange = KEY_EXCHANGES[self._wanted](random)
        return [KeyExchange(self._wanted, self._exchange.public)]

    def change(self, wanted: bytes) -> bool:
        """Take the method an INVALID_KE_PAYLOAD asks for; False: it is no choice."""
        method = int.from_bytes(wanted, "big")
        possible = len(wanted) == METHOD_SIZE and method in self._methods and method != self._wanted
        if not possible or self._changes == MAX_CHANGES:
            return False
        self._wanted, self._changes = method, self._changes + 1
        return True

    def conclude(self, answer: PayloadSet, method: int) -> bytes:
        """g^ir for the method the peer chose; empty for NONE. `ProposalError`: not our KE."""
        if method == KE_NONE:
            return b""
        ke = answer.one(KeyExchange)
        if self._exchange is None or not ke.method == method == self._wanted:
            raise ProposalError(
                f"the answer's KE uses method {ke.method}, chosen is {method}, "
                f"ours was {self._wanted}"
            )
        return self._exchange.shared_secret(ke.data)


def answer_key_exchange(
    random: RandomSource, request: PayloadSet, method: int
) -> tuple[list[KeyExchange], bytes]:
    """KEr and g^ir for the method we chose; nothing for NONE, whatever KEi says (RFC 7296 3.3.6).

    `Refusal` with INVALID_KE_PAYLOAD when the request has no KE for that method.
    """
    if method == KE_NONE:
        return [], b""
    ke = request.optional(KeyExchange)
    if ke is None or ke.method != method:
        got = "no KE" if ke is None else f"KE of method {ke.method}"
        reason = f"the request has {got}, chosen is {method}"
        raise Refusal(NotifyType.INVALID_KE_PAYLOAD, reason, data=method.to_bytes(2, "big"))
    answer = KEY_EXCHANGES[method].respond(random, ke.data)
    return [KeyExchange(method, answer.public)], answer.secret
