"""The IKE_SA_INIT request as AUTH covers it: RealMessage1 of RFC 7296 2.15."""

from p4esp.ike.codec.chain import without_payloads
from p4esp.ike.codec.header import parse_header
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import HEADER_SIZE, NotifyType, PayloadType
from p4esp.ike.state import IkeSaState

_NEXT_PAYLOAD_AT, _LENGTH_AT = 16, 24
_OF_COOKIES = (NotifyType.COOKIE, NotifyType.COOKIE_EXCLUDED)


def signed_request(sa: IkeSaState) -> bytes:
    """The octets of the request that both AUTH payloads are about.

    Where both ends leave cookies out, all versions of a request count as the one without: it does
    not matter which of them the responder has answered.
    """
    if sa.announced.agreed(NotifyType.COOKIE_EXCLUDED):
        return without_cookie(sa.init_request)
    return sa.init_request


def without_cookie(request: bytes) -> bytes:
    """A request as it would be if no cookie had been asked for. ParseError: no such message."""
    header = parse_header(request)
    first, chain = without_payloads(header.next_payload, request[HEADER_SIZE:], _is_of_cookies)
    head = bytearray(request[:HEADER_SIZE])
    head[_NEXT_PAYLOAD_AT] = first
    head[_LENGTH_AT:] = (HEADER_SIZE + len(chain)).to_bytes(4, "big")
    return bytes(head) + chain


def _is_of_cookies(kind: int, body: bytes) -> bool:
    return kind == PayloadType.NOTIFY and Notify.parse(body).type in _OF_COOKIES
