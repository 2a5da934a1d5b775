"""Quick crash detection (RFC 6290): who has lost an IKE SA proves it, and nobody else can."""

import hashlib
import hmac
from dataclasses import replace

import pytest
from ike_lab import EAST, STEADY, WEST, Lab, east_config, make_node, path_between, west_config

from p4esp.ike.codec.header import Header
from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.crash_tokens import CHECKS
from p4esp.ike.drops import Drop
from p4esp.ike.events import ChildDown, DownReason, IkeDown, IkeEstablished, IkeRekeyed
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions import crash_detection
from p4esp.ike.path import Datagram
from p4esp.ike.tasks.informational import CheckLiveness

WISH = ExtensionWishes(crash_detection=True)
SECRET = bytes(range(32))
SETTINGS = Settings(retransmission=STEADY)
KIND = NotifyType.QUICK_CRASH_DETECTION


def lab_of(west=WISH, east=WISH, secret=SECRET, **changes):
    ends = west_config(extensions=west, **changes), east_config(extensions=east)
    lab = Lab(*ends, settings=SETTINGS, token_secret=secret)
    lab.connect()
    return lab


def crash(lab, secret=SECRET, config=None):
    """East loses everything but its secret."""
    config = config or lab.east_config
    lab.east = lab.nodes[EAST] = make_node([config], 77, SETTINGS, token_secret=secret)


def ask(lab):
    """West wants a sign of life."""
    (ike,) = lab.west.endpoint.ike_sas
    lab.west.endpoint.check_liveness(ike.spi, lab.now)
    lab.settle()


def claim(lab, *notifies, ike=None, remote=EAST):
    """Somebody tells west, without protection, that east has lost the IKE SA."""
    ike = ike or lab.west.endpoint.ike_sas[0]
    spis = (ike.spi, ike.peer_spi) if ike.initiator else (ike.peer_spi, ike.spi)
    header = Header(*spis, ExchangeType.INFORMATIONAL, not ike.initiator, True, 7)
    message = encode_clear(header, [Notify(NotifyType.INVALID_IKE_SPI), *notifies])
    lab.deliver(Datagram(message, path_between(remote, WEST)))


def token_of(ike, secret=SECRET):
    """East's token, from the standard library alone."""
    return hmac.new(secret, ike.peer_spi + ike.spi, hashlib.sha256).digest()


def token(data):
    return Notify(KIND, data, ProtocolId.IKE)


def is_lost(lab):
    return [down.reason for down in lab.west.of(IkeDown)] == [DownReason.PEER_CRASHED]


def test_a_peer_that_lost_its_state_is_dropped_with_one_exchange() -> None:
    lab = lab_of()
    crash(lab)
    ask(lab)
    assert is_lost(lab)
    assert lab.west.one(ChildDown).reason is DownReason.IKE_SA_GONE
    assert lab.now < 1, "no timer was waited for"
    assert lab.west.endpoint.ike_sas == []


def test_it_can_be_reached_again_at_once() -> None:
    lab = lab_of()
    crash(lab)
    ask(lab)
    lab.connect()
    assert len(lab.west.of(IkeEstablished)) == 2
    assert len(lab.east.endpoint.ike_sas) == 1


def test_the_initiator_may_be_the_one_that_crashes() -> None:
    lab = lab_of()
    lab.west = lab.nodes[WEST] = make_node([lab.west_config], 78, SETTINGS, token_secret=SECRET)
    (ike,) = lab.east.endpoint.ike_sas
    lab.east.endpoint.check_liveness(ike.spi, lab.now)
    lab.settle()
    assert lab.east.one(IkeDown).reason is DownReason.PEER_CRASHED


@pytest.mark.parametrize(
    ("west", "east", "secret"),
    [(ExtensionWishes(), WISH, SECRET), (WISH, ExtensionWishes(), SECRET), (WISH, WISH, b"")],
    ids=["no-taker", "no-maker", "no-secret"],
)
def test_without_a_maker_and_a_taker_only_silence_counts(west, east, secret) -> None:
    lab = lab_of(west, east, secret)
    crash(lab, secret if east is WISH else b"")
    ask(lab)
    assert lab.west.of(IkeDown) == []
    lab.run(200)
    assert lab.west.one(IkeDown).reason is DownReason.PEER_DEAD


