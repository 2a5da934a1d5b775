"""Key exchange methods of child SAs are compared in IKE_AUTH
(draft-ietf-ipsecme-child-pfs-info-00): the cases of the digest, both roles, and what may be wrong
with the announcement.
"""

import hmac
from dataclasses import replace
from functools import partial

import pytest
from ike_lab import Lab
from ike_ledger import assert_mirrored, live
from ike_meddler import malformed
from ike_methods import (
    NEITHER,
    PFS,
    SETTINGS,
    Speaker,
    ignored,
    methods_lab,
    only_child,
    rekey,
    rekey_ike,
    sent,
    transforms_shown,
)

from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import KeyExchange, Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    IkeEstablished,
)
from p4esp.ike.extensions.experimental import P4ESP
from p4esp.ike.extensions.vendor import STRONGSWAN
from p4esp.ike.tasks import ike_auth

KIND = NotifyType.CHILD_SA_PFS_INFO_SUPPORTED
X25519, P256, MLKEM768 = 31, 19, 36
PLAIN = "aes256gcm16-noesn"
WITH = "aes256gcm16-x25519-noesn"
OPTIONAL = "aes256gcm16-x25519-modpnone-noesn"
SHY = "aes256gcm16-modpnone-x25519-noesn"
ROLES = ["west", "east"]


def watched(west, east=None, **options):
    """A lab, and what its ends have seen."""
    speaker = Speaker(ExchangeType.IKE_AUTH)
    return methods_lab(west, east, more=(speaker,), **options), speaker


@pytest.mark.parametrize(
    ("west", "east", "method"),
    [
        (PLAIN, PLAIN, 0),
        (WITH, WITH, X25519),
        (OPTIONAL, PLAIN, 0),
        (PLAIN, SHY, 0),
        (OPTIONAL, WITH, X25519),
        (WITH, SHY, X25519),
        ("aes256gcm16-x25519-ecp256-noesn", "aes256gcm16-ecp256-x25519-noesn", P256),
        (f"{PLAIN} aes128gcm16-x25519-noesn", "aes128gcm16-x25519-noesn", X25519),
    ],
    ids=[
        "none-none",
        "method-method",
        "optional-none",
        "none-optional",
        "optional-method",
        "method-optional",
        "responders-order",
        "second-proposal",
    ],
)
def test_methods_that_meet_are_agreed_on_in_ike_auth_and_remembered(west, east, method):
    lab, speaker = watched(west, east)
    assert only_child(lab.west).method == only_child(lab.east).method == method
    assert only_child(lab.west).methods_known
    assert only_child(lab.east).methods_known
    answer = transforms_shown(speaker)[1]
    assert [id_ for type_, id_ in answer if type_ == 4] == ([method] if method else [])
    assert_mirrored(lab)


@pytest.mark.parametrize(("west", "east"), [(WITH, PLAIN), (PLAIN, WITH)])
def test_methods_that_do_not_meet_fail_the_child_sa_at_once_and_leave_the_ike_sa_up(west, east):
    lab = methods_lab(west, east)
    assert lab.west.one(IkeEstablished)
    assert lab.east.one(IkeEstablished)
    assert lab.west.of(ChildUp) == lab.east.of(ChildUp) == []
    assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
    names = {WITH: "x25519", PLAIN: "none"}
    differ = f"offered {names[west]}; accepted {names[east]}"
    assert lab.east.one(ChildFailed).reason.endswith(differ)
    assert lab.west.spis.used == lab.east.spis.used == set()
    assert len(lab.west.endpoint.ike_sas) == len(lab.east.endpoint.ike_sas) == 1


@pytest.mark.parametrize("wishes", [(PFS, NEITHER), (NEITHER, PFS), (NEITHER, NEITHER)])
@pytest.mark.parametrize(("west", "east"), [(WITH, PLAIN), (PLAIN, WITH)])
def test_without_the_extension_at_both_ends_they_fail_at_the_first_rekey(west, east, wishes):
    lab, speaker = watched(west, east, wishes=wishes)
    assert all(type_ != 4 for shown in transforms_shown(speaker) for type_, _ in shown)
    assert len(live(lab.west)) == 1
    assert not only_child(lab.west).methods_known
    rekey(lab)
    failed = lab.west.one(ChildFailed)
    assert failed.reason == "NO_PROPOSAL_CHOSEN"
    offered = "x25519" if west == WITH else "none"
    assert (
        failed.detail
        == f"only key exchange methods differ: offered {offered}; accepted none of them"
    )
    refused = [trace.reason for trace in lab.east.traces if trace.drop is Drop.REFUSED]
    assert "only key exchange methods differ" in refused[0]
    assert_mirrored(lab)


