"""Optimized rekeys that cannot be: policy has changed, messages are malformed or say too much."""

from dataclasses import replace

import pytest
from ike_ledger import ask, assert_mirrored, live
from ike_meddler import malformed
from ike_methods import (
    BOTH,
    NEITHER,
    PFS,
    Speaker,
    ignored,
    methods_lab,
    only_child,
    rekey,
    rekey_ike,
    sent,
)

from p4esp.ike.codec.payloads import KeyExchange, Nonce, Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation, Transform
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.crypto.curves import X25519
from p4esp.ike.drops import Drop
from p4esp.ike.errors import Refusal
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    IkeDown,
    IkeEstablished,
    IkeRekeyed,
    IkeRekeyFailed,
)
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions.experimental import P4ESP
from p4esp.ike.proposals import Template
from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.tasks import create_child
from p4esp.ike.tasks import rekey_ike as rekeying
from p4esp.ipsec.selectors import TrafficSelector

CREATE, AUTH = ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_AUTH
KIND, SUPPORTED = NotifyType.OPTIMIZED_REKEY, NotifyType.OPTIMIZED_REKEY_SUPPORTED
TWO = "aes256gcm16-aes128gcm16-x25519-noesn"
ONE = "aes128gcm16-x25519-noesn"
PLAIN = "aes256gcm16-noesn"
SPI = b"\xc9\0\0\1"
X = 31


def lab_of(text=TWO, **options):
    return methods_lab(text, wishes=options.pop("wishes", (BOTH, BOTH)), **options)


def other_policy(node, text=ONE, **changes):
    made = only_child(node)
    templates = (Template.esp(text),)
    made.config = replace(made.config, **({"proposals": templates} | changes))


def shapes(node):
    """Of each CREATE_CHILD_SA request or answer, whether it was an optimized one."""
    return ["N(OPTIMIZED_REKEY)" in payloads for payloads in sent(node, CREATE)]


def test_a_responder_whose_policy_has_changed_is_asked_again_regularly():
    lab = lab_of()
    other_policy(lab.east)
    rekey(lab)
    assert shapes(lab.west) == [True, False]
    assert sent(lab.east, CREATE)[0] == ("N(NO_PROPOSAL_CHOSEN)",)
    assert lab.west.one(ChildRekeyed).new.suite.name == "aes128gcm16"
    assert lab.west.of(ChildFailed) == []
    assert len(lab.west.spis.used) == len(lab.east.spis.used) == 2
    assert_mirrored(lab)
    rekey(lab)
    assert shapes(lab.west)[-1]


def test_an_initiator_whose_policy_has_changed_asks_regularly():
    lab = lab_of()
    other_policy(lab.west)
    rekey(lab)
    assert shapes(lab.west) == [False]
    assert lab.west.one(ChildRekeyed).new.suite.name == "aes128gcm16"


def test_selectors_that_are_no_longer_allowed_make_it_regular():
    lab = lab_of()
    narrower = (TrafficSelector.of_network("10.2.7.0/24"),)
    other_policy(lab.east, TWO, local_ts=narrower)
    rekey(lab)
    assert shapes(lab.west) == [True, False]
    assert "in use are" in lab.west.one(ChildFailed).reason
    assert len(live(lab.west)) == 1


def test_what_the_owner_cannot_carry_is_refused_in_both_forms():
    lab = lab_of()
    lab.east.objects = lambda *_: "no room"
    rekey(lab)
    assert shapes(lab.west) == [True, False]
    assert lab.west.one(ChildFailed).reason == "TS_UNACCEPTABLE"
    assert len(live(lab.west)) == 1


def test_an_ike_sa_whose_algorithms_are_no_longer_allowed_is_rekeyed_regularly(monkeypatch):
    lab = lab_of(ike="aes256gcm16-aes128gcm16-prfsha256-x25519")
    entry = lab.east.endpoint._entries[lab.east.one(IkeEstablished).ike.spi]
    state = entry.sa._state
    state.peer = replace(state.peer, proposals=(Template.ike("aes128gcm16-prfsha256-x25519"),))
    rekey_ike(lab)
    assert shapes(lab.west) == [True, False]
    assert lab.west.one(IkeRekeyed).new.suite == "aes128gcm16-prfsha256-x25519"


