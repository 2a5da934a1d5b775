"""The codec: any octets parse or raise `ParseError`, and what parsed encodes to itself."""

from collections.abc import Iterable
from contextlib import suppress

from ike_lab import Lab

from p4esp.ike.codec.chain import MAX_PAYLOADS, PAYLOADS, encode_chain, parse_chain
from p4esp.ike.codec.header import parse_header
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Delete, Notify
from p4esp.ike.constants import NotifyType, PayloadType, ProtocolId
from p4esp.ike.cookies import Opening
from p4esp.ike.errors import ParseError
from p4esp.ipsec.formats import FORMATS


def check(data: bytes) -> None:
    """The first octet tells what the rest is taken for: a message, a chain, one payload's body."""
    kind, rest = data[0] if data else 0, data[1:]
    with suppress(ParseError):
        _check_message(rest)
    with suppress(ParseError):
        _check_chain(parse_chain(kind, rest))
    if kind in PAYLOADS:
        with suppress(ParseError):
            _check_chain([PAYLOADS[kind].parse(rest)])


def _check_message(data: bytes) -> None:
    header = parse_header(data)
    assert header.encode() == parse_header(header.encode() + data[28:]).encode()
    with suppress(ParseError):
        Opening.read(header, data)
    _check_chain(parse_message(data).clear.payloads)


def _check_chain(payloads: Iterable[AnyPayload]) -> None:
    items = tuple(payloads)
    assert len(items) <= MAX_PAYLOADS
    first, octets = encode_chain(items)
    if len(octets) <= 0xFFFF:
        again = parse_chain(first, octets)
        assert again == items, f"{items} became {again}"
        assert encode_chain(again) == (first, octets)
    assert all(str(item) and repr(item) for item in items)


def seeds() -> list[bytes]:
    """Messages of a handshake, and the chains inside them."""
    lab = Lab()
    lab.connect()
    found = []
    for _, datagram in lab.wire:
        message = parse_message(datagram.data)
        found.append(b"\0" + datagram.data)
        if message.clear.payloads:
            first, chain = encode_chain(message.clear.payloads)
            found.append(bytes([first]) + chain)
            found += [bytes([p.payload_type]) + p.encode() for p in message.clear.payloads]
    return [*found, *_of_formats()]


def _of_formats() -> list[bytes]:
    """What IKE says of formats of ESP, and of EESP as a protocol: the registry's examples."""
    proposals = {form.proposal.example[4:] for form in FORMATS if form.proposal}
    notifies = {(told.number, told.example) for form in FORMATS for told in form.notifies}
    deletes = [Delete(ProtocolId.EESP, (bytes(range(4)), bytes(range(4, 8))))]
    rekeys = [Notify(NotifyType.REKEY_SA, b"", ProtocolId.EESP, bytes(range(4)))]
    said = [Notify(number, data) for number, data in sorted(notifies)]
    bodies = [bytes([PayloadType.SA]) + body for body in sorted(proposals)]
    return bodies + [bytes([p.payload_type]) + p.encode() for p in (*said, *deletes, *rekeys)]
