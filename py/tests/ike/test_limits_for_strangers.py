"""What strangers may cost us is limited, and no limit shuts out a peer (RFC 7296 2.6; 35-37)."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ike_lab import EAST, LATENCY, WEST, Lab, east_config, make_node, path_between, west_config
from ike_stranger import TO_EAST, fresh_east, good_opening, send, untouched

from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import KeyExchange, Nonce, Notify, VendorId
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation, Transform
from p4esp.ike.config import Settings
from p4esp.ike.constants import NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.events import AuthenticationFailed, ChildUp, DownReason, IkeDown, IkeEstablished
from p4esp.ike.path import Path, UdpAddress
from p4esp.ike.ratelimit import SourceLimits
from p4esp.ipsec.identity import Identity


@pytest.fixture
def opening():
    return good_opening()


def path_from(host):
    return Path(UdpAddress(EAST, 500), UdpAddress(ip_address(host), 500))


def variants(opening, count, *payloads):
    """Openings that differ in their SPI, with `payloads` in front."""
    message = parse_message(opening)
    for n in range(1, count + 1):
        header = replace(message.header, spi_i=n.to_bytes(8, "big"))
        yield encode_clear(header, (*payloads, *message.clear.payloads))


def flood(node, opening, host, count, now=0.0):
    """Openings from one host, which sees no answer."""
    for data in variants(opening, count):
        send(node, data, path_from(host), now)


def with_cookie(node, data, path, now=0.0):
    """The same request with the cookie that the node demands for it."""
    message = parse_message(data)
    return encode_clear(message.header, (cookie_of(node, data, path, now), *message.clear.payloads))


def test_37_half_open_ike_sas_are_limited_by_source(opening):
    east = fresh_east(max_half_open_per_source=8, cookie_threshold=1000)
    flood(east, opening, "198.51.100.1", 20)
    assert east.endpoint.half_open == 8
    assert east.endpoint.drops == {Drop.SOURCE_LIMIT: 12}
    flood(east, opening, "198.51.100.2", 1)
    assert east.endpoint.half_open == 9


def test_37_at_the_limit_the_oldest_half_open_ike_sa_gives_way(opening):
    east = fresh_east(max_half_open=40, cookie_threshold=1000)
    for last in range(1, 6):
        flood(east, opening, f"198.51.100.{last}", 8)
    oldest, *others = [ike.spi for ike in east.endpoint.ike_sas]
    flood(east, opening, "198.51.100.99", 1)
    assert east.endpoint.drops == {Drop.GAVE_WAY: 1}
    left = [ike.spi for ike in east.endpoint.ike_sas]
    assert left[:-1] == others
    assert oldest not in left
    east.endpoint.handle_timer(31.0)
    assert untouched(east)
    assert east.endpoint.get_timer() is None


def test_37_an_established_ike_sa_never_gives_way(opening):
    lab = Lab(settings=Settings(max_ike_sas=1))
    lab.connect()
    flood(lab.east, opening, "198.51.100.1", 3, lab.now)
    assert lab.east.endpoint.drops == {Drop.IKE_SA_LIMIT: 3}
    assert len(lab.east.endpoint.ike_sas) == 1
    assert lab.east.of(IkeDown) == []


def test_37_among_all_ike_sas_too_the_half_open_ones_give_way(opening):
    lab = Lab(settings=Settings(max_ike_sas=4))
    flood(lab.east, opening, "198.51.100.1", 4)
    lab.connect()
    assert lab.east.one(IkeEstablished)
    assert lab.east.endpoint.drops == {Drop.GAVE_WAY: 1}


def test_timers_of_those_that_gave_way_take_no_memory(opening):
    east = fresh_east(max_half_open=2, cookie_threshold=10**6, init_rate=10**6)
    flood(east, opening, "198.51.100.1", 2000)
    assert len(east.endpoint._timers) < 100


def test_37_a_legitimate_peer_connects_while_another_source_floods(opening):
    lab = Lab(settings=Settings(max_half_open_per_source=8))
    flood(lab.east, opening, "198.51.100.1", 500)
    lab.connect()
    assert lab.east.one(IkeEstablished)


def test_who_floods_under_a_peers_address_does_not_lock_it_out(opening):
    """RFC 7296 2.6: the peer shows a cookie, whoever only claims its address cannot."""
    lab = Lab()
    flood(lab.east, opening, str(WEST), 500)
    assert lab.east.endpoint.half_open == Settings().cookie_threshold
    assert lab.east.endpoint.drops == {Drop.NO_COOKIE: 500 - Settings().cookie_threshold}
    lab.connect()
    assert lab.east.one(IkeEstablished)
    assert lab.west.one(ChildUp)


def test_without_cookies_such_a_flood_locks_the_peer_out(opening):
    lab = Lab(settings=Settings(cookie_threshold=10_000, init_rate=10_000))
    flood(lab.east, opening, str(WEST), 500)
    lab.connect()
    assert lab.east.of(IkeEstablished) == []


def test_beyond_its_rate_a_source_must_show_cookies_and_other_sources_need_none(opening):
    lab = Lab(settings=Settings(cookie_threshold=1000, init_rate=5))
    flood(lab.east, opening, str(WEST), 9)
    assert lab.east.endpoint.drops == {Drop.NO_COOKIE: 4}
    flood(lab.east, opening, "198.51.100.1", 5)
    assert lab.east.endpoint.drops == {Drop.NO_COOKIE: 4}
    lab.connect()
    assert lab.east.one(IkeEstablished)


def test_who_shows_good_cookies_too_often_is_refused_for_a_while(opening):
    east = fresh_east(cookie_threshold=0, init_rate=5, max_half_open_per_source=1000)
    path = path_from("198.51.100.1")
    for data in variants(opening, 9):
        send(east, with_cookie(east, data, path), path)
    assert east.endpoint.half_open == 5
    assert east.endpoint.drops[Drop.SOURCE_RATE] == 4
    (later,) = list(variants(opening, 10))[9:]
    send(east, with_cookie(east, later, path, 1.0), path, 1.0)
    assert east.endpoint.half_open == 6


@pytest.mark.parametrize(
    ("other", "same_source"), [("2001:db8::ffff:1", True), ("2001:db8:0:1::1", False)]
)
def test_an_ipv6_source_is_a_64_bit_prefix(opening, other, same_source):
    east = make_node([east_config(local=None)], 2, Settings(init_rate=5, cookie_threshold=1000))
    flood(east, opening, "2001:db8::1", 5)
    flood(east, opening, other, 1)
    assert east.endpoint.drops[Drop.NO_COOKIE] == int(same_source)


@given(st.lists(st.integers(0, 50), max_size=300), st.integers(1, 10))
def test_the_table_of_sources_is_bounded_and_never_stricter_than_one_bucket_each(sources, size):
    limits, unbounded = SourceLimits(0.0, 2, size), SourceLimits(0.0, 2, 10**6)
    for source in sources:
        key = bytes([source])
        allowed, would_be = limits.allow(key, 0.0), unbounded.allow(key, 0.0)
        assert allowed or not would_be
        assert len(limits) <= size
        assert limits.spent(key, 0.0) or not unbounded.spent(key, 0.0) or len(limits) == size


def test_a_source_that_fails_to_authenticate_too_often_opens_nothing_for_a_while():
    limits = Settings(max_auth_failures=3, auth_failure_period=30.0)
    lab = Lab(west_config(psk=b"guess"), settings=limits)
    for _ in range(5):
        lab.connect()
    assert len(lab.east.of(AuthenticationFailed)) == 3
    assert lab.east.endpoint.drops[Drop.FAILED_BEFORE] == 2
    lab.west_config = west_config()
    lab.run(300.0)
    lab.connect()
    assert lab.east.of(IkeEstablished)


def test_failures_of_one_source_do_not_count_for_another(opening):
    lab = Lab(west_config(psk=b"guess"), settings=Settings(max_auth_failures=1))
    for _ in range(2):
        lab.connect()
    assert lab.east.endpoint.drops[Drop.FAILED_BEFORE] == 1
    flood(lab.east, opening, "198.51.100.1", 1, lab.now)
    assert lab.east.endpoint.drops[Drop.FAILED_BEFORE] == 1


def test_nobody_fails_in_the_name_of_another():
    """IKE_AUTH may come from anywhere (RFC 7296 2.23); who got our IKE_SA_INIT has failed."""
    limits = Settings(max_auth_failures=1)
    lab = Lab(west_config(psk=b"guess"), settings=limits)
    attacker = ip_address("198.51.100.1")
    lab.nodes[attacker] = lab.west
    lab.fate = lambda datagram: [LATENCY] if len(lab.wire) < 3 else []
    here = path_between(attacker, EAST)
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net", path=here)
    lab.settle()
    proof = lab.wire[-1][1]
    lab.fate = lambda _: [LATENCY]
    lab.deliver(replace(proof, path=path_between(WEST, EAST)))
    assert lab.east.one(AuthenticationFailed).ike.path.remote.host == WEST
    lab.west_config = west_config()
    lab.connect()
    assert lab.east.one(IkeEstablished)
    assert lab.east.endpoint.drops[Drop.FAILED_BEFORE] == 0


def test_a_peer_that_is_bound_to_an_address_proves_itself_from_there():
    lab = Lab(east=east_config(remote=WEST))
    lab.fate = lambda datagram: [LATENCY] if len(lab.wire) < 3 else []
    lab.connect()
    proof = lab.wire[-1][1]
    elsewhere = path_between(ip_address("198.51.100.1"), EAST)
    lab.deliver(replace(proof, path=elsewhere))
    assert "no configuration" in lab.east.one(AuthenticationFailed).reason


def test_a_peer_with_too_many_ike_sas_loses_the_oldest():
    silent = {"initial_contact": False}
    lab = Lab(
        west_config(**silent), east_config(**silent), settings=Settings(max_ike_sas_per_peer=2)
    )
    names = [lab.connect() for _ in range(4)]
    lab.settle()
    assert [ike.spi for ike in lab.west.endpoint.ike_sas] == names[2:]
    assert len(lab.east.endpoint.ike_sas) == 2
    assert {down.reason for down in lab.west.of(IkeDown)} <= {
        DownReason.LOCAL_DELETE,
        DownReason.PEER_DELETE,
    }


def cookie_of(east, opening, path=TO_EAST, now=0.0):
    (answer,) = send(east, opening, path, now)
    message = parse_message(answer)
    (cookie,) = message.clear.payloads
    assert (message.header.spi_r, message.header.response) == (bytes(8), True)
    assert cookie.type == NotifyType.COOKIE
    assert 1 <= len(cookie.data) <= 64
    assert len(answer) < len(opening), "no amplifier"
    return cookie


def test_a_cookie_is_good_for_its_address_spi_and_nonce_alone(opening):
    east = fresh_east(cookie_threshold=0)
    cookie = cookie_of(east, opening)
    message = parse_message(opening)
    payloads = (cookie, *message.clear.payloads)
    other_spi = replace(message.header, spi_i=b"\7" * 8)
    other_nonce = [
        Nonce(bytes(32)) if isinstance(payload, Nonce) else payload for payload in payloads
    ]
    elsewhere = Path(TO_EAST.local, UdpAddress(ip_address("192.0.2.77"), 500))
    cookie_of(east, encode_clear(other_spi, payloads))
    cookie_of(east, encode_clear(message.header, other_nonce))
    cookie_of(east, encode_clear(message.header, payloads), elsewhere)
    cookie_of(east, encode_clear(message.header, [*message.clear.payloads, cookie]))
    cut = Notify(NotifyType.COOKIE, cookie.data[:-1])
    cookie_of(east, encode_clear(message.header, [cut, *message.clear.payloads]))
    assert untouched(east)
    send(east, encode_clear(message.header, payloads))
    assert east.endpoint.half_open == 1


def test_a_cookie_of_one_address_family_is_none_of_the_other(opening):
    """An IPv6 address may end in somebody's IPv4 address, and a nonce in anything."""
    east = make_node([east_config(local=None)], 2, Settings(cookie_threshold=0))
    message = parse_message(opening)
    (nonce,) = message.clear.every(Nonce)
    six, four = ip_address("2001:db8::c000:24d"), ip_address("192.0.2.77")
    assert six.packed[12:] == four.packed
    mine = Path(UdpAddress(ip_address("2001:db8::1"), 500), UdpAddress(six, 500))
    cookie = cookie_of(east, opening, mine)
    longer = Nonce(nonce.data + six.packed[:12])
    others = [longer if payload is nonce else payload for payload in message.clear.payloads]
    forged = encode_clear(message.header, [cookie, *others])
    send(east, forged, Path(TO_EAST.local, UdpAddress(four, 500)))
    assert untouched(east)


