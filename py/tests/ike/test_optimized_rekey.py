"""Rekeys without SA and TS payloads (draft-ietf-ipsecme-ikev2-sa-ts-payloads-opt): what is sent,
which keys the new SA has, and when it has to be a regular rekey.
"""

import hmac
from dataclasses import replace

import ike_orders
import pytest
from ike_ledger import assert_mirrored, live
from ike_methods import (
    BOTH,
    NEITHER,
    PFS,
    methods_lab,
    only_child,
    rekey,
    rekey_ike,
    sent,
)

from p4esp.ike import establish, negotiation
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.events import ChildRekeyed, IkeDown, IkeRekeyed
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ipsec.sa import Share

CREATE, AUTH = ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_AUTH
SUPPORTED = NotifyType.OPTIMIZED_REKEY_SUPPORTED
OPTIMIZED = ExtensionWishes(optimized_rekey=True)
PLAIN = "aes256gcm16-aes128gcm16-esn-noesn"
WITH = "aes256gcm16-x25519-ecp256-esn"
HYBRID = "aes256gcm16-x25519-ke1_mlkem768-esn"
DEFAULT = "aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn"
IKE = "aes256gcm16-prfsha256-x25519"
HYBRID_IKE = "aes256gcm16-prfsha256-x25519-ke1_mlkem768"
ROLES = ["west", "east"]
ASKED = ("N(REKEY_SA)", "N(OPTIMIZED_REKEY)", "NONCE")
ANSWERED = ("N(OPTIMIZED_REKEY)", "NONCE")


def optimized_lab(text=WITH, **options):
    return methods_lab(text, wishes=options.pop("wishes", (BOTH, BOTH)), **options)


def ends(lab, role):
    """Who asks, then who answers."""
    return (lab.west, lab.east) if role == "west" else (lab.east, lab.west)


def test_it_is_agreed_on_in_ike_auth_under_protection():
    lab = optimized_lab()
    assert f"N({SUPPORTED.name})" in sent(lab.west, AUTH)[0]
    assert f"N({SUPPORTED.name})" in sent(lab.east, AUTH)[0]
    for node in (lab.west, lab.east):
        assert SUPPORTED.name in node.endpoint.ike_sas[0].extensions


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("text", "ke"), [(WITH, ("KE",)), (PLAIN, ())])
def test_a_child_sa_is_rekeyed_without_sa_and_ts(text, ke, role):
    lab = optimized_lab(text)
    before = only_child(lab.west).params
    rekey(lab, role)
    asking, answering = ends(lab, role)
    assert sent(asking, CREATE) == [(*ASKED, *ke)]
    assert sent(answering, CREATE) == [(*ANSWERED, *ke)]
    after = only_child(lab.west).params
    changed = ("spi_in", "spi_out", "keymat", "initiator")
    assert replace(after, **{name: getattr(before, name) for name in changed}) == before
    assert after.spi_in != before.spi_in
    assert_mirrored(lab)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("ike", [IKE, "aes256-sha384-prfsha384-ecp384"])
def test_an_ike_sa_is_rekeyed_without_sa(role, ike):
    lab = optimized_lab(ike=ike)
    rekey_ike(lab, role)
    asking, answering = ends(lab, role)
    assert sent(asking, CREATE) == sent(answering, CREATE) == [(*ANSWERED, "KE")]
    change = lab.west.one(IkeRekeyed)
    assert (change.new.suite, change.old.suite) == (ike, ike)
    assert change.new.spi != change.old.spi
    assert lab.west.keys[-1] == lab.east.keys[-1]
    assert_mirrored(lab)


def test_it_goes_on_under_the_new_ike_sa_and_again():
    lab = optimized_lab()
    for role in (*ROLES, *ROLES):
        rekey_ike(lab, role)
        rekey(lab, role)
    shown = sent(lab.west, CREATE) + sent(lab.east, CREATE)
    assert not any("SA" in payloads or "TSI" in payloads for payloads in shown)
    assert len(lab.east.of(IkeRekeyed)) == 4
    assert_mirrored(lab)


def prf_plus(key, seed, size):
    """RFC 7296 2.13 with SHA-256."""
    stream, block = b"", b""
    for count in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + seed + bytes([count]), "sha256")
        stream += block
    return stream[:size]


