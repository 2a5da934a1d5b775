"""Which IKE SA takes over when one is rekeyed, by one end or by both (RFC 7296 2.8.2, 2.25.2)."""

from p4esp.ike.children import ChildTable
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.events import DownReason, IkeRekeyed
from p4esp.ike.state import IkeSaState, Phase, Subject
from p4esp.ike.tasks.deleting import DeleteIke
from p4esp.ike.tasks.renewal import renewals
from p4esp.ike.teardown import OVER, close


def made_by_peer(old: IkeSaState, new: IkeSaState) -> None:
    """The peer's rekey is answered: `new` takes over, unless our own rekey may win yet."""
    if old.asking is Subject.IKE_SA:
        old.rival = new
    else:
        _hand_over(old, new)
        old.phase = Phase.REKEYED


def made_by_us(old: IkeSaState, new: IkeSaState) -> None:
    """Our rekey is answered. Of two new IKE SAs the one with the lowest nonce is redundant; who
    made it deletes it, who made the other deletes the old one.
    """
    rival, old.rival = _standing(old.rival), None
    if old.phase is Phase.DELETING:
        _discard(new, DownReason.LOCAL_DELETE)
        _discard(rival, DownReason.LOCAL_DELETE)
    elif rival is not None and new.nonces.lowest < rival.nonces.lowest:
        _hand_over(old, rival)
        old.phase = Phase.REKEYED
        _discard(new, DownReason.COLLISION)
    else:
        _hand_over(old, new)
        _discard(old, DownReason.REKEYED)


def ours_failed(old: IkeSaState) -> None:
    """Our rekey came to nothing: the peer's takes over when there is one."""
    rival, old.rival = _standing(old.rival), None
    if rival is None:
        return
    if old.phase is Phase.DELETING:
        _discard(rival, DownReason.LOCAL_DELETE)
    else:
        _hand_over(old, rival)
        old.phase = Phase.REKEYED


def deleted_by_peer(sa: IkeSaState, detail: str = "", told: DeleteReason | None = None) -> None:
    """The peer deletes an IKE SA. If we were rekeying it, then the peer has not noticed or has won:
    our own attempt is forgotten.
    """
    ours_failed(sa)
    close(sa, DownReason.PEER_DELETE if sa.heir is None else DownReason.REKEYED, detail, told)


def _standing(rival: IkeSaState | None) -> IkeSaState | None:
    """The peer's new IKE SA, unless the peer has deleted it: then it knows that it lost."""
    return None if rival is None or rival.phase in OVER else rival


def _hand_over(old: IkeSaState, heir: IkeSaState) -> None:
    """The heir gets the child SAs and everything that was still to be asked."""
    heir.phase = Phase.ESTABLISHED
    heir.children, old.children = old.children, ChildTable()
    heir.tasks.extend(renewals(heir))
    heir.tasks.extend(old.tasks)
    heir.deferred.extend(old.deferred)
    old.tasks.clear()
    old.deferred.clear()
    old.heir, heir.provisional = heir, False
    old.events.append(IkeRekeyed(old.info(), heir.info()))


def _discard(sa: IkeSaState | None, reason: DownReason) -> None:
    if sa is not None:
        sa.phase, sa.children = Phase.DELETING, ChildTable()
        sa.tasks.append(DeleteIke(reason))