@pytest.mark.parametrize("text", [WITH, PLAIN, "aes256gcm16-x25519-ke1_mlkem768-noesn"])
def test_the_keys_of_the_first_child_sa_do_not_depend_on_the_methods(text):
    """KEYMAT = prf+(SK_d, Ni | Nr), computed with hmac alone."""
    lab = methods_lab(text, ike="aes256gcm16-prfsha256-x25519")
    *_, keys = lab.west.keys[0]
    state = lab.west.endpoint._entries[lab.west.one(IkeEstablished).ike.spi].sa._state
    seed = state.nonces.initiator + state.nonces.responder
    first = hmac.digest(keys.d, seed + b"\1", "sha256")
    second = hmac.digest(keys.d, first + seed + b"\2", "sha256")
    third = hmac.digest(keys.d, second + seed + b"\3", "sha256")
    stream = first + second + third
    keymat = only_child(lab.west).params.keymat
    assert keymat.outbound.key + keymat.outbound.salt == stream[:36]
    assert keymat.inbound.key + keymat.inbound.salt == stream[36:72]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("west", "east"),
    [
        (WITH, WITH),
        ("aes256gcm16-x25519-ecp256-noesn", "aes256gcm16-ecp256-x25519-noesn"),
        ("aes256gcm16-x25519-noesn aes256gcm16-ecp256-noesn", "aes256gcm16-ecp256-noesn"),
        (SHY, OPTIONAL),
    ],
)
def test_the_first_rekey_takes_one_exchange_with_what_was_agreed_on(west, east, role):
    lab = methods_lab(west, east)
    agreed, start = only_child(lab.west).method, len(lab.wire)
    rekey(lab, role)
    kinds = [parse_message(datagram.data).header.exchange for _, datagram in lab.wire[start:]]
    assert kinds.count(ExchangeType.CREATE_CHILD_SA) == 2
    assert only_child(lab.west).method == only_child(lab.east).method == agreed
    (request,) = sent(getattr(lab, role), ExchangeType.CREATE_CHILD_SA)
    assert ("KE" in request) == bool(agreed)
    assert_mirrored(lab)


def test_what_was_agreed_on_without_key_exchange_stays_so_when_the_peer_rekeys():
    lab = methods_lab(OPTIONAL, SHY)
    assert only_child(lab.west).method == 0
    rekey(lab, "east")
    rekey(lab, "west")
    assert only_child(lab.east).method == 0
    assert all("KE" not in payloads for payloads in sent(lab.west, ExchangeType.CREATE_CHILD_SA))


def test_additional_methods_are_agreed_on_and_run_at_the_first_rekey_only():
    lab, speaker = watched("aes256gcm16-x25519-ke1_mlkem768-noesn")
    assert (6, MLKEM768) in transforms_shown(speaker)[0]
    assert (6, MLKEM768) in transforms_shown(speaker)[1]
    exchanges = {parse_message(datagram.data).header.exchange for _, datagram in lab.wire}
    assert exchanges == {ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH}
    rekey(lab)
    assert len(sent(lab.west, ExchangeType.IKE_FOLLOWUP_KE)) == 1
    assert lab.west.one(ChildRekeyed)
    assert_mirrored(lab)


def test_ike_auth_carries_no_ke_payload():
    lab = methods_lab(WITH)
    messages = sent(lab.west, ExchangeType.IKE_AUTH) + sent(lab.east, ExchangeType.IKE_AUTH)
    assert len(messages) == 2
    assert all("KE" not in payloads for payloads in messages)


@pytest.mark.parametrize("response", [False, True], ids=["request", "answer"])
@pytest.mark.parametrize("method", [X25519, P256])
def test_a_ke_payload_in_ike_auth_is_ignored(method, response):
    stray = KeyExchange(method, bytes(32))
    lab = methods_lab(WITH, more=[Speaker(ExchangeType.IKE_AUTH, stray, response=response)])
    assert only_child(lab.west).method == only_child(lab.east).method == X25519
    assert_mirrored(lab)


def test_invalid_ke_payload_in_ike_auth_is_ignored_and_recorded():
    stray = Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2, "big"))
    lab = methods_lab(WITH, more=[Speaker(ExchangeType.IKE_AUTH, stray, response=True)])
    assert lab.west.one(ChildUp)
    assert "INVALID_KE_PAYLOAD" in ignored(lab.west)[0]
    assert_mirrored(lab)


def test_invalid_ke_payload_alone_leaves_no_child_sa_and_is_not_tried_again(monkeypatch):
    def refuse(self, sa, payloads):
        self._child.append(Notify(NotifyType.INVALID_KE_PAYLOAD, P256.to_bytes(2, "big")))

    monkeypatch.setattr(ike_auth.IkeAuthResponder, "_answer_child", refuse)
    lab = methods_lab(WITH)
    assert "no SA payload" in lab.west.one(ChildFailed).reason
    assert len(sent(lab.west, ExchangeType.IKE_AUTH)) == 1
    assert lab.west.spis.used == set()
    assert len(lab.west.endpoint.ike_sas) == 1