def test_a_child_sa_without_key_exchange_has_keys_of_sk_d_and_nonces():
    lab = optimized_lab(PLAIN, ike=IKE)
    rekey(lab)
    *_, keys = lab.west.keys[0]
    child = only_child(lab.west)
    nonces = child.nonces.initiator + child.nonces.responder
    stream = prf_plus(keys.d, nonces, 72)
    keymat = child.params.keymat
    assert keymat.outbound.key + keymat.outbound.salt == stream[:36]
    assert keymat.inbound.key + keymat.inbound.salt == stream[36:]


def test_a_child_sa_with_one_has_its_secret_in_front(monkeypatch):
    fresh = []
    child_keys = negotiation.child_keys
    monkeypatch.setattr(
        negotiation, "child_keys", lambda *args: fresh.append(args[2]) or child_keys(*args)
    )
    lab = optimized_lab(WITH, ike=IKE)
    rekey(lab)
    *_, keys = lab.west.keys[0]
    used = fresh[-1]
    assert len(used.secret) == 32
    stream = prf_plus(keys.d, used.secret + used.nonces.joined, 72)
    keymat = only_child(lab.west).params.keymat
    assert keymat.outbound.key + keymat.outbound.salt == stream[:36]
    assert keymat.inbound.key + keymat.inbound.salt == stream[36:]


def test_an_ike_sa_has_keys_of_the_old_sk_d_the_secret_and_the_new_spis(monkeypatch):
    fresh = []
    seed = establish.rekeyed_skeyseed
    monkeypatch.setattr(
        establish, "rekeyed_skeyseed", lambda *args: fresh.append(args[2]) or seed(*args)
    )
    lab = optimized_lab(ike=IKE)
    rekey_ike(lab)
    *_, old = lab.west.keys[0]
    spi_i, spi_r, _, new = lab.west.keys[-1]
    nonces = fresh[-1].nonces.joined
    skeyseed = hmac.digest(old.d, fresh[-1].secret + nonces, "sha256")
    stream = prf_plus(skeyseed, nonces + spi_i + spi_r, 32 + 2 * 36 + 2 * 32)
    assert (new.d, new.ei, new.er) == (stream[:32], stream[32:68], stream[68:104])
    assert (new.pi, new.pr) == (stream[104:136], stream[136:168])


@pytest.mark.parametrize("role", ROLES)
def test_additional_exchanges_are_those_of_the_old_sa(role):
    lab = optimized_lab(HYBRID, ike=HYBRID_IKE)
    rekey(lab, role)
    rekey_ike(lab, role)
    asking, answering = ends(lab, role)
    assert len(sent(asking, ExchangeType.IKE_FOLLOWUP_KE)) == 2
    assert sent(asking, CREATE) == [(*ASKED, "KE"), (*ANSWERED, "KE")]
    assert sent(answering, CREATE) == [(*ANSWERED, "KE", "N(ADDITIONAL_KEY_EXCHANGE)")] * 2
    assert lab.west.one(IkeRekeyed).new.suite == HYBRID_IKE
    assert lab.west.keys[-1] == lab.east.keys[-1]
    assert_mirrored(lab)


@pytest.mark.parametrize("text", [WITH, PLAIN])
def test_without_pfs_info_the_first_rekey_of_the_first_child_sa_is_regular(text):
    lab = optimized_lab(text, wishes=(OPTIMIZED, OPTIMIZED))
    rekey(lab)
    rekey(lab)
    first, second = sent(lab.west, CREATE)
    assert "SA" in first
    assert "TSI" in first
    assert second[:3] == ASKED
    assert_mirrored(lab)


def test_a_further_child_sa_can_be_rekeyed_so_at_once():
    lab = optimized_lab(wishes=(OPTIMIZED, OPTIMIZED))
    ike = lab.west.endpoint.ike_sas[0].spi
    lab.west.endpoint.create_child(ike, "net", lab.now)
    lab.settle()
    spi = max(live(lab.west))
    lab.west.endpoint.rekey_child(spi, lab.now)
    lab.settle()
    assert sent(lab.west, CREATE)[-1] == (*ASKED, "KE")
    assert_mirrored(lab)


@pytest.mark.parametrize("wishes", [(BOTH, PFS), (PFS, BOTH), (BOTH, NEITHER), (NEITHER, BOTH)])
@pytest.mark.parametrize("role", ROLES)
def test_one_end_alone_rekeys_regularly(wishes, role):
    lab = optimized_lab(wishes=wishes)
    rekey(lab, role)
    rekey_ike(lab, role)
    asking, _ = ends(lab, role)
    assert all("SA" in payloads for payloads in sent(asking, CREATE))
    assert_mirrored(lab)


