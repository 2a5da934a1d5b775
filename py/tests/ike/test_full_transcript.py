"""AUTH over both messages of IKE_SA_INIT (draft-ietf-ipsecme-ikev2-downgrade-prevention)."""

from dataclasses import replace

import pytest
from ike_lab import EAST, STEADY, WEST, assert_nothing_left, east_config, toward, west_config
from ike_meddler import (
    Meddler,
    exchange,
    init_nonces,
    malformed,
    opened,
    prf,
    protection,
    rewritten,
    sent,
    without,
)
from pki_lab import authority, host, trusting

from p4esp.ike.auth.credentials import PeerAuth, PresharedKey
from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import Authentication, IdInitiator, IdResponder, Notify
from p4esp.ike.codec.proposal import SecurityAssociation
from p4esp.ike.config import Settings
from p4esp.ike.constants import NotifyType
from p4esp.ike.crypto.int_auth import plain_form
from p4esp.ike.drops import Drop
from p4esp.ike.events import AuthenticationFailed, ChildUp, IkeEstablished
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.proposals import Template

FULL = NotifyType.IKE_SA_INIT_FULL_TRANSCRIPT_AUTH
OFF = ExtensionWishes(full_transcript=False)
PSK, PAD = b"correct horse", b"Key Pad for IKEv2"
STRONG = "aes256gcm16-prfsha256-x25519"
EITHER, WEAK = "aes256gcm16-aes128gcm16-prfsha256-x25519", "aes128gcm16-prfsha256-x25519"


def lab_of(west=None, east=None, proposals=STRONG, **auth):
    """`west`, `east`: wishes, if not the usual ones."""
    templates = tuple(Template.ike(text) for text in proposals.split(","))
    ends = [{"proposals": templates}, {"proposals": templates}]
    for end, wishes in zip(ends, (west, east), strict=True):
        end.update({} if wishes is None else {"extensions": wishes})
    for end, name in zip(ends, ("west_auth", "east_auth"), strict=True):
        end.update({"auth": auth[name]} if name in auth else {})
    return Meddler(west_config(**ends[0]), east_config(**ends[1]))


def agreed(lab):
    return [FULL.name in n.one(IkeEstablished).ike.extensions for n in (lab.west, lab.east)]


def init_messages(lab):
    """RealMessage1, the last request, and RealMessage2."""
    return sent(lab, 34)[-1].data, sent(lab, 34, response=True)[-1].data


def int_auth(lab):
    """IntAuth_i | IntAuth_r | the message ID of IKE_AUTH, after one IKE_INTERMEDIATE."""
    *_, keys = lab.west.keys[0]
    parts = []
    for key, response in ((keys.pi, False), (keys.pr, True)):
        (datagram,) = sent(lab, 43, response=response)
        message = parse_message(datagram.data)
        inner = protection(lab.west, 0, of_west=not response).open_piece(message.encrypted)
        parts.append(prf(key, plain_form(datagram.data, inner)))
    return b"".join(parts) + (2).to_bytes(4, "big")


def auth_data(lab, octets):
    """What AUTH payloads of both ends hold if they cover these octets and what always follows."""
    (ni, nr), (*_, keys) = init_nonces(lab), lab.west.keys[-1]
    request, response = sent(lab, 35)[0], sent(lab, 35, response=True)[0]
    stage, found, expected = len(lab.west.keys) - 1, [], []
    ends = (request, IdInitiator, nr, keys.pi), (response, IdResponder, ni, keys.pr)
    for (datagram, kind, nonce, key), (said, more) in zip(ends, octets, strict=True):
        payloads = opened(lab, datagram, stage)
        covered = said + nonce + prf(key, payloads.one(kind).encode()) + more
        found.append(payloads.one(Authentication).data)
        expected.append(prf(prf(PSK, PAD), covered))
    return found, expected


