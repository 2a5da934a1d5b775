"""What a resumed IKE SA has of other extensions: announced again, from the ticket, or not."""

from dataclasses import fields, replace

import pytest
from ike_lab import EAST, STEADY, WEST, Lab, east_config, toward, west_config

from p4esp.ike.codec.message import encode_clear, parse_message
from p4esp.ike.codec.payloads import Nonce, Notify
from p4esp.ike.config import Settings
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.events import ChildRekeyed, DownReason, IkeDown, IkeEstablished, IkeRekeyed
from p4esp.ike.extension_wishes import ExtensionWishes
from p4esp.ike.proposals import Template

EVERYTHING = ExtensionWishes(
    **{field.name: True for field in fields(ExtensionWishes) if field.name != "delete_downtime"}
)
SETTINGS = Settings(retransmission=STEADY, experimental=True)
NOT_AGAIN = {"CHILD_SA_PFS_INFO_SUPPORTED", "COOKIE_EXCLUDED", "SUPPORTED_AUTH_METHODS"}
"""They are for IKE_SA_INIT, for AUTH by an identity, and for a child SA of an IKE SA so made."""


def lose(lab) -> None:
    """West hears nothing more of east."""
    (ike,) = lab.west.endpoint.ike_sas
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(ike.spi, lab.now)
    lab.run(300)
    lab.fate = lambda _: [0.01]
    lab.wire.clear()


@pytest.fixture
def lab() -> Lab:
    """An IKE SA with all extensions that was lost and is resumed."""
    wishes = {"extensions": EVERYTHING}
    made = Lab(
        west_config(**wishes), east_config(**wishes), settings=SETTINGS, token_secret=bytes(32)
    )
    made.connect()
    lose(made)
    made.connect()
    headers = [parse_message(datagram.data).header for _, datagram in made.wire]
    assert headers[0].exchange == ExchangeType.IKE_SESSION_RESUME
    assert all(node.of(IkeEstablished)[-1].ike.resumed for node in (made.west, made.east))
    return made


def test_extensions_are_agreed_on_again_or_carried_over(lab: Lab) -> None:
    first, second = (set(up.ike.extensions) for up in lab.west.of(IkeEstablished))
    assert first - second <= NOT_AGAIN
    assert second <= first
    assert "IKE_SA_INIT_FULL_TRANSCRIPT_AUTH" in second


def test_its_child_sa_and_itself_are_rekeyed(lab: Lab) -> None:
    for node in (lab.west, lab.east):
        entries = node.endpoint._entries.values()
        (child,) = (child for entry in entries for child in entry.sa.children)
        node.endpoint.rekey_child(child.params.spi_in, lab.now)
        lab.settle()
        node.endpoint.rekey_ike(node.endpoint.ike_sas[0].spi, lab.now)
        lab.settle()
    for node in (lab.west, lab.east):
        assert len(node.of(ChildRekeyed)) == len(node.of(IkeRekeyed)) == 2


def test_it_is_lost_and_resumed_once_more(lab: Lab) -> None:
    lab.run(1)
    lose(lab)
    lab.connect()
    asked = [d for _, d in lab.wire if toward(EAST, d)]
    assert parse_message(asked[0].data).header.exchange == ExchangeType.IKE_SESSION_RESUME
    assert lab.west.of(IkeEstablished)[-1].ike.resumed
    assert len(lab.east.endpoint.ike_sas) == 1
    assert len(lab.west.of(IkeDown)) == 2


def test_who_still_has_another_ike_sa_does_not_have_it_dropped() -> None:
    """INITIAL_CONTACT is for who has none (RFC 7296 2.4)."""
    wishes = {"extensions": EVERYTHING}
    lab = Lab(west_config(**wishes), east_config(**wishes), settings=SETTINGS)
    lab.connect()
    lab.connect()
    lost, other = lab.west.endpoint.ike_sas
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(lost.spi, lab.now)
    lab.run(300)
    lab.fate = lambda _: [0.01]
    lab.connect()
    assert lab.west.of(IkeEstablished)[-1].ike.resumed
    down = lab.east.one(IkeDown)
    assert (down.ike.spi, down.reason) == (lost.peer_spi, DownReason.RESUMED)
    assert other.peer_spi in {ike.spi for ike in lab.east.endpoint.ike_sas}


def test_the_ike_sa_that_was_resumed_does_not_count_beside_the_new_one() -> None:
    """It is not deleted, which would take a word, and no other one goes in its place."""
    wishes = {"extensions": ExtensionWishes(resumption=True), "initial_contact": False}
    settings = Settings(retransmission=STEADY, max_ike_sas_per_peer=1)
    lab = Lab(west_config(**wishes), east_config(**wishes), settings=settings)
    lab.connect()
    lose(lab)
    lab.connect()
    assert lab.east.one(IkeDown).reason is DownReason.RESUMED
    exchanges = [parse_message(datagram.data).header.exchange for _, datagram in lab.wire]
    assert exchanges == [ExchangeType.IKE_SESSION_RESUME] * 2 + [ExchangeType.IKE_AUTH] * 2


def test_a_forged_answer_that_is_no_good_leaves_nothing_behind() -> None:
    """Its nonce is too short for the PRF: what begins in full after that has no SPI of its."""
    wishes = {"extensions": ExtensionWishes(resumption=True)}
    wishes["proposals"] = (Template.ike("aes256gcm16-prfsha512-x25519"),)
    settings = Settings(retransmission=STEADY)
    lab = Lab(west_config(**wishes), east_config(**wishes), settings=settings)
    lab.connect()
    lose(lab)
    lab.west.endpoint.initiate(lab.west_config, lab.now, child="net")
    lab._collect()
    ((_, request),) = lab.wire
    asked = parse_message(request.data).header
    answer = replace(asked, initiator=False, response=True)
    forged = encode_clear(replace(answer, spi_r=b"forgery!"), [Nonce(bytes(16))])
    refusal = encode_clear(answer, [Notify(NotifyType.TICKET_NACK)])
    for data in (forged, refusal):
        lab.deliver(replace(request, data=data, path=request.path.between(EAST, WEST)))
    lab.settle()
    assert len(lab.west.of(IkeEstablished)) == 2
