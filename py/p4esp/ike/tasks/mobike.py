"""INFORMATIONAL exchanges of MOBIKE (RFC 4555 3.5-3.7)."""

from collections.abc import Iterable

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType, name_of
from p4esp.ike.crypto.auth import same_secret
from p4esp.ike.errors import ParseError
from p4esp.ike.events import MoveRefused
from p4esp.ike.nat_notifies import nat_notifies, nat_status
from p4esp.ike.path import Path
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict
from p4esp.ipsec.selectors import Address

COOKIE2_SIZE = 16


class UpdateAddresses(InitiatorTask):
    """We have moved: tell the peer, by the addresses of this very request."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self) -> None:
        self._move = 0

    def prepare(self, sa: IkeSaState) -> bool:
        """False when an earlier request has already told it."""
        return sa.mobility.settled != sa.mobility.moves

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(UPDATE_SA_ADDRESSES), NAT detection."""
        self._move = sa.mobility.moves
        return [Notify(NotifyType.UPDATE_SA_ADDRESSES), *nat_notifies(sa, sa.path)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Child SAs follow, unless we have moved on: then another request is waiting."""
        if self._move != sa.mobility.moves:
            return Verdict.DONE
        error = reply.payloads.error()
        if error is None:
            sa.nat = nat_status(sa, reply) or sa.nat
            sa.settle_path()
        else:
            self._go_back(sa, name_of(NotifyType, error.type))
        return Verdict.DONE

    def abandon(self, sa: IkeSaState) -> None:
        """The peer must hear of it all the same when the IKE SA is replaced meanwhile."""
        _ask_heir(sa, UpdateAddresses())

    @staticmethod
    def _go_back(sa: IkeSaState, reason: str) -> None:
        """The peer has changed nothing: so do we (RFC 4555 3.5)."""
        text = f"the peer does not take {sa.path}: {reason}"
        sa.events.append(MoveRefused(sa.info(), text, sa.path))
        sa.use_path(sa.mobility.child_path)
        sa.settle_path()


def move_to(sa: IkeSaState, path: Path) -> None:
    """Use a path from now on, and tell the peer. Only the mover may."""
    sa.use_path(path)
    sa.ask_next(UpdateAddresses())


class CheckRoute(InitiatorTask):
    """The peer has moved: see that it is there before ESP goes there (RFC 4555 3.7)."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self) -> None:
        self._move = 0
        self._cookie = b""

    def prepare(self, sa: IkeSaState) -> bool:
        """False when another check has shown it."""
        return sa.mobility.settled != sa.mobility.moves

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """N(COOKIE2)."""
        self._move = sa.mobility.moves
        self._cookie = sa.env.random(COOKIE2_SIZE)
        return [Notify(NotifyType.COOKIE2, self._cookie)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Child SAs follow; an answer to a request that went to several places proves nothing."""
        echo = reply.payloads.notify(NotifyType.COOKIE2)
        if echo is None or not same_secret(echo.data, self._cookie):
            raise ParseError("the answer does not repeat N(COOKIE2)")
        if self._move == sa.mobility.moves:
            sa.settle_path()
        else:
            sa.ask_next(CheckRoute())
        return Verdict.DONE

    def abandon(self, sa: IkeSaState) -> None:
        """The way is to be checked all the same when the IKE SA is replaced meanwhile."""
        _ask_heir(sa, CheckRoute())


def _ask_heir(sa: IkeSaState, task: InitiatorTask) -> None:
    if sa.heir is not None and sa.mobility.settled != sa.mobility.moves:
        sa.ask_next(task)


class AnnounceAddresses(InitiatorTask):
    """Tell the peer at which other addresses we can be reached (RFC 4555 3.6)."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, addresses: Iterable[Address]) -> None:
        self._addresses = tuple(addresses)

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """The whole list: it replaces what the peer knew."""
        return address_notifies(self._addresses)

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """The peer may make use of it or not."""
        return Verdict.DONE


def address_notifies(addresses: Iterable[Address]) -> list[AnyPayload]:
    """N(ADDITIONAL_IP4_ADDRESS) and N(ADDITIONAL_IP6_ADDRESS), or that there are none."""
    kinds = {4: NotifyType.ADDITIONAL_IP4_ADDRESS, 6: NotifyType.ADDITIONAL_IP6_ADDRESS}
    notifies: list[AnyPayload] = [Notify(kinds[one.version], one.packed) for one in addresses]
    return notifies or [Notify(NotifyType.NO_ADDITIONAL_ADDRESSES)]
