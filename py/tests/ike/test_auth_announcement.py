"""Announced authentication methods choose among our credentials (RFC 9593)."""

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ike_lab import EAST, STEADY, WEST, Lab, east_config, make_node, toward, west_config
from pki_lab import authority, host, trusting

from p4esp.ike.auth import certified
from p4esp.ike.auth.announcements import (
    MAX_ANNOUNCEMENTS,
    Announcement,
    encode_list,
    parse_list,
)
from p4esp.ike.auth.credentials import PeerAuth, PresharedKey
from p4esp.ike.auth.schemes import SCHEMES, STRONG
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import AuthMethod, ExchangeType, NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.errors import ParseError
from p4esp.ike.events import AuthenticationFailed, ChildUp, IkeEstablished
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions import auth_announcement
from p4esp.ike.extensions.auth_announcement import AuthAnnouncement
from p4esp.ike.extensions.signature_hashes import SignatureHashes
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ike.proposals import Template
from p4esp.ipsec.identity import Identity

METHODS = NotifyType.SUPPORTED_AUTH_METHODS
WISH, OFF = ExtensionWishes(announce_auth=True), ExtensionWishes()
ROOT, OTHER = authority("announced root"), authority("announced other root")
RSA, CURVE = (host("west", ROOT, kind=kind).credential for kind in ("rsa", "p256"))
EAST_RSA, EAST_CURVE = (host("east", ROOT, kind=kind).credential for kind in ("rsa", "p256"))
EVERYTHING = trusting(ROOT)
ECDSA = (SCHEMES["ecdsa-sha256"],)
ONLY_ECDSA = trusting(ROOT, schemes=ECDSA)
ML_DSA_44 = Announcement(AuthMethod.SIGNATURE, 0, bytes.fromhex("300b0609608648016503040311"))
BY_ECDSA = Announcement(AuthMethod.SIGNATURE, 0, ECDSA[0].identifiers[0])
HYBRID = (Template.ike("aes256gcm16-prfsha256-x25519-ke1_mlkem768"),)
SMALL = Settings(retransmission=STEADY, fragment_size=576)


def west_of(*credentials, trust=EVERYTHING, wish=WISH, **more):
    first, *others = credentials
    auth = PeerAuth(first, (trust,), tuple(others))
    return west_config(auth=auth, extensions=wish, **more)


def east_of(*credentials, trust=EVERYTHING, wish=WISH, **more):
    first, *others = credentials
    auth = PeerAuth(first, (trust,), tuple(others))
    return east_config(auth=auth, extensions=wish, **more)


@pytest.fixture
def verified(monkeypatch) -> list[str]:
    """The schemes of the signatures that were verified, by name; old methods by number."""
    found, real = [], certified.verify

    def spy(auth, *rest):
        name = auth.data[1 : 1 + auth.data[0]]
        known = [scheme.name for scheme in STRONG if name in scheme.identifiers]
        found.append(known[0] if auth.method == AuthMethod.SIGNATURE else str(auth.method))
        return real(auth, *rest)

    monkeypatch.setattr(certified, "verify", spy)
    return found


def connected(lab: Lab) -> Lab:
    lab.connect()
    assert lab.west.of(ChildUp)
    assert lab.east.of(ChildUp)
    return lab


def heard(node, exchange):
    """The notifies of this kind in what a node received in an exchange."""
    records = [one for one in node.traces if one.kind == "received" and one.header]
    return [
        text
        for one in records
        if one.header.exchange == exchange
        for text in one.payloads
        if METHODS.name in text
    ]


def test_an_initiator_takes_the_credential_that_the_responder_can_verify(verified):
    connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA, trust=ONLY_ECDSA)))
    assert verified[0] == "ecdsa-sha256"


def test_a_responder_takes_the_credential_that_the_initiator_can_verify(verified):
    connected(Lab(west_of(RSA, trust=ONLY_ECDSA), east_of(EAST_RSA, EAST_CURVE)))
    assert verified[1] == "ecdsa-sha256"


@pytest.mark.parametrize(("west", "east"), [(WISH, OFF), (OFF, WISH), (OFF, OFF)])
def test_without_an_announcement_the_first_credential_is_tried(west, east, verified):
    lab = Lab(west_of(RSA, CURVE, wish=west), east_of(EAST_RSA, trust=ONLY_ECDSA, wish=east))
    lab.connect()
    assert lab.east.one(AuthenticationFailed)
    assert verified == ["rsa-pss-sha256"]