@pytest.mark.parametrize("kind", [NotifyType.NO_PROPOSAL_CHOSEN, NotifyType.INVALID_KE_PAYLOAD])
@pytest.mark.parametrize("subject", ["child", "ike"])
def test_either_error_leads_to_a_regular_rekey(kind, subject, monkeypatch):
    """INVALID_KE_PAYLOAD is what strongSwan's branch says."""
    task = create_child.CreateChildResponder if subject == "child" else rekeying.RekeyIkeResponder
    process = task.process

    def refuse(self, sa, request):
        if self._new_spi is not None:
            raise Refusal(kind, "test", data=b"\0\x13" if "KE" in kind.name else b"")
        process(self, sa, request)

    monkeypatch.setattr(task, "process", refuse)
    lab = lab_of()
    (rekey if subject == "child" else rekey_ike)(lab)
    assert shapes(lab.west) == [True, False]
    assert lab.west.of(ChildRekeyed if subject == "child" else IkeRekeyed)
    assert_mirrored(lab)


@pytest.mark.parametrize("subject", ["child", "ike"])
def test_other_errors_do_not(subject, monkeypatch):
    task = create_child.CreateChildResponder if subject == "child" else rekeying.RekeyIkeResponder

    def refuse(self, sa, request):
        raise Refusal(NotifyType.NO_ADDITIONAL_SAS, "test")

    monkeypatch.setattr(task, "process", refuse)
    lab = lab_of()
    (rekey if subject == "child" else rekey_ike)(lab)
    assert shapes(lab.west) == [True]
    assert lab.west.one(ChildFailed if subject == "child" else IkeRekeyFailed)


def request(lab, *named, ke=True, more=()):
    """A child SA's rekey of west's own making; the answer."""
    spi = only_child(lab.west).params.spi_in.to_bytes(4, "big")
    public = X25519(lambda n: bytes(n - 1) + b"\1").public
    exchange = [KeyExchange(X, public)] if ke else []
    rekey_sa = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=spi)
    return ask(lab, CREATE, rekey_sa, *named, Nonce(bytes(32)), *exchange, *more)


def test_a_request_of_the_tests_own_making_is_accepted():
    lab = lab_of()
    answer = request(lab, Notify(KIND, SPI))
    assert [str(payload) for payload in answer.payloads] == ["N(OPTIMIZED_REKEY)", "NONCE", "KE"]
    assert len(answer.notify(KIND).data) == 4
    assert lab.east.one(ChildRekeyed).new.spi_out == int.from_bytes(SPI, "big")


BAD_NOTIFIES = {
    "eight octets": [Notify(KIND, bytes(4) + SPI)],
    "none": [Notify(KIND)],
    "three octets": [Notify(KIND, SPI[:3])],
    "in the SPI field": [Notify(KIND, protocol=ProtocolId.ESP, spi=SPI)],
    "protocol": [Notify(KIND, SPI, protocol=ProtocolId.ESP)],
    "twice": [Notify(KIND, SPI), Notify(KIND, SPI)],
}


@pytest.mark.parametrize("fault", BAD_NOTIFIES)
def test_a_malformed_notify_is_ignored_and_the_peer_told_to_ask_regularly(fault):
    lab = lab_of()
    answer = request(lab, *BAD_NOTIFIES[fault])
    assert answer.payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)
    assert "OPTIMIZED_REKEY" in ignored(lab.east)[0]
    assert len(lab.east.spis.used) == 1
    rekey(lab)
    assert lab.west.one(ChildRekeyed)
    assert_mirrored(lab)


@pytest.mark.parametrize("fault", BAD_NOTIFIES)
def test_beside_sa_and_ts_a_malformed_notify_leaves_a_regular_rekey(fault):
    lab = lab_of()
    answer = request(lab, *BAD_NOTIFIES[fault], more=regular_payloads(lab))
    assert answer.has(SecurityAssociation)
    assert answer.notify(KIND) is None
    assert lab.east.one(ChildRekeyed).new.spi_out == int.from_bytes(SPI, "big")


def regular_payloads(lab):
    config = lab.west_config.children[0]
    proposal = Proposal(1, ProtocolId.ESP, SPI, config.proposals[0].transforms)
    selectors = TsInitiator(config.local_ts), TsResponder(config.remote_ts)
    return SecurityAssociation((proposal,)), *selectors


@pytest.mark.parametrize("spi", [bytes(4), b"\0\0\0\xff"])
def test_an_spi_that_cannot_be_one_is_refused(spi):
    lab = lab_of()
    answer = request(lab, Notify(KIND, spi))
    assert answer.error().type == NotifyType.NO_PROPOSAL_CHOSEN
    assert len(lab.east.spis.used) == 1