def test_an_answer_without_the_method_that_was_offered_alone_is_refused(monkeypatch):
    silent = partial(ike_auth.answer_offer, with_ke=False)
    monkeypatch.setattr(ike_auth, "answer_offer", lambda sa, offer, **_: silent(sa, offer))
    lab = methods_lab(WITH)
    assert "must be one of each offered" in lab.west.one(ChildFailed).reason
    assert live(lab.east) == live(lab.west) == {}


@pytest.mark.parametrize("role", ROLES)
def test_a_rekeyed_ike_sa_inherits_it(role):
    lab = methods_lab(WITH)
    rekey_ike(lab, role)
    assert all(KIND.name in node.endpoint.ike_sas[0].extensions for node in (lab.west, lab.east))
    assert only_child(lab.west).methods_known
    assert KIND.name not in str(sent(lab.west, ExchangeType.CREATE_CHILD_SA))
    rekey(lab, role)
    assert_mirrored(lab)


def test_a_notify_in_the_answer_alone_is_not_agreed_on():
    """As a gateway does that says it to whoever asks (case 9)."""
    unasked = Speaker(ExchangeType.IKE_SA_INIT, Notify(KIND), response=True)
    lab, speaker = watched(WITH, wishes=(NEITHER, NEITHER))
    assert speaker.seen
    lab = methods_lab(WITH, wishes=(NEITHER, NEITHER), more=[unasked])
    assert KIND.name not in lab.west.one(IkeEstablished).ike.extensions
    assert not only_child(lab.west).methods_known


@pytest.mark.parametrize("role", ["request", "answer"])
def test_an_attacker_who_takes_the_notify_out_is_found_by_the_authentication(role):
    """Both AUTH payloads cover the messages of IKE_SA_INIT; here one is delivered without it."""
    lab = methods_lab(WITH, connect=False)
    stripped = Notify(KIND).encode()
    lab.fate = lambda _: []
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    _, request = lab.wire[-1]
    lab.fate = lambda _: [0.01]
    if role == "request":
        _deliver_without(lab, request, stripped)
    else:
        lab.fate = lambda _: []
        lab.deliver(request)
        _, answer = lab.wire[-1]
        lab.fate = lambda _: [0.01]
        _deliver_without(lab, answer, stripped)
    lab.run(5)
    assert lab.west.of(ChildUp) == lab.east.of(ChildUp) == []
    assert lab.west.of(AuthenticationFailed) + lab.east.of(AuthenticationFailed)
    assert lab.west.endpoint.ike_sas == lab.east.endpoint.ike_sas == []


def _deliver_without(lab: Lab, datagram, body: bytes) -> None:
    """The same message, with a notify of another type in the place of this one."""
    assert datagram.data.count(body) == 1
    lab.deliver(replace(datagram, data=datagram.data.replace(body, Notify(40000).encode())))
    lab.settle()


MALFORMED = malformed(KIND)


@pytest.mark.parametrize("fault", MALFORMED)
@pytest.mark.parametrize("response", [False, True], ids=["request", "answer"])
def test_a_malformed_announcement_counts_as_none_and_is_recorded(fault, response):
    speaker = Speaker(ExchangeType.IKE_SA_INIT, P4ESP, *MALFORMED[fault], response=response)
    lab = methods_lab(WITH, wishes=(PFS, NEITHER) if response else (NEITHER, PFS), more=[speaker])
    finder = lab.west if response else lab.east
    assert KIND.name not in finder.one(IkeEstablished).ike.extensions
    assert KIND.name in ignored(finder)[0]
    assert not only_child(lab.west).methods_known


def test_without_the_switch_the_number_means_nothing():
    lab = methods_lab(WITH, settings=Settings(retransmission=SETTINGS.retransmission))
    assert KIND.name not in lab.west.one(IkeEstablished).ike.extensions
    assert not only_child(lab.west).methods_known


@pytest.mark.parametrize("role", ROLES)
def test_with_strongswans_vendor_id_the_number_means_the_same(role):
    """An end that sends strongSwan's vendor ID, and not ours, as its branch child-pfs-info does."""
    wishes = (NEITHER, PFS) if role == "west" else (PFS, NEITHER)
    speaker = Speaker(ExchangeType.IKE_SA_INIT, Notify(KIND), STRONGSWAN, response=role == "east")
    lab = methods_lab(WITH, wishes=wishes, more=[speaker])
    ours = lab.east if role == "west" else lab.west
    assert KIND.name in ours.one(IkeEstablished).ike.extensions


def test_a_number_of_a_stranger_without_vendor_id_is_not_looked_at():
    speaker = Speaker(ExchangeType.IKE_SA_INIT, Notify(KIND), response=False)
    lab = methods_lab(WITH, wishes=(NEITHER, PFS), more=[speaker])
    assert KIND.name not in lab.east.one(IkeEstablished).ike.extensions
    assert not only_child(lab.east).methods_known
