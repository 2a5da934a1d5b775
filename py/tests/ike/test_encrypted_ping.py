"""ENCRYPTED_PING_SUPPORTED (draft-antony-ipsecme-encrypted-esp-ping): said by both ends in
IKE_AUTH, under a private number.
"""

from dataclasses import replace

import pytest
from ike_lab import STEADY, Lab, east_config, west_config
from ike_ledger import ike_of
from ike_meddler import malformed

from p4esp.ike.codec.payloads import Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.drops import Drop
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.extensions.mutual import MutualNotify

KIND = NotifyType.ENCRYPTED_PING_SUPPORTED
WISH, NONE = ExtensionWishes(encrypted_ping=True), ExtensionWishes(pfs_info=True)
SETTINGS = Settings(retransmission=STEADY, experimental=True)


def lab_of(west=WISH, east=WISH, settings=SETTINGS):
    lab = Lab(west_config(extensions=west), east_config(extensions=east), settings=settings)
    lab.connect()
    return lab


def agreed(lab):
    infos = [node.endpoint.ike_sas[0] for node in (lab.west, lab.east)]
    return [KIND.name in info.extensions for info in infos]


def test_both_ends_say_it_in_ike_auth_and_rekeys_keep_it():
    lab = lab_of()
    assert agreed(lab) == [True, True]
    messages = {trace.message for trace in lab.east.traces if KIND.name in str(trace.payloads)}
    assert messages == {"IKE_AUTH request 1", "IKE_AUTH response 1"}
    lab.west.endpoint.rekey_ike(ike_of(lab.west), lab.now)
    lab.settle()
    assert agreed(lab) == [True, True]


@pytest.mark.parametrize(("west", "east"), [(WISH, NONE), (NONE, WISH)], ids=["west", "east"])
def test_one_end_alone_agrees_on_nothing(west, east):
    lab = lab_of(west, east)
    assert agreed(lab) == [False, False]
    assert len(lab.east.endpoint.ike_sas) == 1


def test_without_experimental_nothing_is_said():
    lab = lab_of(settings=replace(SETTINGS, experimental=False))
    assert agreed(lab) == [False, False]
    assert not any(KIND.name in str(trace.payloads) for trace in lab.east.traces)


class Elsewhere:
    """Says it in an exchange in which it means nothing."""

    def __init__(self, exchange):
        self._exchange = exchange

    def received(self, sa, message):
        pass

    def additions(self, sa, exchange, *, response):
        return [Notify(KIND)] if exchange is self._exchange else []


@pytest.mark.parametrize("exchange", [ExchangeType.IKE_SA_INIT, ExchangeType.CREATE_CHILD_SA])
def test_in_another_exchange_it_says_nothing(monkeypatch, exchange):
    monkeypatch.setattr(MutualNotify, "additions", Elsewhere(exchange).additions)
    lab = lab_of()
    lab.west.endpoint.create_child(ike_of(lab.west), "net", lab.now)
    lab.settle()
    assert agreed(lab) == [False, False]


@pytest.mark.parametrize(
    "notifies",
    malformed(KIND).values(),
    ids=malformed(KIND),
)
def test_a_malformed_one_says_nothing_and_is_recorded(monkeypatch, notifies):
    real = MutualNotify.additions

    def additions(self, sa, exchange, *, response):
        said = real(self, sa, exchange, response=response)
        return notifies if said == [Notify(KIND)] else said

    monkeypatch.setattr(MutualNotify, "additions", additions)
    lab = lab_of()
    assert not any(agreed(lab))
    assert lab.east.endpoint.drops[Drop.IGNORED_NOTIFY] == 1
