"""Gateways that send peers to others, and peers that follow or do not (RFC 5685; case 88)."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ike_lab import EAST, Lab, east_config, make_node, toward, west_config

from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.errors import CommandError, ParseError
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildDown,
    ChildUp,
    DownReason,
    IkeDown,
    IkeEstablished,
    NegotiationFailed,
    Redirected,
)
from p4esp.ike.redirection import encode_gateway, parse_redirect
from p4esp.ipsec.identity import Identity

SOUTH = ip_address("192.0.2.3")
SOUTH6 = ip_address("2001:db8::3")
REDIRECT = NotifyType.REDIRECT


class RedirectLab(Lab):
    """West, and two gateways that both are east.example; west's owner follows when told to."""

    def __init__(self, *, owner_follows=True, **east_changes):
        super().__init__(west_config(follow_redirects=True), east_config(**east_changes))
        self.south = make_node([east_config(local=SOUTH)], 3)
        self.nodes[SOUTH] = self.south
        self.owner_follows = owner_follows
        self.refusals = []
        self._seen = 0

    def _collect(self):
        super()._collect()
        redirects = self.west.of(Redirected)
        while self.owner_follows and self._seen < len(redirects):
            self._seen += 1
            self._follow(redirects[self._seen - 1])
            super()._collect()

    def _follow(self, redirected):
        endpoint = self.west.endpoint
        try:
            endpoint.follow_redirect(self.west_config, redirected, self.now)
        except CommandError as error:
            self.refusals.append(str(error))


def test_in_ike_sa_init_the_peer_is_sent_away_before_any_state_is_kept():
    lab = RedirectLab(redirect_to=SOUTH)
    lab.connect()
    redirected = lab.west.one(Redirected)
    assert (redirected.gateway, redirected.children) == (SOUTH, ("net",))
    assert lab.south.one(IkeEstablished)
    assert lab.west.one(ChildUp).child.remote == SOUTH
    assert lab.east.endpoint.ike_sas == []
    assert lab.west.of(NegotiationFailed) == lab.east.events == []


def test_the_new_gateway_hears_where_the_peer_comes_from():
    lab = RedirectLab(redirect_to=SOUTH)
    lab.connect()
    (opening, *_) = [d for _, d in lab.wire if toward(SOUTH, d)]
    notify = parse_message(opening.data).clear.notify(NotifyType.REDIRECTED_FROM)
    assert notify.data == bytes([1, 4]) + EAST.packed
    assert parse_message(opening.data).clear.notify(NotifyType.REDIRECT_SUPPORTED) is None


def test_who_has_not_announced_support_is_not_sent_away():
    lab = RedirectLab(redirect_to=SOUTH)
    lab.west_config = west_config()
    lab.connect()
    assert lab.west.of(Redirected) == []
    assert lab.east.one(IkeEstablished)
    assert lab.east.one(ChildUp)


def answer_of_east(lab):
    """East's answer to west's opening, which nobody has delivered."""
    lab.fate = lambda d: [0.01] if toward(EAST, d) else []
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()
    lab.fate = lambda _: [0.01]
    return lab.wire[-1][1]


@pytest.mark.parametrize(
    "data",
    [
        encode_gateway(SOUTH),
        encode_gateway(SOUTH) + bytes(32),
        bytes([1, 16]) + bytes(48),
        bytes([9, 4]) + bytes(36),
        bytes([3, 3]) + b"a b" + bytes(32),
        b"",
    ],
    ids=["no nonce", "wrong nonce", "IPv4 of 16 octets", "unknown type", "no name", "empty"],
)
def test_88_a_redirect_without_our_nonce_or_malformed_is_ignored(data):
    """Nobody can send us elsewhere who has not seen our request; we go on waiting."""
    lab = RedirectLab()
    good = answer_of_east(lab)
    header = replace(parse_message(good.data).header, spi_r=bytes(8))
    lab.deliver(replace(good, data=encode_clear(header, [Notify(REDIRECT, data)])))
    assert lab.west.of(Redirected) == []
    lab.deliver(good)
    lab.settle()
    assert lab.west.one(ChildUp).child.remote == EAST


def test_88_a_redirect_is_followed_only_where_configured():
    """Whoever reads our request can forge the answer: it is not authenticated."""
    lab = RedirectLab()
    lab.west_config = west_config()
    good = answer_of_east(lab)
    nonce = parse_message(lab.wire[0][1].data).clear.one(Nonce).data
    header = replace(parse_message(good.data).header, spi_r=bytes(8))
    forged = encode_clear(header, [Notify(REDIRECT, encode_gateway(SOUTH) + nonce)])
    lab.deliver(replace(good, data=forged))
    lab.deliver(good)
    lab.settle()
    assert lab.west.of(Redirected) == []
    assert lab.west.one(ChildUp).child.remote == EAST


def sent_away_in_ike_auth():
    """East does not know before IKE_AUTH which of two peers it talks to."""
    other = replace(east_config(), name="other", remote_id=east_config().local_id)
    lab = RedirectLab()
    lab.east = make_node([other, east_config(redirect_to=SOUTH)], 2)
    lab.nodes[EAST] = lab.east
    return lab


def test_in_ike_auth_the_peer_is_authenticated_and_sent_away_without_child_sas():
    lab = sent_away_in_ike_auth()
    lab.connect()
    assert lab.west.one(Redirected).gateway == SOUTH
    assert len(lab.west.of(IkeEstablished)) == 2
    assert lab.east.of(ChildUp) == []
    assert lab.east.one(IkeDown).reason is DownReason.PEER_DELETE
    assert lab.west.one(IkeDown).reason is DownReason.REDIRECTED
    assert lab.west.one(ChildUp).child.remote == SOUTH


