"""How large packets arrive whole, told over IKE (digest 9.7, draft-liu-ipsecme-ikev2-mtu-dect)."""

from dataclasses import replace

import pytest
from ike_lab import STEADY, Lab, east_config, west_config
from ike_ledger import ask, ike_of, live

from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Nonce, Notify, VendorId
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.errors import CommandError
from p4esp.ike.events import AuthenticationFailed, PathMtuTold
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions import mtu_detection
from p4esp.ike.extensions.mtu_detection import INNER_MOST
from p4esp.ike.extensions.mutual import MutualNotify
from p4esp.ike.tasks.informational import InformationalResponder

OUTSIDE, INSIDE = NotifyType.LINK_MAX_ATOMIC_PACKET, NotifyType.PACKET_TOO_BIG
WISH, NONE = ExtensionWishes(mtu_detection=True), ExtensionWishes()
OTHER = ExtensionWishes(delete_reason=True)
SETTINGS = Settings(retransmission=STEADY, experimental=True)
INFORMATIONAL = ExchangeType.INFORMATIONAL
MTU_1300 = (1300).to_bytes(4, "big")


def lab_of(west=WISH, east=WISH, *, settings=SETTINGS, connect=True):
    lab = Lab(west_config(extensions=west), east_config(extensions=east), settings=settings)
    if connect:
        lab.connect()
    return lab


def agreed(lab):
    """What the two ends think of it."""
    ends = (node.endpoint.ike_sas[0].extensions for node in (lab.west, lab.east))
    return tuple(OUTSIDE.name in names for names in ends)


def tell(lab, node, mtu, inner=None):
    """A node tells the other about its child SA."""
    ((spi, _),) = live(node).items()
    node.endpoint.tell_mtu(spi, mtu, inner, lab.now)
    lab.settle()


def told(node):
    return [(one.mtu, one.inside, one.inner) for one in node.of(PathMtuTold)]


def ignored(node):
    return [trace.reason for trace in node.traces if trace.drop is Drop.IGNORED_NOTIFY]


def report(lab, data=MTU_1300, kind=OUTSIDE, protocol=ProtocolId.ESP, spi=None):
    """One of west's about its only child SA."""
    ((own, _),) = live(lab.west).items()
    return Notify(kind, data, protocol=protocol, spi=own.to_bytes(4, "big") if spi is None else spi)


# Support


def test_both_ends_say_so_in_ike_auth():
    assert agreed(lab_of()) == (True, True)


@pytest.mark.parametrize("wishes", [(WISH, NONE), (NONE, WISH), (WISH, OTHER), (OTHER, WISH)])
def test_where_one_end_does_not_nothing_is_sent(wishes):
    lab = lab_of(*wishes)
    assert agreed(lab) == (False, False)
    sent = len(lab.wire)
    for node in (lab.west, lab.east):
        with pytest.raises(CommandError, match="have not agreed on mtu_detection"):
            tell(lab, node, 1300)
    assert len(lab.wire) == sent


def test_without_experimental_the_number_means_nothing():
    assert agreed(lab_of(settings=replace(SETTINGS, experimental=False))) == (False, False)


@pytest.mark.parametrize(
    "notifies",
    [
        [Notify(OUTSIDE, bytes(4))],
        [Notify(OUTSIDE)] * 2,
        [Notify(OUTSIDE, protocol=3, spi=bytes(4))],
    ],
    ids=["data", "twice", "protocol"],
)
def test_a_malformed_announcement_counts_as_none_and_is_audited(monkeypatch, notifies):
    def additions(self, sa, exchange, *, response):
        return notifies if exchange is ExchangeType.IKE_AUTH else []

    monkeypatch.setattr(MutualNotify, "additions", additions)
    lab = lab_of()
    assert agreed(lab) == (False, False)
    assert any("LINK_MAX_ATOMIC_PACKET" in one for one in ignored(lab.east))


def test_an_attacker_that_takes_our_vendor_id_out_is_found():
    """The announcements themselves are encrypted."""
    lab = lab_of(connect=False)
    deliver = lab.deliver

    def without_vendor_ids(datagram):
        message = parse_message(datagram.data)
        if message.header.exchange == ExchangeType.IKE_SA_INIT:
            kept = [one for one in message.clear.payloads if not isinstance(one, VendorId)]
            datagram = replace(datagram, data=encode_clear(message.header, kept))
        deliver(datagram)

    lab.deliver = without_vendor_ids
    lab.connect()
    assert lab.east.of(AuthenticationFailed) or lab.west.of(AuthenticationFailed)
    assert not live(lab.west)


# Reports


@pytest.mark.parametrize("ends", [("west", "east"), ("east", "west")])
def test_each_end_may_tell_the_other(ends):
    lab = lab_of()
    here, there = (getattr(lab, name) for name in ends)
    tell(lab, here, 1300)
    lab.run(10)
    tell(lab, here, 1280, bytes(range(100)))
    assert told(there) == [(1300, False, b""), (1280, True, bytes(range(INNER_MOST)))]
    ((_, child),) = live(there).items()
    assert there.of(PathMtuTold)[0].child == child
    assert told(here) == []