def test_the_first_credential_is_kept_where_the_peer_can_verify_it(verified):
    connected(Lab(west_of(CURVE, RSA), east_of(EAST_CURVE, EAST_RSA)))
    assert verified == ["ecdsa-sha256", "ecdsa-sha256"]


def test_the_signature_algorithm_is_one_that_was_announced(verified):
    """The hash alone would allow RSASSA-PSS, which we prefer."""
    old = trusting(ROOT, schemes=(SCHEMES["rsa-sha256"],))
    connected(Lab(west_of(RSA), east_of(EAST_RSA, trust=old)))
    assert verified == ["rsa-sha256", "rsa-pss-sha256"]


def test_what_is_announced_has_a_hash_that_was_announced_too(verified, monkeypatch):
    """A peer that contradicts itself: the announcement counts for nothing then."""
    says(monkeypatch, Announcement(AuthMethod.SIGNATURE, 0, SCHEMES["rsa-sha512"].identifiers[0]))
    pss = trusting(ROOT, schemes=(SCHEMES["rsa-pss-sha256"],))
    connected(Lab(west_of(RSA), east_of(EAST_RSA, trust=pss)))
    assert verified[0] == "rsa-pss-sha256"


def test_a_shared_secret_can_be_the_other_credential():
    secret = PresharedKey(b"correct horse")
    west = west_config(auth=PeerAuth(RSA, (EVERYTHING,), (secret,)), extensions=WISH)
    connected(Lab(west, east_config(auth=PeerAuth(EAST_RSA, (secret,)), extensions=WISH)))


def test_both_ends_show_that_it_was_announced():
    lab = connected(Lab(west_of(RSA), east_of(EAST_RSA)))
    for node in (lab.west, lab.east):
        assert METHODS.name in node.endpoint.ike_sas[0].extensions


def test_a_rekeyed_ike_sa_still_shows_it():
    lab = connected(Lab(west_of(RSA), east_of(EAST_RSA)))
    lab.west.endpoint.rekey_ike(lab.west.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    assert METHODS.name in lab.west.endpoint.ike_sas[0].extensions


def test_the_responder_says_it_in_ike_sa_init_and_the_initiator_in_ike_auth():
    lab = connected(Lab(west_of(RSA), east_of(EAST_RSA)))
    assert len(heard(lab.west, ExchangeType.IKE_SA_INIT)) == 1
    assert len(heard(lab.east, ExchangeType.IKE_AUTH)) == 1
    assert heard(lab.west, ExchangeType.IKE_AUTH) == heard(lab.east, ExchangeType.IKE_SA_INIT) == []


# --- the list in IKE_INTERMEDIATE


def hybrid_lab(east=EVERYTHING, settings=SMALL, proposals=HYBRID):
    ends = (
        west_of(RSA, CURVE, proposals=proposals),
        east_of(EAST_RSA, trust=east, proposals=proposals),
    )
    return Lab(*ends, settings=settings)


def sizes_in_init(lab):
    answer = parse_message(next(one.data for _, one in lab.wire if toward(WEST, one)))
    return [len(n.data) for n in answer.clear.every(Notify) if n.type == METHODS]


def test_a_list_too_long_for_ike_sa_init_comes_in_ike_intermediate(verified):
    lab = connected(hybrid_lab(ONLY_ECDSA, settings=replace(SMALL, fragment_size=300)))
    assert sizes_in_init(lab) == [0]
    assert len(heard(lab.west, ExchangeType.IKE_INTERMEDIATE)) == 1
    assert verified[0] == "ecdsa-sha256"


def test_of_several_intermediate_exchanges_the_first_carries_it():
    two = (Template.ike("aes256gcm16-prfsha256-x25519-ke1_ecp256-ke2_mlkem768"),)
    lab = connected(hybrid_lab(proposals=two))
    assert len(heard(lab.west, ExchangeType.IKE_INTERMEDIATE)) == 1


def test_a_list_that_fits_comes_in_ike_sa_init_all_the_same():
    lab = connected(hybrid_lab(settings=replace(SMALL, fragment_size=1500)))
    assert sizes_in_init(lab) != [0]
    assert heard(lab.west, ExchangeType.IKE_INTERMEDIATE) == []


def test_without_such_an_exchange_a_long_list_still_comes_in_ike_sa_init():
    lab = connected(Lab(west_of(RSA), east_of(EAST_RSA), settings=SMALL))
    assert sizes_in_init(lab) != [0]


def test_an_empty_list_that_nothing_follows_leaves_the_first_credential(verified, monkeypatch):
    says(monkeypatch)
    connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA)))
    assert verified[0] == "rsa-pss-sha256"