def test_another_secret_proves_nothing() -> None:
    lab = lab_of()
    crash(lab, secret=bytes(32))
    ask(lab)
    assert lab.west.of(IkeDown) == []
    drop = next(record for record in lab.west.traces if record.drop is Drop.NOT_PROTECTED)
    assert drop.reason == "with a crash token that does not count"


def test_the_token_is_what_a_digest_of_secret_and_spis_says() -> None:
    lab = lab_of()
    claim(lab, token(token_of(lab.west.endpoint.ike_sas[0])))
    assert is_lost(lab)


def test_a_good_token_counts_from_any_address() -> None:
    lab = lab_of()
    other = type(EAST)("203.0.113.9")
    claim(lab, token(token_of(lab.west.endpoint.ike_sas[0])), remote=other)
    assert is_lost(lab)


def test_one_good_token_of_four_is_enough_and_a_fifth_is_not_looked_at() -> None:
    lab = lab_of()
    bad = [token(bytes([n]) * 32) for n in range(4)]
    good = token(token_of(lab.west.endpoint.ike_sas[0]))
    claim(lab, *bad, good)
    assert lab.west.of(IkeDown) == []
    claim(lab, *bad[:3], good)
    assert is_lost(lab)


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": 0},
        {"protocol": ProtocolId.ESP},
        {"spi": bytes(4)},
        {"data": b""},
        {"data": bytes(32)},
    ],
    ids=["protocol-0", "protocol-3", "spi", "empty", "guess"],
)
def test_a_token_that_is_not_quite_right_counts_for_nothing(change) -> None:
    lab = lab_of()
    claim(lab, replace(token(token_of(lab.west.endpoint.ike_sas[0])), **change))
    assert lab.west.of(IkeDown) == []


def test_a_part_of_a_token_counts_for_nothing() -> None:
    lab = lab_of()
    claim(lab, token(token_of(lab.west.endpoint.ike_sas[0])[:16]))
    assert lab.west.of(IkeDown) == []


def test_a_token_without_invalid_ike_spi_counts_for_nothing() -> None:
    lab = lab_of()
    (ike,) = lab.west.endpoint.ike_sas
    header = Header(ike.spi, ike.peer_spi, ExchangeType.INFORMATIONAL, False, True, 7)
    message = encode_clear(header, [token(token_of(ike))])
    lab.deliver(Datagram(message, path_between(EAST, WEST)))
    assert lab.west.of(IkeDown) == []


def test_guesses_are_looked_at_only_so_often() -> None:
    lab = lab_of()
    good = token(token_of(lab.west.endpoint.ike_sas[0]))
    for _ in range(int(CHECKS)):
        claim(lab, token(bytes(32)))
    claim(lab, good)
    assert lab.west.of(IkeDown) == []
    lab.run(1)
    claim(lab, good)
    assert is_lost(lab)


def test_nobody_gets_the_token_of_an_ike_sa_that_lives() -> None:
    """RFC 6290 9.2: not even by a request that claims to come from the other end of it."""
    lab = lab_of()
    (ike,) = lab.east.endpoint.ike_sas
    protected = next(
        datagram.data for _, datagram in lab.wire if parse_message(datagram.data).encrypted
    )
    flags = bytearray(protected)
    flags[19] ^= 0x08  # the initiator's flag
    lab.wire.clear()
    for spis in (ike.peer_spi + ike.spi, ike.spi + ike.peer_spi):
        for data in (protected, bytes(flags)):
            lab.deliver(Datagram(spis + data[16:], path_between(WEST, EAST)))
    known = hmac.new(SECRET, ike.spi + ike.peer_spi, hashlib.sha256).digest()
    assert lab.wire, "something was answered"
    assert not any(known in datagram.data for _, datagram in lab.wire)


def test_only_a_protected_request_is_answered_with_a_token() -> None:
    lab = lab_of()
    crash(lab)
    lab.wire.clear()
    header = Header(bytes(8 * [1]), bytes(8 * [2]), ExchangeType.INFORMATIONAL, True, False, 3)
    lab.deliver(Datagram(encode_clear(header, [Notify(99)]), path_between(WEST, EAST)))
    (answer,) = (parse_message(datagram.data) for _, datagram in lab.wire)
    assert [notify.type for notify in answer.clear.every(Notify)] == [NotifyType.INVALID_IKE_SPI]


