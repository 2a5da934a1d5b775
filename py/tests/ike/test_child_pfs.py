"""Perfect forward secrecy of child SAs: KE payloads in CREATE_CHILD_SA (RFC 7296 1.3.1, 2.17)."""

from dataclasses import replace

import pytest
from ike_lab import EAST_NET, WEST_NET, Lab, child, east_config, west_config
from ike_ledger import ask, assert_mirrored, ike_of, live

from p4esp.ike.codec.payloads import KeyExchange, Nonce, Notify
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.errors import Refusal
from p4esp.ike.events import ChildFailed, ChildRekeyed, IkeDown
from p4esp.ike.proposals import Template
from p4esp.ike.tasks.create_child import CreateChildResponder

X25519, P256 = 31, 19
ROLES = ["west", "east"]


def pfs_lab(west, east):
    """Each end with an ESP proposal string of its own."""
    here, there = child(WEST_NET, EAST_NET), child(EAST_NET, WEST_NET)
    lab = Lab(
        west_config(children=(replace(here, proposals=(Template.esp(west),)),)),
        east_config(children=(replace(there, proposals=(Template.esp(east),)),)),
    )
    lab.connect()
    return lab


def both(text):
    return pfs_lab(text, text)


def rekey(lab, role="west"):
    node = getattr(lab, role)
    node.endpoint.rekey_child(next(iter(live(node))), lab.now)
    lab.settle()


def methods(lab):
    """Key exchange methods under which the children of each end were made."""
    return [
        [made.method for entry in node.endpoint._entries.values() for made in entry.sa.children]
        for node in (lab.west, lab.east)
    ]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("method", ["x25519", "ecp256", "ecp384"])
def test_rekeying_with_a_method_exchanges_new_secrets(role, method):
    lab = both(f"aes256gcm16-{method}-noesn")
    assert methods(lab) == [[0], [0]]
    sent = len(lab.west.traces)
    rekey(lab, role)
    messages = [trace for trace in lab.west.traces[sent:] if "CREATE_CHILD_SA" in trace.message]
    assert len(messages) == 2
    assert all(any("Key" in name or "KE" in name for name in m.payloads) for m in messages)
    assert_mirrored(lab)
    (mine,), (theirs,) = methods(lab)
    assert mine == theirs != 0


@pytest.mark.parametrize("role", ROLES)
def test_a_further_child_sa_has_its_own_key_exchange_too(role):
    lab = both("aes256gcm16-x25519-noesn")
    node = getattr(lab, role)
    node.endpoint.create_child(ike_of(node), "net", lab.now)
    lab.settle()
    assert methods(lab) == [[0, X25519]] * 2
    assert_mirrored(lab)


@pytest.mark.parametrize("role", ROLES)
def test_the_responders_choice_of_method_is_taken_up_in_a_new_exchange(role):
    first, second = "aes256gcm16-x25519-ecp256-noesn", "aes256gcm16-ecp256-x25519-noesn"
    lab = pfs_lab(first, second) if role == "west" else pfs_lab(second, first)
    rekey(lab, role)
    assert methods(lab) == [[P256]] * 2
    assert_mirrored(lab)
    node = getattr(lab, role)
    sent = len(lab.wire)
    rekey(lab, role)
    assert len(lab.wire) == sent + 4  # what the peer wanted last time is guessed at once
    assert len(node.spis.used) == 3


def test_ends_that_do_not_agree_on_forward_secrecy_fail_at_the_first_rekey_only():
    for west, east in (("x25519-noesn", "noesn"), ("noesn", "x25519-noesn")):
        lab = pfs_lab(f"aes256gcm16-{west}", f"aes256gcm16-{east}")
        rekey(lab)
        assert lab.west.one(ChildFailed).reason == "NO_PROPOSAL_CHOSEN"
        assert len(live(lab.west)) == 1
        assert_mirrored(lab)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("east", "method"), [("noesn", 0), ("x25519-noesn", X25519)])
def test_forward_secrecy_can_be_left_to_the_peer(role, east, method):
    lab = pfs_lab("aes256gcm16-modpnone-x25519-noesn", f"aes256gcm16-{east}")
    rekey(lab, role)
    assert methods(lab) == [[method]] * 2
    assert_mirrored(lab)


def test_ke_of_the_initiator_is_ignored_when_none_is_chosen():
    lab = pfs_lab("aes256gcm16-x25519-modpnone-noesn", "aes256gcm16-modpnone-x25519-noesn")
    rekey(lab)
    assert methods(lab) == [[0], [0]]
    assert_mirrored(lab)


def offer(lab, *ke):
    config = lab.west_config.children[0]
    proposal = Proposal(1, ProtocolId.ESP, b"\xc9\0\0\1", config.proposals[0].transforms)
    return ask(
        lab,
        ExchangeType.CREATE_CHILD_SA,
        SecurityAssociation((proposal,)),
        Nonce(bytes(32)),
        *ke,
        TsInitiator(config.local_ts),
        TsResponder(config.remote_ts),
    )


@pytest.mark.parametrize("ke", [[], [KeyExchange(P256, bytes(64))], [KeyExchange(999, b"x")]])
def test_a_request_without_the_right_ke_is_told_which(ke):
    lab = both("aes256gcm16-x25519-noesn")
    answer = offer(lab, *ke)
    wanted = Notify(NotifyType.INVALID_KE_PAYLOAD, X25519.to_bytes(2, "big"))
    assert answer.payloads == (wanted,)
    assert len(live(lab.east)) == len(lab.east.spis.used) == 1


@pytest.mark.parametrize("value", [bytes(32), bytes(31), b"\1" + bytes(31)])
def test_an_unacceptable_public_value_ends_the_ike_sa_and_leaks_no_spi(value):
    lab = both("aes256gcm16-x25519-noesn")
    before = set(lab.east.spis.used)
    answer = offer(lab, KeyExchange(X25519, value))
    assert answer.error().type == NotifyType.INVALID_SYNTAX
    assert "x25519" in lab.east.one(IkeDown).detail
    assert lab.east.spis.used == before


def invalid_ke(data):
    return Refusal(NotifyType.INVALID_KE_PAYLOAD, "test", data=data)


@pytest.mark.parametrize("data", [b"", b"\x1f", b"\0\x1f", b"\0\x0e", b"\xff\xff", b"\0\0\x13"])
def test_an_invalid_ke_payload_that_offers_no_choice_fails_the_child_sa(data, monkeypatch):
    def refuse(self, sa, request):
        raise invalid_ke(data)

    monkeypatch.setattr(CreateChildResponder, "process", refuse)
    lab = both("aes256gcm16-x25519-ecp256-noesn")
    rekey(lab)
    assert lab.west.one(ChildFailed).reason == "INVALID_KE_PAYLOAD"
    assert len(live(lab.west)) == len(lab.west.spis.used) == 1


def test_a_peer_that_always_wants_another_method_is_given_up(monkeypatch):
    def refuse(self, sa, request):
        got = request.payloads.one(KeyExchange).method
        other = P256 if got == X25519 else X25519
        raise invalid_ke(other.to_bytes(2, "big"))

    monkeypatch.setattr(CreateChildResponder, "process", refuse)
    lab = both("aes256gcm16-x25519-ecp256-noesn")
    rekey(lab)
    assert lab.west.one(ChildFailed).reason == "INVALID_KE_PAYLOAD"
    assert lab.west.of(ChildRekeyed) == []