def test_a_list_in_ike_intermediate_that_was_not_promised_is_ignored_and_recorded(verified):
    class Unasked(AuthAnnouncement):
        def additions(self, sa, exchange, *, response):
            late = response and exchange == ExchangeType.IKE_INTERMEDIATE
            return [Notify(METHODS, encode_list([BY_ECDSA]))] if late else []

    lab = hybrid_lab()
    others = [one for one in STANDARD if not isinstance(one, AuthAnnouncement)]
    lab = connected(
        Lab(lab.west_config, lab.east_config, settings=SMALL, extensions=(*others, Unasked()))
    )
    assert verified[0] == "rsa-pss-sha256"
    assert lab.west.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


# --- authorities


def test_an_announcement_for_one_authority_says_nothing_of_certificates_under_another(verified):
    """East takes RSA under the one root from somebody else, and ECDSA under the other from us."""
    roots = {"rsa-pss-sha256": OTHER, "ecdsa-sha256": ROOT}
    some, ours = (trusting(root, schemes=(SCHEMES[name],)) for name, root in roots.items())
    stranger = east_of(EAST_RSA, trust=some, remote_id=Identity.parse("stranger.example"))
    lab = Lab(west_of(RSA, CURVE), east_of(EAST_RSA, trust=ours))
    lab.nodes[EAST] = lab.east = make_node([replace(stranger, name="x"), lab.east_config], 2)
    connected(lab)
    assert verified[0] == "ecdsa-sha256"


@pytest.mark.parametrize("link", [2, 255])
def test_a_link_to_no_authority_is_ignored(link, verified, monkeypatch):
    says(monkeypatch, replace(BY_ECDSA, authority=link))
    connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA)))
    assert verified[0] == "rsa-pss-sha256"


def test_a_link_to_our_authority_counts(verified, monkeypatch):
    says(monkeypatch, replace(BY_ECDSA, authority=1))
    connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA)))
    assert verified[0] == "ecdsa-sha256"


def test_an_intermediate_authority_of_ours_is_found_too(verified, monkeypatch):
    middle = authority("announced middle", ROOT)
    deep = host("west", middle, kind="p256").credential
    says(monkeypatch, replace(BY_ECDSA, authority=1))
    connected(Lab(west_of(RSA, deep), east_of(EAST_RSA)))
    assert verified[0] == "ecdsa-sha256"


# --- bad input


def says(monkeypatch, *announcements, raw=b""):
    """What both ends announce instead of what is true."""
    data = encode_list(announcements) + raw
    monkeypatch.setattr(auth_announcement, "_notify", lambda _: Notify(METHODS, data))


def sends(monkeypatch, *notifies):
    """What a responder sends in its IKE_SA_INIT response."""
    monkeypatch.setattr(AuthAnnouncement, "_in_init", staticmethod(lambda _: list(notifies)))


def test_what_we_do_not_know_is_ignored_and_the_first_credential_tried(verified, monkeypatch):
    says(monkeypatch, ML_DSA_44, Announcement(77, 3, b"??"))
    lab = connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA)))
    assert verified[0] == "rsa-pss-sha256"
    assert lab.west.endpoint.drops[Drop.IGNORED_NOTIFY] == 0


def test_an_unknown_announcement_does_not_end_the_list(verified, monkeypatch):
    says(monkeypatch, ML_DSA_44, Announcement(77, 3, b"??"), BY_ECDSA)
    connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA)))
    assert verified[0] == "ecdsa-sha256"


@pytest.mark.parametrize("rest", [b"\0", b"\1", b"\x09\x0e\0", b"\xff"], ids=bytes.hex)
def test_a_malformed_announcement_ends_the_list_and_fails_nothing(rest, verified, monkeypatch):
    says(monkeypatch, BY_ECDSA, raw=rest)
    lab = connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA, EAST_CURVE)))
    assert verified == ["ecdsa-sha256", "ecdsa-sha256"]
    assert lab.west.endpoint.drops == lab.east.endpoint.drops == {Drop.IGNORED_NOTIFY: 1}


