"""Soft limits start a rekey, hard limits end an SA; each end has its own (RFC 7296 2.8)."""

from p4esp.ike.children import ChildPhase, ChildSa
from p4esp.ike.events import DownReason
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.create_child import CreateChild
from p4esp.ike.tasks.deleting import DeleteChild, delete_ike
from p4esp.ike.tasks.rekey_ike import RekeyIke, is_being_rekeyed

AGAIN = 60.0
"""Seconds after which a rekey that came to nothing is tried again."""


def next_due(sa: IkeSaState) -> float | None:
    """When `handle_due` has something to do; None: never."""
    if sa.phase is not Phase.ESTABLISHED:
        return None
    times = [sa.term.next(), *(child.term.next() for child in sa.children)]
    return min((time for time in times if time is not None), default=None)


def handle_due(sa: IkeSaState) -> None:
    """Start what is due."""
    if sa.phase is not Phase.ESTABLISHED:
        return
    if _due(sa.term.end, sa):
        delete_ike(sa, DownReason.EXPIRED)
        return
    if _due(sa.term.rekey, sa):
        sa.term.rekey = sa.now + AGAIN
        if not is_being_rekeyed(sa):
            sa.tasks.append(RekeyIke(sa))
    for child in sa.children:
        _act_on_child(sa, child)


def _act_on_child(sa: IkeSaState, child: ChildSa) -> None:
    if _due(child.term.end, sa):
        child.term.end = child.term.rekey = None
        if child.phase is not ChildPhase.DELETING:
            sa.tasks.append(DeleteChild(child, DownReason.EXPIRED))
    elif _due(child.term.rekey, sa):
        child.term.rekey = sa.now + AGAIN
        if child.phase is ChildPhase.INSTALLED and child.successor is None:
            sa.tasks.append(CreateChild(child.config, child))


def note_usage(sa: IkeSaState, child: ChildSa, octets: int, packets: int) -> None:
    """Make a child SA due that has carried its share; counts are from its beginning."""
    lifetime = child.config.lifetime
    for limit, used in ((lifetime.octets, octets), (lifetime.packets, packets)):
        if limit is None or used < limit.rekey_at(child.fraction):
            continue
        if used >= limit.hard:
            child.term.end = sa.now
        elif not child.worn:
            child.worn, child.term.rekey = True, sa.now


def _due(time: float | None, sa: IkeSaState) -> bool:
    return time is not None and time <= sa.now