def test_the_report_is_laid_out_as_the_digest_says(monkeypatch):
    lab, seen = lab_of(), []
    take = mtu_detection._take
    monkeypatch.setattr(
        mtu_detection,
        "_take",
        lambda sa, message, reports: seen.extend(reports) or take(sa, message, reports),
    )
    ((spi, _),) = live(lab.west).items()
    tell(lab, lab.west, 1300)
    body = b"\x03\x04" + (52030).to_bytes(2, "big") + spi.to_bytes(4, "big") + bytes((0, 0, 5, 20))
    assert [one.encode() for one in seen] == [body]


def test_two_reports_within_ten_seconds_are_one():
    lab = lab_of()
    tell(lab, lab.west, 1300)
    for inner in (None, b""):
        with pytest.raises(CommandError, match="the peer was told 0 s ago"):
            tell(lab, lab.west, 1200, inner)
    lab.run(9.8)
    with pytest.raises(CommandError, match="the peer was told 10 s ago"):
        tell(lab, lab.west, 1200)
    lab.run(0.2)
    tell(lab, lab.west, 1200)
    assert [mtu for mtu, _, _ in told(lab.east)] == [1300, 1200]


def test_it_goes_on_after_rekeys_of_both_kinds():
    lab = lab_of()
    lab.west.endpoint.rekey_ike(ike_of(lab.west), lab.now)
    lab.settle()
    assert agreed(lab) == (True, True)
    lab.east.endpoint.rekey_child(next(iter(live(lab.east))), lab.now)
    lab.settle()
    tell(lab, lab.west, 1300)
    tell(lab, lab.east, 1400)
    assert (told(lab.east), told(lab.west)) == ([(1300, False, b"")], [(1400, False, b"")])


def test_of_an_sa_that_is_gone_nothing_is_told():
    lab = lab_of()
    with pytest.raises(CommandError):
        lab.west.endpoint.tell_mtu(0xDEAD, 1300, None, lab.now)


# Bad input: ignored and audited, and the exchange goes on


MALFORMED = {
    "no data": ({"data": b""}, "of 0 octets; accepted: 4 to 4"),
    "short": ({"data": bytes(3)}, "of 3 octets"),
    "long": ({"data": bytes(5)}, "of 5 octets"),
    "much inside": ({"kind": INSIDE, "data": bytes(69)}, "of 69 octets; accepted: 4 to 68"),
    "no SPI": ({"protocol": 0, "spi": b""}, "with 0 octets of SPI; accepted: 4"),
    "long SPI": ({"spi": bytes(8)}, "with 8 octets of SPI"),
    "protocol": ({"protocol": ProtocolId.AH}, "of protocol 2; accepted: 3"),
    "unknown SPI": ({"spi": b"\xde\xad\xbe\xef"}, "of SPI deadbeef, which no child SA sends to"),
}


@pytest.mark.parametrize(("changed", "said"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_report_is_ignored_and_audited(changed, said):
    lab = lab_of()
    answer = ask(lab, INFORMATIONAL, report(lab, **changed))
    assert answer is not None
    assert answer.error() is None
    assert told(lab.east) == []
    (reason,) = ignored(lab.east)
    assert said in reason


def test_of_two_reports_about_one_sa_neither_counts():
    lab = lab_of()
    ask(lab, INFORMATIONAL, report(lab), report(lab, (1400).to_bytes(4, "big")))
    assert told(lab.east) == []
    assert len(ignored(lab.east)) == 2


def test_one_report_of_each_kind_counts():
    lab = lab_of()
    ask(lab, INFORMATIONAL, report(lab), report(lab, kind=INSIDE))
    assert told(lab.east) == [(1300, False, b""), (1300, True, b"")]


def test_a_report_in_another_exchange_is_ignored_and_audited():
    lab = lab_of()
    ask(lab, ExchangeType.CREATE_CHILD_SA, report(lab), Nonce(bytes(32)))
    assert told(lab.east) == []
    assert any("outside of an INFORMATIONAL request" in one for one in ignored(lab.east))


def test_a_report_in_a_response_is_ignored_and_audited(monkeypatch):
    lab = lab_of()
    said = report(lab, spi=next(iter(live(lab.east))).to_bytes(4, "big"))
    monkeypatch.setattr(InformationalResponder, "build", lambda *_: [said])
    ask(lab, INFORMATIONAL)
    assert told(lab.west) == []
    assert any("outside of an INFORMATIONAL request" in one for one in ignored(lab.west))


def test_a_report_that_is_not_protected_is_never_looked_at():
    lab = lab_of()
    _, first = lab.wire[2]
    header = replace(parse_message(first.data).header, exchange=INFORMATIONAL, message_id=2)
    forged = replace(first, data=encode_clear(header, [report(lab)]))
    lab.deliver(forged)
    assert told(lab.east) == []
    assert lab.east.endpoint.drops[Drop.NOT_PROTECTED] == 1


def test_a_replayed_report_counts_once():
    lab = lab_of()
    tell(lab, lab.west, 1300)
    _, request = lab.wire[-2]
    lab.deliver(request)
    lab.settle()
    assert len(told(lab.east)) == 1


def test_without_agreement_a_report_says_nothing():
    lab = lab_of(WISH, OTHER)
    ask(lab, INFORMATIONAL, report(lab))
    assert told(lab.east) == []
