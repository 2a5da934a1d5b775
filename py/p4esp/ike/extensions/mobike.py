"""MOBIKE: agreeing on it in IKE_AUTH, and what the peer says of addresses later (RFC 4555)."""

from ipaddress import ip_address

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.errors import ParseError, Refusal
from p4esp.ike.mobility import alternatives, is_mobile
from p4esp.ike.nat_notifies import destination_hashes, nat_notifies, nat_status
from p4esp.ike.path import Path
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound
from p4esp.ike.tasks.mobike import CheckRoute, address_notifies, move_to
from p4esp.ipsec.selectors import Address

MAX_ADDRESSES = 16
"""Additional addresses of a peer that are remembered."""
COOKIE2_SIZES = range(8, 65)
_ADDITIONAL = {NotifyType.ADDITIONAL_IP4_ADDRESS: 4, NotifyType.ADDITIONAL_IP6_ADDRESS: 16}
_LISTS = (*_ADDITIONAL, NotifyType.NO_ADDITIONAL_ADDRESSES)


class Mobike:
    """Lets the initiator of the first IKE SA change addresses, and both name further ones."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """What IKE_AUTH says counts once it has proved who says it."""
        exchange, response = message.header.exchange, message.header.response
        if exchange == ExchangeType.IKE_AUTH:
            self._agree(sa, message)
        elif is_mobile(sa) and exchange == ExchangeType.INFORMATIONAL and not response:
            self._asked(sa, message)
        elif is_mobile(sa) and response and sa.mobility.mover:
            self._answered(sa, message)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The offer and its acceptance in IKE_AUTH; in INFORMATIONAL what the peer asked for, or
        the question how it sees our address.
        """
        if exchange == ExchangeType.IKE_AUTH:
            return _offer(sa, response=response)
        if exchange != ExchangeType.INFORMATIONAL or not is_mobile(sa):
            return []
        return _taken_answer(sa) if response else _question(sa)

    @staticmethod
    def _agree(sa: IkeSaState, message: Inbound) -> None:
        if message.payloads.notify(NotifyType.MOBIKE_SUPPORTED) is not None:
            sa.mobility.announced = True
            _note_addresses(sa, message)
        if not message.header.response:
            _check_nats_allowed(message)

    def _asked(self, sa: IkeSaState, message: Inbound) -> None:
        sa.mobility.answer = []
        _note_addresses(sa, message)
        if message.payloads.notify(NotifyType.UPDATE_SA_ADDRESSES) is not None:
            self._follow(sa, message)
        if destination_hashes(message):
            sa.mobility.answer += nat_notifies(sa, message.path)
        cookie = message.payloads.notify(NotifyType.COOKIE2)
        if cookie is not None:
            sa.mobility.answer.append(_echo(cookie))

    @staticmethod
    def _follow(sa: IkeSaState, message: Inbound) -> None:
        """The peer has moved: IKE follows at once, ESP when the way back is proved."""
        if sa.mobility.mover:
            raise Refusal(NotifyType.UNACCEPTABLE_ADDRESSES, "addresses are ours to change")
        _check_nats_allowed(message)
        _check_acceptable(sa, message.path)
        sa.nat = nat_status(sa, message) or sa.nat
        if message.path == sa.path and sa.mobility.settled == sa.mobility.moves:
            sa.settle_path()
        else:
            sa.use_path(message.path)
            sa.ask_next(CheckRoute())

    @staticmethod
    def _answered(sa: IkeSaState, message: Inbound) -> None:
        """A response on another path than the silent one, or one that shows another address."""
        mobility, silent = sa.mobility, sa.mobility.probing
        mobility.probing = False
        if silent and message.path in alternatives(sa):
            move_to(sa, message.path)
        elif _is_seen_otherwise(sa, message) and mobility.settled == mobility.moves:
            move_to(sa, sa.path)


def _is_seen_otherwise(sa: IkeSaState, message: Inbound) -> bool:
    """Whether a NAT in front of us has changed its mapping (RFC 4555 3.8)."""
    hashes = destination_hashes(message)
    if not hashes:
        return False
    seen, last = (sa.spi_i + sa.spi_r, hashes), sa.mobility.seen
    sa.mobility.seen = seen
    return last is not None and last[0] == seen[0] and last != seen


def _offer(sa: IkeSaState, *, response: bool) -> list[AnyPayload]:
    wanted = is_mobile(sa) if response else sa.config.mobike and sa.nat is not None
    if not wanted:
        return []
    others = [one for one in sa.config.additional_local if one != sa.path.local.host]
    return [Notify(NotifyType.MOBIKE_SUPPORTED), *address_notifies(others)]


def _question(sa: IkeSaState) -> list[AnyPayload]:
    """Behind a NAT the mover asks how it is seen: the peer must not follow by itself."""
    behind_nat = sa.mobility.mover and sa.nat is not None and sa.nat.local
    telling = sa.mobility.settled != sa.mobility.moves
    if not behind_nat or telling or sa.phase is not Phase.ESTABLISHED:
        return []
    return nat_notifies(sa, sa.path)


def _taken_answer(sa: IkeSaState) -> list[AnyPayload]:
    answer, sa.mobility.answer = sa.mobility.answer, []
    return answer


def _note_addresses(sa: IkeSaState, message: Inbound) -> None:
    """A list replaces the one before (RFC 4555 3.6)."""
    notifies = [n for n in message.payloads.every(Notify) if n.type in _LISTS]
    if notifies:
        addresses = [_address(n) for n in notifies if n.type in _ADDITIONAL]
        sa.mobility.peer_addresses = tuple(dict.fromkeys(addresses))[:MAX_ADDRESSES]


def _address(notify: Notify) -> Address:
    size = _ADDITIONAL[NotifyType(notify.type)]
    if len(notify.data) != size:
        raise ParseError(f"{notify} has {len(notify.data)} octets, must be {size}")
    return ip_address(notify.data)


def _echo(cookie: Notify) -> Notify:
    if len(cookie.data) not in COOKIE2_SIZES:
        raise ParseError(f"N(COOKIE2) has {len(cookie.data)} octets, must be 8..64")
    return Notify(NotifyType.COOKIE2, cookie.data)


def _check_nats_allowed(message: Inbound) -> None:
    """The peer may forbid that addresses are translated on the way (RFC 4555 3.9)."""
    notify = message.payloads.notify(NotifyType.NO_NATS_ALLOWED)
    if notify is None:
        return
    sender, receiver = message.path.remote, message.path.local
    ports = sender.port.to_bytes(2, "big") + receiver.port.to_bytes(2, "big")
    if notify.data != sender.host.packed + receiver.host.packed + ports:
        reason = f"the addresses are not those of {message.path}"
        fatal = message.header.exchange == ExchangeType.IKE_AUTH
        raise Refusal(NotifyType.UNEXPECTED_NAT_DETECTED, reason, fatal=fatal)


def _check_acceptable(sa: IkeSaState, path: Path) -> None:
    host = path.remote.host
    unusable = host.is_multicast or host.is_unspecified or host.is_reserved
    if unusable or sa.config.local not in (None, path.local.host):
        raise Refusal(NotifyType.UNACCEPTABLE_ADDRESSES, f"{path} is not for {sa.config.name}")