def test_openings_that_come_to_nothing_make_us_ask_for_cookies_too(opening):
    """We compute for them, but they never count as half-open."""
    east = fresh_east(futile_rate=10)
    message = parse_message(opening)
    useless = [
        KeyExchange(31, bytes(32)) if isinstance(p, KeyExchange) else p
        for p in message.clear.payloads
    ]
    for host in range(1, 101):
        send(east, encode_clear(message.header, useless), path_from(f"198.51.100.{host}"))
    assert east.endpoint.drops[Drop.NO_COOKIE] == 90
    send(east, with_cookie(east, opening, TO_EAST))
    assert east.endpoint.half_open == 1
    send(east, opening, path_from("198.51.100.101"), now=1.0)
    assert east.endpoint.half_open == 2


def test_a_proposal_is_compared_once_with_what_many_peers_have_in_common(opening):
    message = parse_message(opening)
    strange = SecurityAssociation((Proposal(1, ProtocolId.IKE, b"", (Transform(4, 9999),)),))
    others = [p for p in message.clear.payloads if not isinstance(p, SecurityAssociation)]
    reasons = []
    for count in (1, 100):
        name = Identity.parse("x.example")
        peers = [east_config(name=f"peer{n}", remote_id=name) for n in range(count)]
        east = make_node(peers, 2)
        send(east, encode_clear(message.header, [strange, *others]))
        reasons.append(next(trace.reason for trace in east.traces if trace.reason))
    assert "NO_PROPOSAL_CHOSEN" in reasons[0]
    assert reasons[1] == reasons[0]


