"""SUPPORTED_AUTH_METHODS: each end says which proofs of identity it can verify (RFC 9593).

A responder in its IKE_SA_INIT response; where that would get too long, in its first
IKE_INTERMEDIATE response, if there is to be one, and empty before. An initiator in IKE_AUTH.
"""

from p4esp.ike.auth.abilities import abilities
from p4esp.ike.auth.announcements import Announcement, encode_list, parse_list
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.errors import ParseError
from p4esp.ike.notifies import note_ignored, usable_each
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_METHODS = NotifyType.SUPPORTED_AUTH_METHODS
_OVERHEAD = 48 + 8
"""Octets of an IPv6 header, a UDP header and the notify's own."""
_SIZES = range(1 << 16)
_CARRIED_BY = (
    (ExchangeType.IKE_SA_INIT, True),
    (ExchangeType.IKE_INTERMEDIATE, True),
    (ExchangeType.IKE_AUTH, False),
)


class AuthAnnouncement:
    """Lets the peer choose among its credentials."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Note what the peer can verify; of the messages that carry it the last one counts."""
        exchange, response = message.header.exchange, message.header.response
        if (exchange, response) not in _CARRIED_BY or not _is_wanted(sa):
            return
        if exchange == ExchangeType.IKE_SA_INIT:
            sa.announced.peer.discard(_METHODS)
            sa.announced.peer_auth = ()
        lists = usable_each(sa, _METHODS, message.payloads, _SIZES)
        if lists and exchange == ExchangeType.IKE_INTERMEDIATE and not _is_promised(sa):
            note_ignored(sa, f"{Notify(_METHODS)} in IKE_INTERMEDIATE, not promised before")
        elif lists:
            sa.announced.peer.add(_METHODS)
            sa.announced.peer_auth = _read(sa, lists)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """The notify, where a peer in question may make use of it."""
        if (exchange, response) not in _CARRIED_BY or not _is_wanted(sa):
            return []
        if exchange == ExchangeType.IKE_SA_INIT:
            return self._in_init(sa)
        said = exchange == ExchangeType.IKE_INTERMEDIATE and not sa.announced.owes_methods
        return [] if said else [_notify(sa)]

    @staticmethod
    def _in_init(sa: IkeSaState) -> list[AnyPayload]:
        """The answer has about the length of the request, without the list."""
        notify = _notify(sa)
        room = sa.env.settings.fragment_size - _OVERHEAD - len(sa.init_request)
        if len(notify.data) > room and sa.additional.rounds:
            sa.announced.owes_methods = True
            return [Notify(_METHODS)]
        return [notify]


def _is_wanted(sa: IkeSaState) -> bool:
    return any(peer.extensions.announce_auth for peer in sa.in_question)


def _is_promised(sa: IkeSaState) -> bool:
    """Whether an empty list came before."""
    return _METHODS in sa.announced.peer and not sa.announced.peer_auth


def _notify(sa: IkeSaState) -> Notify:
    sa.announced.own.add(_METHODS)
    sa.announced.owes_methods = False
    return Notify(_METHODS, encode_list(abilities(sa)))


def _read(sa: IkeSaState, lists: list[bytes]) -> tuple[Announcement, ...]:
    """Several notifies are one list, which ends where it is malformed."""
    found = list[Announcement]()
    try:
        for data in lists:
            parse_list(data, found)
    except ParseError as error:
        note_ignored(sa, f"the rest of {Notify(_METHODS)}: {error}")
    return tuple(found)