def test_both_ends_prove_both_messages():
    lab = lab_of()
    lab.connect()
    assert agreed(lab) == [True, True]
    first, second = init_messages(lab)
    zero = bytes(8)
    found, expected = auth_data(lab, [(zero + second + first, b""), (zero + first + second, b"")])
    assert found == expected


def test_what_ike_intermediate_said_comes_behind_both_messages():
    lab = lab_of(proposals=f"{STRONG}-ke1_ecp256")
    lab.connect()
    assert agreed(lab) == [True, True]
    (first, second), more = init_messages(lab), int_auth(lab)
    zero = bytes(8)
    found, expected = auth_data(lab, [(zero + second + first, more), (zero + first + second, more)])
    assert found == expected


@pytest.mark.parametrize(("west", "east"), [(OFF, None), (None, OFF), (OFF, OFF)])
def test_without_it_at_one_end_each_proves_its_own_message(west, east):
    lab = lab_of(west, east)
    lab.connect()
    assert agreed(lab) == [False, False]
    first, second = init_messages(lab)
    found, expected = auth_data(lab, [(first, b""), (second, b"")])
    assert found == expected


def test_a_responder_announces_it_unasked():
    lab = lab_of(OFF, None)
    lab.connect()
    _, second = init_messages(lab)
    assert parse_message(second).clear.notify(FULL) == Notify(FULL)


def test_after_a_cookie_and_another_key_exchange_the_last_request_counts():
    west = west_config(proposals=(Template.ike("aes256gcm16-prfsha256-x25519-ecp256"),))
    east = east_config(proposals=(Template.ike("aes256gcm16-prfsha256-ecp256"),))
    lab = Meddler(west, east, settings=Settings(retransmission=STEADY, cookie_threshold=0))
    lab.connect()
    assert len(sent(lab, 34)) == 3
    assert agreed(lab) == [True, True]
    first, second = init_messages(lab)
    assert parse_message(first).clear.notify(NotifyType.COOKIE)
    request = opened(lab, sent(lab, 35)[0], 0)
    nr = parse_message(second).clear
    *_, keys = lab.west.keys[0]
    covered = bytes(8) + second + first + nr.payloads[2].data
    covered += prf(keys.pi, request.one(IdInitiator).encode())
    assert request.one(Authentication).data == prf(prf(PSK, PAD), covered)


