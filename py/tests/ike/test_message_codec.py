"""The codec: exact both ways, strict, bounded, one exception (cases 11-33, 65, 75, 91)."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p4esp.ike.codec.certificates import Certificate, CertificateRequest
from p4esp.ike.codec.chain import MAX_PAYLOADS, PAYLOADS, encode_chain, parse_chain
from p4esp.ike.codec.configuration import ConfigAttribute, Configuration
from p4esp.ike.codec.encrypted import Part
from p4esp.ike.codec.header import Header, parse_header
from p4esp.ike.codec.message import (
    PayloadSet,
    encode_clear,
    open_message,
    parse_message,
    seal_message,
)
from p4esp.ike.codec.payload import RawPayload
from p4esp.ike.codec.payloads import (
    Authentication,
    Delete,
    IdInitiator,
    IdResponder,
    KeyExchange,
    Nonce,
    Notify,
    VendorId,
)
from p4esp.ike.codec.proposal import Attribute, Proposal, SecurityAssociation, Transform
from p4esp.ike.codec.selectors import SecurityLabel, TsInitiator, TsResponder, UnknownSelector
from p4esp.ike.crypto.ciphers import AeadCipher
from p4esp.ike.errors import IntegrityError, ParseError, UnsupportedCriticalPayloadError
from p4esp.ipsec.algorithms import AES128_GCM, CHACHA20
from p4esp.ipsec.identity import Identity
from p4esp.ipsec.selectors import TrafficSelector

octets, small = st.integers(0, 255), st.binary(max_size=40)
words = st.integers(0, 65535)

attributes = st.one_of(
    st.builds(Attribute, st.integers(0, 0x7FFF), st.binary(min_size=2, max_size=2)),
    st.builds(Attribute, st.integers(0, 0x7FFF), small, st.just(False)),
)
transforms = st.builds(Transform, octets, words, st.lists(attributes, max_size=3).map(tuple))
some_transforms = st.lists(transforms, max_size=4).map(tuple)
proposals = st.one_of(
    st.builds(Proposal, octets, st.just(3), st.binary(min_size=4, max_size=4), some_transforms),
    st.builds(Proposal, octets, st.just(1), st.sampled_from([b"", b"8octets!"]), some_transforms),
    st.builds(Proposal, octets, st.integers(4, 255), st.binary(max_size=9), some_transforms),
)


def numbered(items):
    return tuple(Proposal(n, p.protocol, p.spi, p.transforms) for n, p in enumerate(items, 1))


@st.composite
def ranges(draw):
    family, top = draw(st.sampled_from([(IPv4Address, 2**32 - 1), (IPv6Address, 2**128 - 1)]))
    first, last = sorted((draw(st.integers(0, top)), draw(st.integers(0, top))))
    protocol = draw(st.integers(1, 255))
    ports = draw(st.sampled_from([(0, 65535), (65535, 0), (80, 443), (7, 7)]))
    return TrafficSelector(family(first), family(last), protocol, *ports)


unknown_selectors = st.builds(UnknownSelector, st.integers(11, 255), octets, st.binary(max_size=20))
security_labels = st.builds(SecurityLabel, small)
selectors = st.lists(st.one_of(ranges(), security_labels, unknown_selectors), max_size=5).map(tuple)
identities = st.builds(Identity, octets, small)
authorities = st.lists(st.binary(min_size=20, max_size=20), max_size=3).map(b"".join)
config_attribute = st.builds(ConfigAttribute, st.integers(0, 0x7FFF), small)
config_attributes = st.lists(config_attribute, max_size=5).map(tuple)
four = st.binary(min_size=4, max_size=4)
payloads = st.one_of(
    st.builds(SecurityAssociation, st.lists(proposals, min_size=1, max_size=4).map(numbered)),
    st.builds(KeyExchange, words, small),
    st.builds(Nonce, st.binary(min_size=16, max_size=256)),
    st.builds(IdInitiator, identities, st.binary(min_size=3, max_size=3)),
    st.builds(IdResponder, identities, st.binary(min_size=3, max_size=3)),
    st.builds(Authentication, octets, small),
    st.builds(Notify, words, small, octets, st.binary(max_size=8)),
    st.builds(Delete, st.just(3), st.lists(four, max_size=5).map(tuple)),
    st.just(Delete(1)),
    st.builds(VendorId, small),
    st.builds(TsInitiator, selectors),
    st.builds(TsResponder, selectors),
    st.builds(Certificate, octets, small),
    st.builds(CertificateRequest, st.sampled_from([1, 7, 12]), small),
    st.builds(CertificateRequest, st.just(4), authorities),
    st.builds(Configuration, octets, config_attributes),
    st.builds(RawPayload, st.sampled_from([48, 49, 200]), small),
)
headers = st.builds(
    Header,
    st.binary(min_size=8, max_size=8),
    st.binary(min_size=8, max_size=8),
    octets,
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
chains = st.lists(payloads, max_size=8)


@given(headers, chains)
def test_what_is_encoded_parses_back_equal_and_encodes_to_the_same_octets(header, items):
    data = encode_clear(header, items)
    message = parse_message(data)
    assert message.clear.payloads == tuple(items)
    assert message.encrypted is None
    assert encode_clear(message.header, message.clear.payloads) == data


@given(headers, chains, st.sampled_from([AES128_GCM, CHACHA20]))
def test_what_is_sealed_opens_equal(header, items, suite):
    cipher = AeadCipher(suite, bytes(range(suite.keymat_size)))
    data = seal_message(header, items, cipher, bytes(8))
    message = parse_message(data)
    assert message.encrypted is not None
    assert open_message(message.encrypted, cipher).payloads == tuple(items)


def parsed_or_refused(parse, octets):
    """The structure, or None after the typed error; any other exception fails the test."""
    try:
        return parse(octets)
    except ParseError:
        return None


@settings(max_examples=500)
@given(st.binary(max_size=300))
def test_91_arbitrary_octets_raise_nothing_but_the_typed_error(data):
    for parse in (parse_header, parse_message):
        parsed_or_refused(parse, data)


@settings(max_examples=1000)
@given(st.sampled_from(sorted(PAYLOADS)), st.binary(max_size=120))
def test_91_arbitrary_payload_bodies_parse_or_raise_the_typed_error(kind, body):
    payload = parsed_or_refused(PAYLOADS[kind].parse, body)
    if payload is not None:
        assert PAYLOADS[kind].parse(payload.encode()) == payload


@settings(max_examples=200)
@given(chains, st.data())
def test_91_mutated_chains_parse_or_raise_the_typed_error(items, data):
    first, chain = encode_chain(items)
    if not chain:
        return
    spoiled = bytearray(chain)
    for _ in range(3):
        spoiled[data.draw(st.integers(0, len(chain) - 1))] = data.draw(octets)
    parsed = parsed_or_refused(lambda octets: parse_chain(first, octets), bytes(spoiled))
    if parsed is not None:
        assert len(parsed) <= MAX_PAYLOADS


def refuses(parse, body, reason):
    with pytest.raises(ParseError, match=reason):
        parse(body)


ENCR = bytes.fromhex("0300000c01000014800e0080")
SN = bytes.fromhex("0000000805000000")
SPI = bytes.fromhex("c0000001")


def proposal(body=ENCR + SN, *, last=0, number=1, protocol=3, spi=SPI, count=2, size=None):
    size = 8 + len(spi) + len(body) if size is None else size
    head = bytes([last, 0]) + size.to_bytes(2, "big")
    return head + bytes([number, protocol, len(spi), count]) + spi + body


def test_a_minimal_esp_proposal_reads_as_written():
    payload = SecurityAssociation.parse(proposal())
    assert payload.proposals == (Proposal(1, 3, SPI, (Transform.of(1, 20, 128), Transform(5, 0))),)
    assert payload.proposals[0].transforms[0].key_bits == 128
    assert payload.encode() == proposal()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "substructure header needs 4 octets"),
        (proposal(size=7), "length 7 is below 8"),
        (proposal(size=200), "needs 196 octets"),
        (proposal(count=3), "transform 2 of 3 has last marker 0"),
        (proposal(count=1), "last marker 3"),
        (proposal(ENCR + SN + SN, count=2), "octets after the end"),
        (proposal(last=2), "needs 4 octets"),
        (proposal(last=1), "must be 0 or 2"),
        (proposal() + b"\0", "1 octets after the end"),
        (proposal(SN + SN), "transform 1 of 2 has last marker 0"),
        (proposal(bytes.fromhex("0000000705000000"), count=1), "length 7 is below 8"),
        (proposal(bytes.fromhex("00000009050000000e"), count=1), "attribute needs 4"),
        (proposal(bytes.fromhex("0000000c05000000000e0009"), count=1), "value needs 9"),
        (proposal(number=0), "do not rise from 1"),
        (proposal(last=2, number=2) + proposal(number=1), "do not rise"),
        (proposal(spi=b"\1"), "SPI of 1 octets for protocol 3"),
        (proposal(spi=b""), "SPI of 0 octets for protocol 3"),
        (proposal(spi=bytes(8)), "SPI of 8 octets for protocol 3"),
        (proposal(protocol=1), "SPI of 4 octets for protocol 1"),
        (proposal(last=2) * 32 + proposal(), "more than 32 proposals"),
    ],
)
def test_19_20_21_malformed_proposals_are_refused_with_the_reason(body, reason):
    refuses(SecurityAssociation.parse, body, reason)


@pytest.mark.parametrize(
    ("parse", "body", "reason"),
    [
        (KeyExchange.parse, b"\0", "method needs 2"),
        (Nonce.parse, bytes(15), "15 octets, must be 16..256"),
        (Nonce.parse, bytes(257), "257 octets"),
        (IdInitiator.parse, b"\2\0\0", "reserved needs 3"),
        (IdInitiator.parse, b"\2\0\0\0" + bytes(1025), "1025 octets, at most 1024"),
        (Authentication.parse, b"\2", "reserved needs 3"),
        (Notify.parse, b"\0\4\x40\0\1\2\3", "SPI needs 4"),
        (Delete.parse, b"\1\0\0\1", "1 SPIs of 0 octets"),
        (Delete.parse, b"\1\x08\0\0", "SPI of 8 octets for protocol 1"),
        (Delete.parse, b"\3\4\0\2\0\0\0\1", "2 SPIs of 4 octets in 4"),
        (Delete.parse, b"\0\4\0\0", "for protocol 0"),
        (Delete.parse, b"\x09\4\0\0", "for protocol 9"),
    ],
)
def test_33_75_malformed_simple_payloads_are_refused_with_the_reason(parse, body, reason):
    refuses(parse, body, reason)


def selector(kind=7, protocol=0, size=16, ports="0000ffff", addresses="0a0000000a0000ff"):
    return bytes([kind, protocol]) + size.to_bytes(2, "big") + bytes.fromhex(ports + addresses)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\0\0\0", "reserved needs 3"),
        (b"\2\0\0\0" + selector(), "selector header needs 4"),
        (b"\0\0\0\0" + selector(), "16 octets after the end"),
        (b"\1\0\0\0" + selector(size=15), "1 octets after|must be 16"),
        (b"\1\0\0\0" + selector(size=17), "needs 13"),
        (b"\1\0\0\0" + selector(size=3), "below 4"),
        (b"\1\0\0\0" + selector(kind=8), "must be 40"),
        (b"\1\0\0\0" + selector(addresses="0a0000010a000000"), "above the last"),
        (b"\1\0\0\0" + selector(protocol=6, ports="00020001"), "above 1"),
        (b"\1\0\0\0" + selector(ports="00500050"), "no port restriction"),
    ],
)
def test_65_malformed_selectors_are_refused_with_the_reason(body, reason):
    refuses(TsInitiator.parse, body, reason)


def test_65_opaque_ports_and_unknown_types_are_kept():
    body = b"\2\0\0\0" + selector(protocol=6, ports="ffff0000") + bytes.fromhex("0b00000800010161")
    payload = TsResponder.parse(body)
    assert payload.selectors[0].ports == (65535, 0)
    assert payload.entries[1] == UnknownSelector(11, 0, b"\0\1\1a")
    assert payload.encode() == body


def test_13_only_unknown_types_care_about_the_critical_bit():
    critical = bytes([0, 0x80, 0, 4])
    for kind in (48, 53 - 5):
        assert parse_chain(kind, critical) == (RawPayload(kind, b""),)
    for kind in (1, 55, 200, 255):
        with pytest.raises(UnsupportedCriticalPayloadError) as caught:
            parse_chain(kind, critical)
        assert caught.value.payload_type == kind


def test_16_sk_must_be_last_and_never_inside_another():
    cipher = AeadCipher(AES128_GCM, bytes(20))
    head = Header(b"i" * 8, b"r" * 8, 37, True, False, 0)
    data = seal_message(head, [], cipher, bytes(8))
    longer = data[:24] + (len(data) + 4).to_bytes(4, "big") + data[28:] + bytes(4)
    refuses(parse_message, longer, "4 octets after the end")
    refuses(lambda body: parse_chain(46, body), data[28:], "inside another")
    inner = RawPayload(46, bytes(30))
    nested = parse_message(seal_message(head, [inner], cipher, bytes(8)))
    assert nested.encrypted is not None
    with pytest.raises(ParseError, match="inside another"):
        open_message(nested.encrypted, cipher)


def skf(number, total, first=0):
    """A message with an SKF payload that nobody sealed."""
    head = Header(b"i" * 8, b"r" * 8, 37, True, False, 0)
    body = number.to_bytes(2, "big") + total.to_bytes(2, "big") + bytes(40)
    data = bytearray(encode_clear(head, [RawPayload(53, body)]))
    data[28] = first
    return bytes(data)


@pytest.mark.parametrize(("number", "total"), [(0, 1), (2, 1), (0, 0), (1, 0), (65535, 65534)])
def test_79_fragment_numbers_run_from_one_to_the_total(number, total):
    refuses(parse_message, skf(number, total), f"fragment {number} of {total}")


@pytest.mark.parametrize(("number", "total", "first"), [(1, 2, 0), (2, 2, 33), (3, 3, 41)])
def test_80_the_first_fragment_alone_names_the_first_inner_payload(number, total, first):
    refuses(parse_message, skf(number, total, first), f"Next Payload {first}")


@pytest.mark.parametrize(("number", "total", "first"), [(1, 1, 0), (1, 1, 41), (65535, 65535, 0)])
def test_79_legal_fragments_are_read_before_they_are_opened(number, total, first):
    encrypted = parse_message(skf(number, total, first)).encrypted
    assert encrypted is not None
    assert (encrypted.part, encrypted.first_inner) == (Part(number, total), first)
    assert len(encrypted.associated) == 28 + 4 + 4


def test_clear_payloads_stand_in_front_of_the_first_fragment_only():
    head = Header(b"i" * 8, b"r" * 8, 37, True, False, 0)
    for number, first in ((1, 41), (2, 0)):
        fragment = RawPayload(53, bytes([0, number, 0, 2]) + bytes(40))
        data = bytearray(encode_clear(head, [VendorId(b"x"), fragment]))
        data[28 + 5] = first
        if number == 1:
            assert parse_message(bytes(data)).clear.payloads == (VendorId(b"x"),)
        else:
            refuses(parse_message, bytes(data), "clear payloads in fragment 2 of 2")


def test_an_skf_payload_too_short_for_its_header_is_malformed():
    head = Header(b"i" * 8, b"r" * 8, 37, True, False, 0)
    refuses(parse_message, encode_clear(head, [RawPayload(53, bytes(3))]), "SKF payload")


def sealed(plaintext, first=0):
    """An authentic SK payload around any plaintext."""
    cipher = AeadCipher(AES128_GCM, bytes(20))
    size = 8 + len(plaintext) + 16
    head = Header(b"i" * 8, b"r" * 8, 37, True, False, 0, 46, 32 + size).encode()
    associated = head + bytes([first, 0]) + (4 + size).to_bytes(2, "big")
    message = parse_message(associated + cipher.seal(associated, bytes(8), plaintext))
    assert message.encrypted is not None
    return open_message(message.encrypted, cipher)


def test_44_pad_length_beyond_the_plaintext_is_an_integrity_failure():
    for plaintext in (b"\1", b"\xff" + b"\xff", bytes(10) + b"\x0b"):
        with pytest.raises(IntegrityError, match="pad length"):
            sealed(plaintext)


def test_44_any_legal_amount_and_content_of_padding_is_accepted():
    for pad in (0, 1, 15, 255):
        assert sealed(b"\xaa" * pad + bytes([pad])).payloads == ()
        nonce = Nonce(bytes(16))
        first, chain = encode_chain([nonce])
        assert sealed(chain + b"\x55" * pad + bytes([pad]), first).payloads == (nonce,)


@pytest.mark.parametrize("size", [0, 7, 8, 23, 24])
def test_44_an_sk_payload_shorter_than_iv_icv_and_pad_length_is_an_integrity_failure(size):
    cipher = AeadCipher(AES128_GCM, bytes(20))
    with pytest.raises(IntegrityError, match="too short"):
        cipher.open(b"", bytes(size))


def test_45_inner_octets_that_do_not_match_the_announced_chain_are_malformed():
    for plaintext, first in ((b"\0", 40), (b"trailing\0", 0), (bytes([0, 0, 0, 5, 1, 2, 0]), 43)):
        with pytest.raises(ParseError):
            sealed(plaintext, first)


def test_15_asking_for_one_payload_finds_exactly_one():
    nonce = Nonce(bytes(16))
    assert PayloadSet((nonce,)).one(Nonce) is nonce
    assert PayloadSet(()).optional(Nonce) is None
    with pytest.raises(ParseError, match="no NONCE"):
        PayloadSet(()).one(Nonce)
    with pytest.raises(ParseError, match="2 NONCE payloads"):
        PayloadSet((nonce, nonce)).optional(Nonce)