def test_tokens_for_strangers_are_few() -> None:
    lab = lab_of()
    protected = next(d.data for _, d in lab.wire if parse_message(d.data).encrypted)
    crash(lab)
    lab.wire.clear()
    for number in range(100):
        stranger = number.to_bytes(8, "big") + bytes(8 * [2]) + protected[16:19]
        message = stranger + bytes([0x08]) + protected[20:]
        lab.deliver(Datagram(message, path_between(WEST, EAST)))
    assert len(lab.wire) <= SETTINGS.unprotected_replies


@pytest.mark.parametrize("who", ["west", "east"])
def test_a_rekeyed_ike_sa_has_tokens_of_its_own(who) -> None:
    """RFC 6290 4.3: the responder's in its answer, the initiator's in an exchange of its own."""
    lab = lab_of()
    node = getattr(lab, who)
    (old,) = lab.west.endpoint.ike_sas
    node.endpoint.rekey_ike(node.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    new = lab.west.one(IkeRekeyed).new
    claim(lab, token(token_of(old)), ike=new)
    assert new.spi in {ike.spi for ike in lab.west.endpoint.ike_sas}
    claim(lab, token(token_of(new)), ike=new)
    assert lab.west.of(IkeDown)[-1].reason is DownReason.PEER_CRASHED


def test_after_a_rekey_a_crash_is_found_by_either_end() -> None:
    lab = lab_of()
    lab.west.endpoint.rekey_ike(lab.west.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    for end, other, config in ((WEST, "east", lab.west_config), (EAST, "west", lab.east_config)):
        node = getattr(lab, other)
        if not node.endpoint.ike_sas:
            continue
        before = lab.nodes[end]
        lab.nodes[end] = make_node([config], 91, SETTINGS, token_secret=SECRET)
        node.endpoint.check_liveness(node.endpoint.ike_sas[0].spi, lab.now)
        lab.settle()
        assert node.of(IkeDown)[-1].reason is DownReason.PEER_CRASHED
        lab.nodes[end] = before


def test_a_token_that_comes_later_under_protection_counts_too(monkeypatch) -> None:
    """RFC 6290 4.4."""
    lab = lab_of()
    later = token(b"0123456789abcdef")
    monkeypatch.setattr(CheckLiveness, "build", lambda *_: [later])
    lab.east.endpoint.check_liveness(lab.east.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    claim(lab, later)
    assert is_lost(lab)


def test_a_peer_cannot_make_us_keep_more_than_four(monkeypatch) -> None:
    lab = lab_of()
    first = token(token_of(lab.west.endpoint.ike_sas[0]))
    for number in range(4):
        notify = token(bytes([number]) * 128)
        monkeypatch.setattr(CheckLiveness, "build", lambda *_, notify=notify: [notify])
        lab.east.endpoint.check_liveness(lab.east.endpoint.ike_sas[0].spi, lab.now)
        lab.settle()
    claim(lab, first)
    assert lab.west.of(IkeDown) == [], "the first has given way"


@pytest.mark.parametrize(
    "notifies",
    [
        [token(bytes(15))],
        [token(bytes(129))],
        [token(bytes(32)), token(bytes(32))],
        [Notify(KIND, bytes(32), ProtocolId.ESP, bytes(4))],
    ],
    ids=["short", "long", "twice", "spi"],
)
def test_a_malformed_token_in_ike_auth_is_ignored_and_recorded(monkeypatch, notifies) -> None:
    monkeypatch.setattr(crash_detection, "tell", lambda _: notifies)
    lab = lab_of()
    assert len(lab.east.endpoint.ike_sas) == 1
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1
    for notify in notifies:
        claim(lab, notify)
    assert lab.west.of(IkeDown) == []


def test_tokens_and_the_secret_are_in_no_trace() -> None:
    lab = lab_of()
    crash(lab)
    known = token_of(lab.west.endpoint.ike_sas[0])
    ask(lab)
    text = repr((lab.west.traces, lab.east.traces, lab.west.events, lab.west.endpoint._env))
    assert known.hex() not in text
    assert repr(known)[2:-1] not in text
    assert repr(SECRET)[2:-1] not in text