def test_an_spi_in_use_is_refused():
    lab = lab_of()
    spi = only_child(lab.west).params.spi_in.to_bytes(4, "big")
    assert request(lab, Notify(KIND, spi)).error().type == NotifyType.NO_PROPOSAL_CHOSEN


@pytest.mark.parametrize(("text", "ke"), [(TWO, False), (PLAIN, True)])
def test_a_key_exchange_that_the_old_sa_had_not_is_refused(text, ke):
    """And the other way round: none where it had one."""
    lab = lab_of(text)
    answer = request(lab, Notify(KIND, SPI), ke=ke)
    assert answer.payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)
    assert len(lab.east.spis.used) == 1


def test_without_a_known_method_it_is_refused():
    """The child SA of IKE_AUTH without CHILD_SA_PFS_INFO_SUPPORTED."""
    only = ExtensionWishes(optimized_rekey=True)
    lab = lab_of(wishes=(only, only))
    answer = request(lab, Notify(KIND, SPI))
    assert answer.payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)


def test_sa_ts_and_mode_beside_a_good_notify_are_ignored_and_recorded():
    lab = lab_of()
    wrong = Proposal(1, ProtocolId.ESP, b"\xc9\0\0\2", (Transform(1, 9999),))
    nowhere = (TrafficSelector.of_network("198.51.100.0/24"),)
    more = (
        SecurityAssociation((wrong,)),
        TsInitiator(nowhere),
        TsResponder(nowhere),
        Notify(NotifyType.USE_TRANSPORT_MODE),
        Notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
    )
    before = only_child(lab.east).params
    assert request(lab, Notify(KIND, SPI), more=more).error() is None
    new = lab.east.one(ChildRekeyed).new
    assert new.spi_out == int.from_bytes(SPI, "big")
    assert (new.mode, new.tfc) == (before.mode, before.tfc)
    assert (new.local_ts, new.remote_ts, new.suite) == (
        *(before.local_ts, before.remote_ts),
        before.suite,
    )
    (record,) = ignored(lab.east)
    assert all(word in record for word in ("SA", "TSI", "TSR", "USE_TRANSPORT_MODE", "TFC"))


def test_where_it_was_not_agreed_on_the_number_means_nothing():
    lab = lab_of(wishes=(PFS, PFS))
    answer = request(lab, Notify(KIND, b"whatever"), more=regular_payloads(lab))
    assert answer.has(SecurityAssociation)
    assert ignored(lab.east) == []


def ike_request(lab, *named, ke=True):
    public = X25519(lambda n: bytes(n - 1) + b"\1").public
    return ask(lab, CREATE, *named, Nonce(bytes(32)), *([KeyExchange(X, public)] if ke else []))


@pytest.mark.parametrize("data", [b"", SPI, bytes(16)])
def test_an_ike_sas_spi_of_another_size_is_ignored(data):
    lab = lab_of()
    answer = ike_request(lab, Notify(KIND, data))
    assert answer.payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)
    assert "OPTIMIZED_REKEY" in ignored(lab.east)[0]
    assert len(lab.east.endpoint.ike_sas) == 1


def test_an_ike_sa_without_key_exchange_is_refused():
    lab = lab_of()
    answer = ike_request(lab, Notify(KIND, b"new spi!"), ke=False)
    assert answer.payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)


def test_an_ike_spi_of_zero_ends_the_ike_sa_as_in_a_regular_rekey():
    lab = lab_of()
    assert ike_request(lab, Notify(KIND, bytes(8))).error().type == NotifyType.INVALID_SYNTAX
    assert lab.east.one(IkeDown)


ANSWERS = {
    "regular": lambda payload: None,
    "too long": lambda payload: replace(payload, data=bytes(8) + payload.data),
    "spi": lambda payload: replace(payload, protocol=3, spi=bytes(4)),
}


@pytest.mark.parametrize("fault", ANSWERS)
def test_an_answer_without_a_usable_spi_makes_no_child_sa(fault, monkeypatch):
    answers_with(monkeypatch, create_child.CreateChildResponder, ANSWERS[fault])
    lab = lab_of()
    rekey(lab)
    lab.run(5)
    assert "names no SPI" in lab.west.one(ChildFailed).reason
    assert lab.west.of(ChildRekeyed) == []
    assert len(live(lab.west)) == len(live(lab.east)) == 1
    assert len(lab.west.spis.used) == 1


