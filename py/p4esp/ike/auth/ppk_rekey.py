"""A fresh postquantum preshared key in CREATE_CHILD_SA (RFC 9867 3.2): for a rekeyed IKE SA, for a
child SA, new or rekeyed. Without one they have the PPK of the IKE SA still, by way of SK_d.

What the confirmation covers and how the key is mixed in is our own reading: nobody has confirmed
it. That is why both ends must ask for it in their configuration.
"""

from p4esp.ike.auth.ppk_offer import PpkOffer, choose_ppk, offered_ppks, rekey_context
from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Nonce
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import Refusal
from p4esp.ike.notifies import note_ignored
from p4esp.ike.ppk import PostquantumKey, PpkMode
from p4esp.ike.state import IkeSaState


def _is_agreed(sa: IkeSaState) -> bool:
    """Whether both ends said in IKE_SA_INIT that they can, and we want to."""
    ppk = sa.config.ppk
    return ppk is not None and ppk.rekey and sa.ppk.agreed is PpkMode.INTERMEDIATE


class FreshPpk:
    """Our offer of one, with an exchange of ours."""

    def __init__(self) -> None:
        self._offer = PpkOffer()

    def notifies(self, sa: IkeSaState, nonce: bytes) -> list[AnyPayload]:
        """[N(PPK_IDENTITY_KEY) ...]; `nonce` is Ni. None to a peer that took none before, when one
        was used up for it.
        """
        wanted = _is_agreed(sa) and not sa.ppk.declined
        return self._offer.notifies(sa, rekey_context(sa, nonce)) if wanted else []

    def taken(self, sa: IkeSaState, answer: PayloadSet) -> PostquantumKey | None:
        """The one that the peer took, if any. `ProposalError`: it was not offered."""
        if self._offer.made:
            key = self._offer.taken(sa, answer)
            sa.ppk.declined = key is None and self._offer.used_one_up
            return key
        if answer.notify(NotifyType.PPK_IDENTITY) is not None:
            note_ignored(sa, "a PPK was taken, but none was offered")
        return None


def answer_fresh_ppk(
    sa: IkeSaState, request: PayloadSet
) -> tuple[list[AnyPayload], PostquantumKey | None]:
    """[N(PPK_IDENTITY)] and the key that it names, of those that the peer offers. `Refusal` when
    none of them fits, and one is mandatory.
    """
    if not _is_agreed(sa):
        return [], None
    context = rekey_context(sa, request.one(Nonce).data)
    choice = choose_ppk(sa, (sa.config,), request, context)
    if choice is None and offered_ppks(request) and sa.config.ppk and sa.config.ppk.required:
        reason = "the PPK is mandatory, and none of the peer's is ours"
        raise Refusal(NotifyType.NO_PROPOSAL_CHOSEN, reason)
    return ([], None) if choice is None else ([choice.notify()], choice.key)