def test_a_regular_rekey_is_always_accepted(monkeypatch):
    lab = optimized_lab()
    monkeypatch.setattr("p4esp.ike.tasks.create_child.inherited_offer", lambda *_: None)
    monkeypatch.setattr("p4esp.ike.tasks.rekey_ike.inherited_ike", lambda *_: None)
    rekey(lab)
    rekey_ike(lab)
    assert all("SA" in payloads for payloads in sent(lab.west, CREATE))
    assert lab.east.of(IkeDown)
    assert_mirrored(lab)


@pytest.mark.parametrize("seed", range(1, 5))
def test_both_ends_rekey_the_child_sa_at_once_and_the_lowest_nonce_loses(seed):
    lab = optimized_lab(PLAIN)
    for node in (lab.west, lab.east)[:: 1 if seed % 2 else -1]:
        node.endpoint.rekey_child(only_child(node).params.spi_in, lab.now)
    lab.run(10)
    assert len(live(lab.west)) == 1
    assert lab.west.of(ChildRekeyed)
    assert_mirrored(lab)


PAIRS = [
    (ike_orders.rekey_child, ike_orders.rekey_child),
    (ike_orders.rekey_child, ike_orders.rekey_ike),
    (ike_orders.rekey_ike, ike_orders.rekey_ike),
]


@pytest.mark.parametrize("pair", PAIRS)
def test_rekeys_of_both_ends_that_meet_settle_in_every_order(pair):
    for choose in ike_orders.every_order(20_000):
        lab = optimized_lab(PLAIN)
        meeting = list(zip((lab.west, lab.east), pair, strict=True))
        ike_orders.Meeting(lab, meeting).run(choose)
        ike_orders.assert_settled(lab)
        assert len(live(lab.west)) == len(lab.west.endpoint.ike_sas) == 1


def test_an_optimized_rekey_meets_a_regular_one(monkeypatch):
    """West asks for an SA like the old one; east, at the same time, regularly."""
    lab = optimized_lab(PLAIN)
    lab.west.endpoint.rekey_child(only_child(lab.west).params.spi_in, lab.now)
    monkeypatch.setattr("p4esp.ike.tasks.create_child.inherited_offer", lambda *_: None)
    lab.east.endpoint.rekey_child(only_child(lab.east).params.spi_in, lab.now)
    lab.run(10)
    assert len(live(lab.west)) == 1
    assert_mirrored(lab)


@pytest.mark.parametrize("role", ROLES)
def test_share_and_padding_are_those_of_the_old_sa(role):
    """What else the two ends agreed on about it: resource, DSCPs, label, TFC padding."""
    lab = optimized_lab()
    share = Share(resource=b"cpu 3", dscps=(10, 46), label=b"system_u:object_r:x_t:s0")
    for node in (lab.west, lab.east):
        made = only_child(node)
        made.params = replace(made.params, share=share, tfc=False)
    rekey(lab, role)
    for node in (lab.west, lab.east):
        (new,) = live(node).values()
        assert (new.share, new.tfc) == (share, False)


SAVED = {
    "built in": (DEFAULT, "", (394, 558), (222, 298)),
    "one proposal": ("aes256gcm16-x25519-esn", IKE, (462, 362), (302, 298)),
    "hybrid": (HYBRID, HYBRID_IKE, (502, 402), (326, 322)),
}
"""Octets of the two messages that rekey the child SA, and the IKE SA, as in docs/extensions.md."""


@pytest.mark.parametrize("what", SAVED)
def test_octets_are_saved(what):
    text, ike, regular, optimized = SAVED[what]
    assert octets_of_rekeys(optimized_lab(text, ike=ike)) == list(optimized)
    assert octets_of_rekeys(optimized_lab(text, ike=ike, wishes=(PFS, PFS))) == list(regular)
    assert all(less < more for less, more in zip(optimized, regular, strict=True))


def octets_of_rekeys(lab):
    """Of CREATE_CHILD_SA, both messages: of a child SA, then of the IKE SA."""
    found = []
    for act in (rekey, rekey_ike):
        start = len(lab.west.traces)
        act(lab)
        found.append(
            sum(t.size for t in lab.west.traces[start:] if t.header and t.header.exchange == CREATE)
        )
    return found