@pytest.mark.parametrize("fault", ANSWERS)
def test_an_answer_without_a_usable_spi_ends_the_ike_sa(fault, monkeypatch):
    """The peer has moved to an IKE SA that we cannot name."""
    answers_with(monkeypatch, rekeying.RekeyIkeResponder, ANSWERS[fault])
    lab = lab_of()
    rekey_ike(lab)
    assert "names no SPI" in lab.west.of(IkeDown)[0].detail
    assert lab.west.of(IkeRekeyed) == []


def answers_with(monkeypatch, task, change):
    build = task.build

    def changed(self, sa):
        found = [
            change(payload) if isinstance(payload, Notify) and payload.type == KIND else payload
            for payload in build(self, sa)
        ]
        return [payload for payload in found if payload is not None]

    monkeypatch.setattr(task, "build", changed)


MALFORMED = malformed(SUPPORTED)


@pytest.mark.parametrize("fault", MALFORMED)
@pytest.mark.parametrize("response", [False, True], ids=["request", "answer"])
def test_a_malformed_announcement_counts_as_none_and_is_recorded(fault, response):
    bad = Speaker(AUTH, *MALFORMED[fault], response=response)
    wishes = (BOTH, PFS) if response else (PFS, BOTH)
    lab = lab_of(wishes=wishes, more=[bad])
    finder = lab.west if response else lab.east
    assert SUPPORTED.name not in finder.endpoint.ike_sas[0].extensions
    assert SUPPORTED.name in ignored(finder)[0]
    rekey(lab)
    assert shapes(lab.west) == [False]


def test_an_announcement_in_clear_is_not_looked_at():
    early = Speaker(ExchangeType.IKE_SA_INIT, Notify(SUPPORTED), response=False)
    lab = lab_of(wishes=(PFS, BOTH), more=[early])
    assert SUPPORTED.name not in lab.east.endpoint.ike_sas[0].extensions


def test_it_is_not_announced_to_who_does_not_share_our_vendor_id():
    lab = lab_of(wishes=(BOTH, NEITHER))
    assert f"N({SUPPORTED.name})" not in sent(lab.west, AUTH)[0]


def test_an_attacker_who_takes_our_vendor_id_out_is_found_by_the_authentication():
    lab = lab_of(connect=False)
    lab.fate = lambda _: []
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    _, opening = lab.wire[-1]
    lab.fate = lambda _: [0.01]
    assert opening.data.count(P4ESP.data) == 1
    lab.deliver(replace(opening, data=opening.data.replace(P4ESP.data, bytes(16))))
    lab.run(5)
    assert lab.west.of(ChildUp) == lab.east.of(ChildUp) == []
    assert lab.west.of(AuthenticationFailed) + lab.east.of(AuthenticationFailed)


def test_a_request_replayed_after_the_rekey_is_not_acted_on():
    lab = lab_of()
    start = len(lab.wire)
    rekey(lab)
    _, asked = lab.wire[start]
    before = live(lab.east)
    lab.deliver(asked)
    lab.settle()
    assert live(lab.east) == before
    assert lab.east.endpoint.drops[Drop.OUTSIDE_WINDOW] >= 1


def test_asking_too_often_is_put_off_like_any_create_child_sa(monkeypatch):
    lab = lab_of()
    monkeypatch.setattr(RateLimit, "allow", lambda *_: False)
    assert request(lab, Notify(KIND, SPI)).error().type == NotifyType.TEMPORARY_FAILURE


@pytest.mark.parametrize("exchange", [AUTH, ExchangeType.INFORMATIONAL])
@pytest.mark.parametrize("response", [False, True], ids=["request", "answer"])
def test_in_another_exchange_the_notify_is_not_looked_at(exchange, response):
    stray = Speaker(exchange, Notify(KIND, SPI), response=response)
    lab = lab_of(more=[stray])
    lab.west.endpoint.check_liveness(lab.west.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    assert len(live(lab.west)) == len(lab.west.endpoint.ike_sas) == 1
    assert ignored(lab.west) == ignored(lab.east) == []
    rekey(lab)
    assert_mirrored(lab)


def test_a_new_child_sa_is_made_regularly_whatever_it_says():
    """Without REKEY_SA there is nothing that it could be like."""
    lab = lab_of()
    sa, *selectors = regular_payloads(lab)
    public = X25519(lambda n: bytes(n - 1) + b"\1").public
    fresh = Nonce(bytes(32)), KeyExchange(X, public)
    answer = ask(lab, CREATE, Notify(KIND, SPI), sa, *fresh, *selectors)
    assert answer.has(SecurityAssociation)
    assert "OPTIMIZED_REKEY" in ignored(lab.east)[0]
    assert len(live(lab.east)) == 2
