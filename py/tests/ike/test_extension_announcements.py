"""Extensions that both ends announce by an empty notify: what counts, and what is left out."""

from dataclasses import replace

import pytest
from ike_lab import STEADY, Lab, east_config, west_config

from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.drops import Drop
from p4esp.ike.events import IkeEstablished
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions.experimental import ExperimentalNumbers
from p4esp.ike.extensions.mutual import MutualNotify

KIND = NotifyType.CHILD_SA_PFS_INFO_SUPPORTED
WISH = ExtensionWishes(pfs_info=True)
SETTINGS = Settings(retransmission=STEADY, experimental=True)


def announcer(exchange=ExchangeType.IKE_SA_INIT, **options):
    return MutualNotify(KIND, exchange, lambda wishes: wishes.pfs_info, **options)


def lab_of(west=WISH, east=WISH, *, settings=SETTINGS, extensions=None):
    ends = west_config(extensions=west), east_config(extensions=east)
    chosen = (ExperimentalNumbers(), announcer(private=True)) if extensions is None else extensions
    lab = Lab(*ends, settings=settings, extensions=chosen)
    lab.connect()
    return lab


def agreed(lab):
    """What the two ends think of it."""
    return tuple(
        KIND.name in node.one(IkeEstablished).ike.extensions for node in (lab.west, lab.east)
    )


@pytest.mark.parametrize("exchange", [ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH])
def test_what_both_ends_announce_is_agreed_on(exchange) -> None:
    lab = lab_of(extensions=(ExperimentalNumbers(), announcer(exchange, private=True)))
    assert KIND.name in lab.west.endpoint.ike_sas[0].extensions
    assert KIND.name in lab.east.endpoint.ike_sas[0].extensions


@pytest.mark.parametrize(
    ("west", "east"), [(WISH, ExtensionWishes()), (ExtensionWishes(), WISH)], ids=["west", "east"]
)
def test_one_end_alone_agrees_on_nothing(west, east) -> None:
    assert agreed(lab_of(west, east)) == (False, False)


def test_a_private_number_means_nothing_without_the_switch() -> None:
    off = replace(SETTINGS, experimental=False)
    assert agreed(lab_of(settings=off)) == (False, False)


def test_a_private_number_means_nothing_without_our_vendor_id() -> None:
    lab = lab_of(extensions=(announcer(private=True),))
    assert agreed(lab) == (False, False)


@pytest.mark.parametrize(
    "notifies",
    [
        [Notify(KIND, b"\0")],
        [Notify(KIND), Notify(KIND)],
        [Notify(KIND, protocol=ProtocolId.ESP, spi=bytes(4))],
    ],
    ids=["data", "twice", "spi"],
)
def test_a_malformed_announcement_counts_as_none_and_is_recorded(monkeypatch, notifies) -> None:
    monkeypatch.setattr(MutualNotify, "additions", lambda *_, **__: notifies)
    lab = lab_of()
    assert agreed(lab) == (False, False)
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] >= 1


def test_without_an_spi_the_protocol_of_a_notify_does_not_count(monkeypatch) -> None:
    """RFC 7296 3.10."""
    said = MutualNotify.additions

    def with_protocol(*args, **options):
        return [replace(notify, protocol=ProtocolId.ESP) for notify in said(*args, **options)]

    monkeypatch.setattr(MutualNotify, "additions", with_protocol)
    assert KIND.name in lab_of().west.endpoint.ike_sas[0].extensions


def test_an_announcement_in_another_exchange_is_not_looked_at() -> None:
    class Elsewhere:
        def received(self, sa, message):
            pass

        def additions(self, sa, exchange, *, response):
            return [Notify(KIND)] if exchange is ExchangeType.IKE_AUTH else []

    lab = Lab(
        west_config(extensions=ExtensionWishes()),
        east_config(extensions=WISH),
        settings=SETTINGS,
        extensions=(ExperimentalNumbers(), announcer(private=True), Elsewhere()),
    )
    lab.connect()
    assert agreed(lab) == (False, False)


def test_a_responder_may_say_it_to_who_has_not_asked() -> None:
    chosen = (announcer(unasked=True),)
    lab = lab_of(ExtensionWishes(), WISH, extensions=chosen)
    assert agreed(lab) == (False, False)
    assert any(KIND.name in str(record.payloads) for record in lab.west.traces)


def test_a_rekeyed_ike_sa_inherits_what_was_agreed_on() -> None:
    lab = lab_of()
    lab.west.endpoint.rekey_ike(lab.west.endpoint.ike_sas[0].spi, lab.now)
    lab.settle()
    assert KIND.name in lab.west.endpoint.ike_sas[0].extensions
