"""Messages outside any IKE SA: what is answered, and what they hint at (RFC 7296 1.5, 2.21.4)."""

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import Message, encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NO_SPI, OPENINGS, VERSION, ExchangeType, NotifyType, PayloadType
from p4esp.ike.crash_tokens import make_token, token_notify
from p4esp.ike.errors import ParseError
from p4esp.ike.ratelimit import RateLimit

CHILD_SPI_SIZE = 4
_PROTECTED = (PayloadType.SK, PayloadType.SKF)
MAX_HINT_SIZE = 128
"""Octets of the largest claim that an SPI is not known; it is a header and a notify."""


class OutsideReplies:
    """Error answers to requests that belong to no IKE SA; few, so that nobody makes use of us."""

    def __init__(self, rate: float, now: float, token_secret: bytes = b"") -> None:
        """`rate`: answers per second, to all together. `token_secret`: what crash tokens are made
        of, if any are.
        """
        self._allowance = RateLimit(rate, now)
        self._token_secret = token_secret

    def refuse_version(self, request: Header, now: float) -> bytes | None:
        """Tell who speaks a later version which one we speak (RFC 7296 2.5)."""
        later = request.major > VERSION >> 4
        return self._answer(request, NotifyType.INVALID_MAJOR_VERSION, now) if later else None

    def refuse_spi(self, request: Header, now: float) -> bytes | None:
        """Tell a peer that we have no such IKE SA, so that it asks for a sign of life; its token
        proves it (RFC 6290 4.5).
        """
        if request.exchange in OPENINGS or request.spi_i == NO_SPI:
            return None
        return self._answer(request, NotifyType.INVALID_IKE_SPI, now, *self._token(request))

    def _token(self, request: Header) -> list[Notify]:
        """The token of the IKE SA that a protected request is about, which is none of ours."""
        if not self._token_secret or request.next_payload not in _PROTECTED:
            return []
        ours, theirs = request.spi_r, request.spi_i
        if not request.initiator:
            ours, theirs = theirs, ours
        return [token_notify(make_token(self._token_secret, ours, theirs))]

    def _answer(
        self, request: Header, error: NotifyType, now: float, *more: Notify
    ) -> bytes | None:
        if request.response or not self._allowance.allow(now):
            return None
        spis, exchange, ours = (request.spi_i, request.spi_r), request.exchange, request.initiator
        answer = Header(*spis, exchange, not ours, True, request.message_id)
        return encode_clear(answer, [Notify(error), *more])


def is_opening(header: Header) -> bool:
    """Whether a message asks for an IKE SA."""
    fresh = header.message_id == 0 and header.spi_i != NO_SPI
    return fresh and header.exchange in OPENINGS and header.initiator and not header.response


def reported_child_spi(header: Header, message: bytes) -> int | None:
    """The SPI by which we send ESP and that its receiver says it does not know (RFC 7296 1.5)."""
    if header.exchange != ExchangeType.INFORMATIONAL or len(message) > MAX_HINT_SIZE:
        return None
    try:
        notify = parse_message(message).clear.notify(NotifyType.INVALID_SPI)
    except ParseError:
        return None
    if notify is None or len(notify.data) != CHILD_SPI_SIZE:
        return None
    return int.from_bytes(notify.data, "big")


def hints_at_loss(message: Message) -> bool:
    """Whether an unprotected message claims that the peer does not know the IKE SA any more."""
    lost = message.clear.notify(NotifyType.INVALID_IKE_SPI) is not None
    return message.header.response and lost