def test_several_notifies_are_one_list(verified, monkeypatch):
    sends(monkeypatch, Notify(METHODS, ML_DSA_44.encode()), Notify(METHODS, BY_ECDSA.encode()))
    connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA)))
    assert verified[0] == "ecdsa-sha256"


def test_a_notify_with_an_spi_is_ignored_and_recorded(verified, monkeypatch):
    sends(monkeypatch, Notify(METHODS, BY_ECDSA.encode(), ProtocolId.ESP, bytes(4)))
    lab = connected(Lab(west_of(RSA, CURVE), east_of(EAST_RSA)))
    assert verified[0] == "rsa-pss-sha256"
    assert lab.west.endpoint.drops == {Drop.IGNORED_NOTIFY: 1}


def test_it_is_not_looked_at_in_other_messages(verified):
    class Elsewhere(AuthAnnouncement):
        def additions(self, sa, exchange, *, response):
            right = (exchange == ExchangeType.IKE_SA_INIT) == response
            return [] if right else [Notify(METHODS, BY_ECDSA.encode())]

    others = [one for one in STANDARD if not isinstance(one, AuthAnnouncement)]
    ends = west_of(RSA, CURVE), east_of(EAST_RSA, EAST_CURVE)
    connected(Lab(*ends, extensions=(*others, Elsewhere())))
    assert verified == ["rsa-pss-sha256", "rsa-pss-sha256"]


def test_who_changes_the_list_on_the_way_is_found_out_by_auth():
    """The responder's AUTH covers its IKE_SA_INIT response."""
    lab = Lab(west_of(CURVE, RSA), east_of(EAST_RSA))
    deliver = lab.deliver
    weaker = Notify(METHODS, Announcement(14, 0, SCHEMES["rsa-sha256"].identifiers[0]).encode())

    def spoil(datagram):
        message = parse_message(datagram.data)
        if toward(WEST, datagram) and message.header.exchange == ExchangeType.IKE_SA_INIT:
            payloads = [
                weaker if isinstance(one, Notify) and one.type == METHODS else one
                for one in message.clear.payloads
            ]
            datagram = replace(datagram, data=encode_clear(message.header, payloads))
        deliver(datagram)

    lab.deliver = spoil
    lab.connect()
    assert lab.west.one(AuthenticationFailed)
    assert not lab.west.of(IkeEstablished)


# --- the form on the wire


@pytest.mark.parametrize(
    ("announcement", "octets"),
    [
        (Announcement(AuthMethod.SHARED_KEY), "0202"),
        (Announcement(AuthMethod.NULL), "020d"),
        (Announcement(AuthMethod.RSA, 1), "030101"),
        (Announcement(AuthMethod.ECDSA_SHA256_P256), "030900"),
        (Announcement(14, 2, bytes.fromhex("300506032b6570")), "0a0e02300506032b6570"),
    ],
)
def test_the_three_forms_of_an_announcement(announcement, octets):
    assert announcement.encode().hex() == octets
    found = []
    parse_list(bytes.fromhex(octets), found)
    assert found == [announcement]


def test_between_ends_that_announce_no_hashes_the_methods_are_the_old_ones(verified):
    others = [one for one in STANDARD if not isinstance(one, SignatureHashes)]
    lab = Lab(west_of(RSA, CURVE), east_of(EAST_RSA, trust=ONLY_ECDSA), extensions=others)
    connected(lab)
    answer = parse_message(lab.wire[1][1].data)
    assert answer.clear.notify(METHODS).data.hex() == "030900"
    assert verified == [str(AuthMethod.ECDSA_SHA256_P256.value), str(AuthMethod.RSA.value)]


def test_all_algorithms_that_are_accepted_are_announced_once():
    lab = connected(Lab(west_of(RSA), east_of(EAST_RSA)))
    found = []
    parse_list(parse_message(lab.wire[1][1].data).clear.notify(METHODS).data, found)
    wanted = [Announcement(14, 0, scheme.identifiers[0]) for scheme in STRONG]
    assert found == wanted


@given(st.binary(max_size=600))
def test_whatever_a_list_holds_no_more_than_its_limit_is_kept(data):
    found = []
    with suppress(ParseError):
        parse_list(data * 4, found)
    assert len(found) <= MAX_ANNOUNCEMENTS
