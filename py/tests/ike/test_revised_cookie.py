"""Cookies and what AUTH covers (RFC 7296 2.6, draft-smyslov-ipsecme-ikev2-cookie-revised)."""

from dataclasses import replace

import pytest
from ike_lab import EAST, STEADY, WEST, Lab, east_config, path_between, toward, west_config

from p4esp.ike import cookies
from p4esp.ike.auth import transcript
from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify, VendorId
from p4esp.ike.config import Settings
from p4esp.ike.constants import NO_SPI, ExchangeType, NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.events import AuthenticationFailed, ChildUp, IkeEstablished
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions.experimental import P4ESP
from p4esp.ike.path import Datagram
from p4esp.ike.proposals import Template
from p4esp.ike.real_message import without_cookie

COOKIE, EXCLUDED = NotifyType.COOKIE, NotifyType.COOKIE_EXCLUDED
WISH = ExtensionWishes(revised_cookie=True, full_transcript=False)
OFF = ExtensionWishes(full_transcript=False)
LOADED = Settings(retransmission=STEADY, cookie_threshold=0, experimental=True)
"""Of a responder that asks everybody for a cookie."""
IDLE = replace(LOADED, cookie_threshold=16)


def lab_of(west=WISH, east=WISH, settings=LOADED, **more) -> Lab:
    return Lab(
        west_config(extensions=west), east_config(extensions=east), settings=settings, **more
    )


def start(lab: Lab) -> None:
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab.settle()


def openings(lab: Lab) -> list[bytes]:
    """West's IKE_SA_INIT requests, as they left."""
    sent = [one.data for _, one in lab.wire if toward(EAST, one)]
    return [
        data for data in sent if parse_message(data).header.exchange == ExchangeType.IKE_SA_INIT
    ]


def versions(lab: Lab) -> list[bytes]:
    """Those that differ, in order."""
    return list(dict.fromkeys(openings(lab)))


def kinds(data: bytes) -> list[int]:
    return [payload.type for payload in parse_message(data).clear.every(Notify)]


def is_up(lab: Lab) -> bool:
    return all(len(node.of(ChildUp)) == 1 for node in (lab.west, lab.east))


def answer(lab: Lab, *payloads) -> None:
    """What somebody on the way sends back to west's request."""
    asked = parse_message(openings(lab)[0]).header
    header = Header(asked.spi_i, NO_SPI, asked.exchange, False, True, 0)
    lab.deliver(Datagram(encode_clear(header, payloads), path_between(EAST, WEST)))


def resend(lab: Lab, data: bytes) -> None:
    """A datagram of west's that was long on its way."""
    lab.deliver(Datagram(data, path_between(WEST, EAST)))


@pytest.fixture
def signed(monkeypatch) -> list[bytes]:
    """What the ends took for IKE_SA_INIT requests and responses in AUTH."""
    found = []
    real = transcript.signed_octets

    def spy(prf, first, *rest):
        found.append(first)
        return real(prf, first, *rest)

    monkeypatch.setattr(transcript, "signed_octets", spy)
    return found


def test_with_both_ends_auth_covers_the_request_as_it_was_before_the_cookie(signed):
    lab = lab_of()
    start(lab)
    plain, shown = versions(lab)
    assert kinds(shown)[:2] == [COOKIE, EXCLUDED]
    assert signed[:2] == [plain, plain]
    assert is_up(lab)
    for node in (lab.west, lab.east):
        assert EXCLUDED.name in node.one(IkeEstablished).ike.extensions


@pytest.mark.parametrize(
    ("west", "east"), [(WISH, OFF), (OFF, WISH), (OFF, OFF)], ids=["west", "east", "none"]
)
def test_with_one_end_alone_auth_covers_the_cookie_as_ever(west, east, signed):
    lab = lab_of(west, east)
    start(lab)
    _, shown = versions(lab)
    assert EXCLUDED not in kinds(shown)
    assert signed[:2] == [shown, shown]
    assert is_up(lab)