def test_successors_of_a_rekeyed_ike_sa_know_that_it_was_agreed_on():
    lab = lab_of()
    lab.connect()
    lab.west.endpoint.rekey_ike(lab.west.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    assert FULL.name in lab.east.endpoint.ike_sas[0].extensions


STRIPPED = {"request": (EAST,), "response": (WEST,), "both": (EAST, WEST)}


@pytest.mark.parametrize("where", STRIPPED)
def test_an_attacker_who_takes_it_out_is_found_out(where):
    lab = lab_of()
    lab.change = lambda one: (
        without(one.data, FULL)
        if exchange(one) == 34 and any(toward(end, one) for end in STRIPPED[where])
        else one.data
    )
    lab.connect()
    failed = lab.west.of(AuthenticationFailed) + lab.east.of(AuthenticationFailed)
    assert any("AUTH does not verify" in event.reason for event in failed)
    assert_nothing_left(lab)


@pytest.mark.parametrize(
    "notifies",
    malformed(FULL).values(),
    ids=malformed(FULL),
)
def test_a_malformed_notify_counts_as_none(monkeypatch, notifies):
    monkeypatch.setattr(
        "p4esp.ike.extensions.mutual.MutualNotify.additions", lambda *_, **__: notifies
    )
    lab = lab_of()
    lab.connect()
    assert agreed(lab) == [False, False]
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1


ROOT = authority("transcript root")
WEST_HOST, EAST_HOST = host("west", ROOT), host("east", ROOT)
KEY = PresharedKey(PSK)
WEST_IS_WEAK = {
    "west_auth": PeerAuth(KEY, (trusting(ROOT),)),
    "east_auth": PeerAuth(EAST_HOST.credential, (KEY,)),
}
EAST_IS_WEAK = {
    "west_auth": PeerAuth(WEST_HOST.credential, (KEY,)),
    "east_auth": PeerAuth(KEY, (trusting(ROOT),)),
}


class Forger:
    """Knows the key of the end with the weak credential, and the keys of the IKE SA: the algorithms
    that it talks the ends into are broken. It proves to each end what that end has seen.
    """

    def __init__(self, lab, victim, change, stripped=()):
        """`victim`: whom the weak end's message is forged towards; `change` alters IKE_SA_INIT."""
        self.lab, self.victim, self.change, self.stripped = lab, victim, change, stripped
        self.seen = {}
        lab.change = self

    def __call__(self, one):
        data = one.data
        end = EAST if toward(EAST, one) else WEST
        if exchange(one) == 34:
            data = self.change(data) if end == self.victim else data
            data = without(data, FULL) if end in self.stripped else data
            self.seen[end] = data
        elif exchange(one) == 35 and end == self.victim:
            data = self._forged(data)
        return data

    def _forged(self, data):
        to_east = self.victim == EAST
        message = parse_message(data)
        payloads = protection(self.lab.west, 0, of_west=to_east).open(message)
        if not payloads.has(Authentication):
            return data
        octets = self._octets(payloads, to_east)
        changed = [
            replace(one, data=prf(prf(PSK, PAD), octets))
            if isinstance(one, Authentication)
            else one
            for one in payloads.payloads
        ]
        return protection(self.lab.west, 0, of_west=not to_east).seal(message.header, changed)

    def _octets(self, payloads, to_east):
        """What the victim expects, by the messages that it has seen and sent."""
        first = self.seen[EAST] if to_east else sent(self.lab, 34)[0].data
        second = sent(self.lab, 34, response=True)[0].data if to_east else self.seen[WEST]
        (ni, nr), (*_, keys) = init_nonces(self.lab), self.lab.west.keys[0]
        own, other = (first, second) if to_east else (second, first)
        both = all(parse_message(one).clear.notify(FULL) for one in (first, second))
        said = bytes(8) + other + own if both else own
        kind, nonce, key = (IdInitiator, nr, keys.pi) if to_east else (IdResponder, ni, keys.pr)
        return said + nonce + prf(key, payloads.one(kind).encode())


def weakened(data):
    """The request without the best cipher."""

    def change(payload):
        if not isinstance(payload, SecurityAssociation):
            return payload
        (offer,) = payload.proposals
        return SecurityAssociation((replace(offer, transforms=offer.transforms[1:]),))

    return rewritten(data, change)


def shortened(data):
    """The response without something that east announced."""
    return without(data, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)


ATTACKS = {
    "weak initiator": (WEST_IS_WEAK, EAST, weakened),
    "weak responder": (EAST_IS_WEAK, WEST, shortened),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_without_it_who_holds_the_weaker_credential_can_weaken_both_ends(attack):
    """This is why there is the extension: nothing else finds it out."""
    auth, victim, change = ATTACKS[attack]
    lab = lab_of(OFF, OFF, EITHER, **auth)
    Forger(lab, victim, change)
    lab.connect()
    assert lab.west.one(ChildUp)
    assert lab.east.one(ChildUp)
    weak = lab.west.one(IkeEstablished).ike.suite == WEAK
    assert weak is (attack == "weak initiator")


@pytest.mark.parametrize("stripped", [(), *STRIPPED.values()], ids=["left in", *STRIPPED])
@pytest.mark.parametrize("attack", ATTACKS)
def test_with_it_the_end_with_the_better_credential_saves_both(attack, stripped):
    auth, victim, change = ATTACKS[attack]
    lab = lab_of(None, None, EITHER, **auth)
    Forger(lab, victim, change, stripped)
    lab.connect()
    saved = lab.west if victim == EAST else lab.east
    assert "signature does not verify" in saved.of(AuthenticationFailed)[0].reason
    assert saved.of(IkeEstablished) == saved.of(ChildUp) == []