def test_a_redirect_in_an_ike_auth_that_does_not_authenticate_is_not_followed():
    lab = sent_away_in_ike_auth()
    lab.fate = lambda d: [] if not toward(EAST, d) and len(lab.wire) == 4 else [0.01]
    lab.connect()
    (entry,) = lab.west.endpoint._entries.values()
    impostor = Identity.parse("impostor.example")
    entry.sa._state.peer = replace(lab.west_config, remote_id=impostor)
    lab.deliver(lab.wire[3][1])
    lab.settle()
    assert lab.west.one(AuthenticationFailed)
    assert lab.west.of(Redirected) == []


def test_a_peer_that_was_sent_away_in_ike_auth_and_stays_is_left_after_a_while():
    lab = sent_away_in_ike_auth()
    lab.west_config = replace(lab.west_config, follow_redirects=True)
    lab.fate = lambda d: [0.01] if len(lab.wire) <= 4 else []
    lab.connect()
    lab.run(60.0)
    lab.fate = lambda _: [0.01]
    lab.run(200.0)
    assert lab.east.endpoint.ike_sas == []


def test_a_gateway_sends_an_established_peer_away_and_its_child_sas_come_up_there():
    lab = RedirectLab()
    lab.connect()
    (info,) = lab.east.endpoint.ike_sas
    lab.east.endpoint.send_away(info.spi, SOUTH, lab.now)
    lab.settle()
    assert lab.west.one(Redirected).children == ("net",)
    assert lab.east.one(IkeDown).reason is DownReason.PEER_DELETE
    assert lab.west.one(ChildDown)
    assert lab.west.of(ChildUp)[-1].child.remote == SOUTH
    assert lab.east.endpoint.ike_sas == []


def test_an_established_peer_that_does_not_leave_is_deleted():
    lab = RedirectLab()
    lab.connect()
    (info,) = lab.east.endpoint.ike_sas
    (entry,) = lab.west.endpoint._entries.values()
    entry.sa._state.peer = replace(lab.west_config, follow_redirects=False)
    lab.east.endpoint.send_away(info.spi, SOUTH, lab.now)
    lab.settle()
    assert lab.west.of(Redirected) == []
    lab.run(31.0)
    assert lab.west.one(IkeDown).reason is DownReason.PEER_DELETE
    assert lab.east.one(IkeDown).reason is DownReason.REDIRECTED


def test_only_a_peer_that_announced_it_can_be_sent_away():
    lab = Lab()
    lab.connect()
    for node in (lab.west, lab.east):
        (info,) = node.endpoint.ike_sas
        with pytest.raises(CommandError, match="REDIRECT_SUPPORTED"):
            node.endpoint.send_away(info.spi, SOUTH, lab.now)


def test_the_responder_of_an_ike_sa_is_not_redirected():
    lab = RedirectLab(follow_redirects=True)
    lab.connect()
    (info,) = lab.west.endpoint.ike_sas
    (entry,) = lab.west.endpoint._entries.values()
    entry.sa._state.redirection.peer_follows = True
    lab.west.endpoint.send_away(info.spi, SOUTH, lab.now)
    lab.settle()
    assert lab.east.of(Redirected) == []


def test_88_gateways_that_send_us_round_in_a_circle_do_so_five_times_in_300_s():
    lab = RedirectLab(redirect_to=SOUTH)
    lab.south = make_node([east_config(local=SOUTH, redirect_to=EAST)], 3)
    lab.nodes[SOUTH] = lab.south
    lab.connect()
    lab.run(20.0)
    assert len(lab.west.of(Redirected)) == 6
    assert lab.refusals == ["redirected 5 times in 300 s, not once more"]
    assert lab.west.endpoint.ike_sas == []
    lab.run(300.0)
    lab.west.endpoint.initiate(lab.west_config, lab.now)
    lab.settle()
    assert len(lab.west.of(Redirected)) == 12


@pytest.mark.parametrize("gateway", ["gw.example.org", SOUTH6], ids=str)
def test_a_gateway_we_cannot_reach_as_named_is_refused_by_name(gateway):
    lab = RedirectLab(redirect_to=gateway)
    lab.connect()
    assert lab.west.one(Redirected).gateway == gateway
    (refusal,) = lab.refusals
    assert str(gateway) in refusal


def test_a_gateway_given_by_name_is_followed_once_its_owner_knows_the_address():
    lab = RedirectLab(owner_follows=False, redirect_to="gw.example.org")
    lab.connect()
    redirected = lab.west.one(Redirected)
    lab.west.endpoint.follow_redirect(lab.west_config, redirected, lab.now, host=SOUTH)
    lab.settle()
    assert lab.west.one(ChildUp).child.remote == SOUTH


names = st.from_regex(r"[a-z0-9-]{1,20}(\.[a-z0-9-]{1,20}){0,3}", fullmatch=True)


@given(st.ip_addresses() | names, st.binary(max_size=256))
def test_what_names_a_gateway_reads_back_the_same(gateway, nonce):
    assert parse_redirect(encode_gateway(gateway) + nonce) == (gateway, nonce)


@given(st.binary(max_size=300))
def test_any_octets_name_a_gateway_or_raise_the_typed_error(data):
    try:
        gateway, nonce = parse_redirect(data)
    except ParseError:
        return
    assert encode_gateway(gateway) + nonce == data