def test_a_transcript_of_both_messages_has_the_request_without_the_cookie_too(signed):
    wish = replace(WISH, full_transcript=True)
    lab = lab_of(wish, wish)
    start(lab)
    plain, _ = versions(lab)
    response = lab.west.endpoint._entries.command_target(
        lab.west.endpoint.ike_sas[0].spi
    ).sa._state.init_response
    assert signed[:2] == [bytes(8) + response + plain] * 2
    assert is_up(lab)


def test_without_the_switch_for_experiments_nothing_of_it_is_said(signed):
    lab = lab_of(settings=replace(LOADED, experimental=False))
    start(lab)
    assert not any(EXCLUDED in kinds(one.data) for _, one in lab.wire[:4])
    assert is_up(lab)


def test_without_our_vendor_id_in_the_request_a_responder_does_not_say_it():
    lab = lab_of(fate=lambda _: [])
    start(lab)
    message = parse_message(openings(lab)[0])
    assert P4ESP in message.clear.every(VendorId)
    others = [payload for payload in message.clear.payloads if payload != P4ESP]
    resend(lab, encode_clear(message.header, others))
    assert kinds(lab.wire[-1][1].data) == [COOKIE]
    resend(lab, openings(lab)[0])
    assert kinds(lab.wire[-1][1].data) == [COOKIE, EXCLUDED]


def test_a_demand_for_a_cookie_leaves_no_state():
    lab = lab_of(fate=lambda _: [])
    start(lab)
    resend(lab, openings(lab)[0])
    assert (lab.east.endpoint.half_open, lab.east.endpoint.get_timer()) == (0, None)


def test_without_a_cookie_nothing_is_left_out(signed):
    lab = lab_of(settings=IDLE)
    start(lab)
    assert signed[:2] == [versions(lab)[0]] * 2
    assert EXCLUDED.name not in lab.west.one(IkeEstablished).ike.extensions


