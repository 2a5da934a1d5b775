"""The codec: any octets parse or raise `ParseError`, and what parsed encodes to itself."""

from collections.abc import Iterable
from contextlib import suppress
from ipaddress import ip_address

from ike_lab import Lab

from p4esp.ike.auth.announcements import (
    MAX_ANNOUNCEMENTS,
    Announcement,
    encode_list,
    parse_list,
)
from p4esp.ike.codec.chain import MAX_PAYLOADS, PAYLOADS, encode_chain, parse_chain
from p4esp.ike.codec.configuration import Configuration
from p4esp.ike.codec.encrypted_dns import Digest
from p4esp.ike.codec.header import parse_header
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Delete, Notify
from p4esp.ike.codec.service_parameters import ServiceParameters
from p4esp.ike.constants import HashAlgorithm, NotifyType, PayloadType, ProtocolId
from p4esp.ike.cookies import Opening
from p4esp.ike.encrypted_dns import Resolver, told
from p4esp.ike.errors import ParseError
from p4esp.ike.internal_config import InternalConfig, request
from p4esp.ike.real_message import without_cookie
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
        plain = without_cookie(data)
        assert without_cookie(plain) == plain
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
    for item in items:
        _check_values(item)


def _check_values(payload: AnyPayload) -> None:
    """What is inside CP and a list of methods: bounded, and malformed parts are left out."""
    if isinstance(payload, Configuration):
        assert isinstance(str(InternalConfig.of(payload)), str)
        told((), payload, lambda reason: None)
    if isinstance(payload, Notify) and payload.type == NotifyType.SUPPORTED_AUTH_METHODS:
        found = list[Announcement]()
        with suppress(ParseError):
            parse_list(payload.data, found)
        assert len(found) <= MAX_ANNOUNCEMENTS


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
    return [*found, *_of_formats(), *_of_extensions()]


def _of_extensions() -> list[bytes]:
    """What extensions say that a handshake without them does not."""
    how = ServiceParameters(("dot", "h2"), 8853, "/dns-query{?dns}", ((9, b"x"),))
    addresses = (ip_address("192.0.2.53"),), (ip_address("2001:db8::53"),)
    pin = Digest(HashAlgorithm.SHA2_256, bytes(32))
    resolvers = tuple(Resolver(n, f"r{n}.example", a, how, pin) for n, a in enumerate(addresses, 1))
    methods = encode_list([Announcement(2), Announcement(9, 1), Announcement(14, 0, b"0\5\6\3+ep")])
    said = (
        request([4, 6], encrypted_dns=True),
        InternalConfig(resolvers=resolvers, domains=("example",)).reply(),
        Notify(NotifyType.SUPPORTED_AUTH_METHODS, methods),
        Notify(NotifyType.COOKIE, b"crumbs"),
        Notify(NotifyType.COOKIE_EXCLUDED),
    )
    return [bytes([one.payload_type]) + one.encode() for one in said]


def _of_formats() -> list[bytes]:
    """What IKE says of formats of ESP, and of EESP as a protocol: the registry's examples."""
    proposals = {form.proposal.example[4:] for form in FORMATS if form.proposal}
    notifies = {(told.number, told.example) for form in FORMATS for told in form.notifies}
    deletes = [Delete(ProtocolId.EESP, (bytes(range(4)), bytes(range(4, 8))))]
    rekeys = [Notify(NotifyType.REKEY_SA, b"", ProtocolId.EESP, bytes(range(4)))]
    said = [Notify(number, data) for number, data in sorted(notifies)]
    bodies = [bytes([PayloadType.SA]) + body for body in sorted(proposals)]
    return bodies + [bytes([p.payload_type]) + p.encode() for p in (*said, *deletes, *rekeys)]