@pytest.mark.parametrize(
    ("ages", "good"),
    [((59.0,), True), ((60.0,), True), ((119.0,), True), ((60.0, 120.0), False), ((1e4,), False)],
)
def test_a_cookie_outlives_one_change_of_the_secret(opening, ages, good):
    east = fresh_east(cookie_threshold=0)
    message = parse_message(opening)
    shown = encode_clear(message.header, (cookie_of(east, opening), *message.clear.payloads))
    for now in ages[:-1]:
        cookie_of(east, opening, now=now)
    send(east, shown, now=ages[-1])
    assert (east.endpoint.half_open == 1) is good


def test_an_opening_without_a_nonce_gets_no_cookie(opening):
    east = fresh_east(cookie_threshold=0)
    message = parse_message(opening)
    rest = [payload for payload in message.clear.payloads if not isinstance(payload, Nonce)]
    assert send(east, encode_clear(message.header, rest)) == []
    assert east.endpoint.drops[Drop.MALFORMED] == 1


def test_an_oversized_opening_is_not_looked_at(opening):
    east = fresh_east()
    (big,) = variants(opening, 1, VendorId(bytes(4096)))
    assert send(east, big) == []
    assert east.endpoint.drops[Drop.TOO_LARGE] == 1


def test_an_opening_from_an_address_nobody_is_configured_for_is_dropped(opening):
    east = make_node([west_config()], 2)
    assert send(east, opening) == []
    assert east.endpoint.drops[Drop.NO_PEER] == 1


def test_an_ike_sa_that_replaced_another_is_replaced_in_turn():
    """Each time the initiator starts afresh, with nothing of before: INITIAL_CONTACT."""
    lab = Lab()
    for seed in range(3, 6):
        lab.connect()
        lab.west = lab.nodes[WEST] = make_node([lab.west_config], seed)
    lab.connect()
    reasons = [down.reason for down in lab.east.of(IkeDown)]
    assert reasons == [DownReason.INITIAL_CONTACT] * 3
    assert len(lab.east.endpoint.ike_sas) == 1