def test_a_rekeyed_ike_sa_goes_on_without_it():
    lab = lab_of()
    start(lab)
    lab.west.endpoint.rekey_ike(lab.west.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    assert len(lab.west.endpoint.ike_sas) == len(lab.east.endpoint.ike_sas) == 1


def test_a_new_method_after_invalid_ke_payload_keeps_the_cookie(signed):
    proposals = (Template.ike("aes256gcm16-prfsha256-ecp256"),)
    east = east_config(extensions=WISH, proposals=proposals)
    lab = Lab(west_config(extensions=WISH), east, settings=LOADED)
    start(lab)
    plain, shown, changed = versions(lab)
    assert parse_message(shown).clear.payloads[:2] == parse_message(changed).clear.payloads[:2]
    assert signed[0] == signed[1] == without_cookie(changed)
    assert without_cookie(shown) == plain
    assert is_up(lab)


# --- versions of a request, without change on the wire


def only(*fates):
    """Delays for IKE_SA_INIT messages by their number; None: lost. All others arrive at once."""
    count = iter(range(100))

    def fate(datagram):
        if parse_message(datagram.data).header.exchange != ExchangeType.IKE_SA_INIT:
            return [0.01]
        number = next(count)
        delay = fates[number] if number < len(fates) else 0.01
        return [] if delay is None else [delay]

    return fate


def test_a_lost_answer_survives_a_change_of_the_secret(signed):
    """The stored answer goes to identical octets, whatever the secret is by then."""
    lab = lab_of(OFF, OFF, fate=only(0.01, 0.01, 0.01, None))
    lab.now = cookies.LIFETIME - 1
    start(lab)
    assert not lab.west.of(IkeEstablished)
    lab.run(STEADY.first + 1)
    assert lab.now > cookies.LIFETIME
    assert len(versions(lab)) == 2
    assert len(openings(lab)) == 3
    assert lab.east.endpoint.drops[Drop.NO_COOKIE] == 1
    assert is_up(lab)


def test_the_same_demand_again_is_ignored():
    lab = lab_of(OFF, OFF, fate=only(0.01, 0.01, None))
    start(lab)
    demand = lab.wire[1][1]
    lab.deliver(demand)
    lab.run(STEADY.first - 1)
    assert len(openings(lab)) == 2
    lab.run(2)
    assert is_up(lab)


def test_another_cookie_waits_until_the_one_in_use_has_got_no_answer():
    lab = lab_of(OFF, OFF, settings=IDLE, fate=lambda _: [])
    start(lab)
    for cookie in (b"first", b"second", b"first", b"second"):
        answer(lab, Notify(COOKIE, cookie))
    assert len(openings(lab)) == 2
    lab.run(STEADY.first + 0.1)
    shown = [parse_message(data).clear.notify(COOKIE) for data in openings(lab)]
    assert [one and one.data for one in shown] == [None, b"first", b"second"]


def test_an_answer_in_time_makes_the_other_cookie_needless(signed):
    """A repeat of the first request, delayed beyond a change of the secret, was answered too."""
    lab = lab_of(OFF, OFF, fate=only(0.01, 0.01, 0.01, 2.0))
    start(lab)
    answer(lab, Notify(COOKIE, b"of another secret"))
    lab.settle(3)
    assert len(openings(lab)) == 2
    assert signed[:2] == [openings(lab)[1]] * 2
    assert is_up(lab)


def test_a_cookie_that_is_no_good_any_more_is_replaced():
    """A responder that has started anew knows none of its secrets."""
    lab = lab_of(OFF, OFF, fate=only(0.01, 0.01, None))
    start(lab)
    lab.east.endpoint._admission._cookies._secrets.clear()
    lab.run(4 * STEADY.first)
    assert len(versions(lab)) == 3
    assert is_up(lab)


def test_a_late_request_without_cookie_opens_no_second_ike_sa():
    """Reordering: the first version comes after the second, when no cookies are asked for."""
    lab = lab_of(OFF, OFF, fate=only(0.01, 0.01, 0.01, 2.0))
    start(lab)
    lab.east.endpoint._half_open._settings = IDLE
    resend(lab, openings(lab)[0])
    assert lab.east.endpoint.drops[Drop.OUTDATED] == 1
    assert lab.east.endpoint.half_open == 1
    lab.settle(3)
    assert is_up(lab)


def test_once_that_ike_sa_is_gone_nothing_is_late_any_more():
    lab = lab_of(OFF, OFF, fate=only(0.01, 0.01, 0.01, None))
    start(lab)
    first = openings(lab)[0]
    lab.run(STEADY.first - 1)
    for ike in lab.east.endpoint.ike_sas:
        lab.east.endpoint.delete_ike(ike.spi, lab.now)
    resend(lab, first)
    assert lab.east.endpoint.drops[Drop.OUTDATED] == 0


def test_whichever_version_is_answered_the_ends_agree_when_cookies_are_left_out():
    """The responder answers both; the initiator takes the answer to the first for its own."""
    lab = lab_of(settings=IDLE, fate=only(0.01, 2.0, 9.0))
    start(lab)
    answer(lab, Notify(COOKIE, b"forged"), Notify(EXCLUDED))
    assert len(versions(lab)) == 2
    lab.settle(3)
    assert is_up(lab)


# --- bad input, and who sits on the way


@pytest.mark.parametrize("size", [0, 65])
def test_a_cookie_of_an_illegal_size_is_ignored_and_recorded(size):
    lab = lab_of(fate=lambda _: [])
    start(lab)
    answer(lab, Notify(COOKIE, bytes(size)), Notify(EXCLUDED))
    assert len(openings(lab)) == 1
    assert lab.west.endpoint.drops == {Drop.IGNORED_NOTIFY: 1}


@pytest.mark.parametrize(
    "notifies",
    [
        [Notify(EXCLUDED, b"\0")],
        [Notify(EXCLUDED), Notify(EXCLUDED)],
        [Notify(EXCLUDED, protocol=ProtocolId.ESP, spi=bytes(4))],
    ],
    ids=["data", "twice", "spi"],
)
def test_a_malformed_notify_beside_the_cookie_counts_as_none(notifies):
    lab = lab_of(fate=lambda _: [])
    start(lab)
    answer(lab, Notify(COOKIE, b"crumbs"), *notifies)
    assert EXCLUDED not in kinds(openings(lab)[1])
    assert lab.west.endpoint.drops == {Drop.IGNORED_NOTIFY: 1}


def test_the_notify_without_a_cookie_is_ignored_by_the_responder_and_recorded():
    lab = lab_of(settings=IDLE, fate=lambda _: [])
    start(lab)
    message = parse_message(openings(lab)[0])
    resend(lab, encode_clear(message.header, [*message.clear.payloads, Notify(EXCLUDED)]))
    assert lab.east.endpoint.drops == {Drop.IGNORED_NOTIFY: 1}


def rewriting(change, towards=EAST, number=1):
    """Replaces the payloads of one IKE_SA_INIT message on the way."""
    seen = []

    def spoil(lab, datagram):
        message = parse_message(datagram.data)
        if message.header.exchange != ExchangeType.IKE_SA_INIT or not toward(towards, datagram):
            return datagram
        seen.append(datagram)
        if len(seen) != number + 1:
            return datagram
        header = replace(message.header, next_payload=0)
        return replace(datagram, data=encode_clear(header, change(message.clear.payloads)))

    return spoil


def without(kind):
    return lambda payloads: [p for p in payloads if not (isinstance(p, Notify) and p.type == kind)]


def with_notify(kind):
    return lambda payloads: [*payloads, Notify(kind)]


def attacked(lab, spoil):
    deliver = lab.deliver
    lab.deliver = lambda datagram: deliver(spoil(lab, datagram))
    start(lab)
    return lab


@pytest.mark.parametrize(
    ("change", "west", "east"),
    [
        (without(EXCLUDED), WISH, WISH),
        (with_notify(EXCLUDED), OFF, WISH),
        (with_notify(EXCLUDED), OFF, OFF),
    ],
    ids=["taken out", "put in", "put in where nobody knows it"],
)
def test_who_changes_the_repeated_request_makes_auth_fail(change, west, east):
    lab = attacked(lab_of(west, east), rewriting(change))
    assert lab.east.of(AuthenticationFailed)
    assert not lab.west.of(IkeEstablished)


def test_who_takes_it_out_of_the_demand_gets_the_old_rules(signed):
    lab = attacked(lab_of(), rewriting(without(EXCLUDED), towards=WEST, number=0))
    assert signed[:2] == [versions(lab)[1]] * 2
    assert is_up(lab)


def test_a_forged_demand_with_it_does_not_part_ends_that_do_not_both_know_it():
    """East does not know the notify; its answer to the plain request comes first."""
    lab = lab_of(WISH, OFF, settings=IDLE, fate=only(None))
    start(lab)
    answer(lab, Notify(COOKIE, b"forged"), Notify(EXCLUDED))
    lab.settle()
    assert is_up(lab)


def test_everything_but_the_cookie_stays_authenticated():
    """What the attacker puts in is covered, although the cookie is not."""
    lab = attacked(lab_of(), rewriting(lambda payloads: [*payloads, VendorId(b"mallory")]))
    assert lab.east.of(AuthenticationFailed)


@pytest.mark.parametrize("place", [0, 2, 5])
def test_notifies_of_cookies_are_taken_out_wherever_they_stand(place):
    lab = lab_of(fate=lambda _: [])
    start(lab)
    plain = openings(lab)[0]
    message = parse_message(plain)
    payloads = list(message.clear.payloads)
    payloads[place:place] = [Notify(COOKIE, b"crumbs"), Notify(EXCLUDED)]
    assert without_cookie(encode_clear(message.header, payloads)) == plain
    assert without_cookie(encode_clear(message.header, [*payloads, Notify(EXCLUDED)])) == plain


def test_an_empty_message_stays_one():
    header = Header(bytes(8), NO_SPI, ExchangeType.IKE_SA_INIT, True, False, 0)
    empty = encode_clear(header, [])
    assert without_cookie(encode_clear(header, [Notify(COOKIE, b"x")])) == empty
