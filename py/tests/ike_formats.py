"""Two IKE endpoints that agree on formats of ESP, and offers of a test's own making."""

from dataclasses import replace

from ike_lab import (
    EAST_NET,
    STEADY,
    WEST_NET,
    Lab,
    child,
    east_config,
    west_config,
)
from ike_ledger import ask, assert_mirrored, live

from p4esp.ike.codec.message import parse_message
from p4esp.ike.codec.payloads import Nonce, Notify, VendorId
from p4esp.ike.codec.proposal import Proposal, SecurityAssociation
from p4esp.ike.codec.selectors import TsInitiator, TsResponder
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, ProtocolId
from p4esp.ike.proposals import Template
from p4esp.ipsec.sa import Mode

SETTINGS = Settings(retransmission=STEADY, experimental=True)
IMPLICIT = (Template.esp("aes256gcm16iiv-noesn"),)
OFFERED = b"\xc9\0\0\xf1"
"""The SPI that `offer` names."""


def lab_of(
    west,
    east=None,
    *,
    proposals=IMPLICIT,
    connect=True,
    mode=Mode.TUNNEL,
    settings=SETTINGS,
    **options,
):
    """West asks; without `east` both ends wish for the same."""
    east = west if east is None else east
    same = {"proposals": proposals, "mode": mode}
    nets = (WEST_NET, EAST_NET) if mode is Mode.TUNNEL else ("192.0.2.0/24",) * 2
    ours = replace(child(*nets), format=west, **same)
    theirs = replace(child(*nets[::-1]), format=east, **same)
    ends = west_config(children=(ours,), **options), east_config(children=(theirs,))
    lab = Lab(*ends, settings=settings)
    if connect:
        lab.connect()
    return lab


def layouts(lab):
    """What the two ends have, each of one child."""
    assert_mirrored(lab)
    (west,), (east,) = live(lab.west).values(), live(lab.east).values()
    return west.layout, east.layout


def required(wish):
    return replace(wish, required=True)


def vendor_ids(lab):
    return [parse_message(sent.data).clear.every(VendorId) for _, sent in lab.wire[:2]]


def offer(lab, *more, proposals=()):
    """A CREATE_CHILD_SA request of west's with notifies of the test's choosing, and perhaps
    proposals; else one of ESP.
    """
    config = lab.west_config.children[0]
    esp = Proposal(1, ProtocolId.ESP, OFFERED, config.proposals[0].transforms)
    selectors = TsInitiator(config.local_ts), TsResponder(config.remote_ts)
    association = SecurityAssociation(tuple(proposals) or (esp,))
    kind = ExchangeType.CREATE_CHILD_SA
    return ask(lab, kind, *more, association, Nonce(bytes(32)), *selectors)


def formats_in(answer):
    """The notifies of an answer that are not errors."""
    return [notify for notify in answer.every(Notify) if not notify.is_error]


def made_by_offer(lab):
    """The layout of the child that `offer` made at east."""
    (made,) = [
        sa.layout for sa in live(lab.east).values() if sa.spi_out == int.from_bytes(OFFERED, "big")
    ]
    return made
