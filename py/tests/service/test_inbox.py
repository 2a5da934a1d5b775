"""Who floods fills the queue of his class only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ike_lab import EAST, WEST, Lab, path_between, toward

from p4esp.ike.config import Settings
from p4esp.ike.transport import Ports
from p4esp.service.inbox import LIMITS, Claim, Inbox

PATH, NAT_PATH = path_between(EAST, WEST), path_between(EAST, WEST, 4500)
LIVE = b"live-spi"


@pytest.fixture
def inbox():
    return Inbox(Ports(), lambda own_spi: own_spi == LIVE)


def message(spi_i=b"stranger", spi_r=bytes(8), first=33, flags=0x08):
    return spi_i + spi_r + bytes([first, 0x20, 34, flags]) + bytes(8)


@pytest.mark.parametrize(
    ("data", "claim"),
    [
        (message(), Claim.OPENING),
        (message(spi_i=bytes(7) + b"1"), Claim.OPENING),
        (message(first=41), Claim.COOKIE),
        (message(spi_r=LIVE), Claim.IKE_SA),
        (message(spi_i=LIVE, spi_r=b"the peer", flags=0x20), Claim.IKE_SA),
        (message(spi_i=LIVE, spi_r=b"the peer"), Claim.OTHER),
        (message(spi_r=b"made up!"), Claim.OTHER),
        (message()[:27], Claim.OTHER),
    ],
)
def test_what_a_datagram_claims_to_be(inbox, data, claim):
    assert inbox.claim_of(data, PATH) is claim
    assert inbox.claim_of(bytes(4) + data, NAT_PATH) is claim


def test_esp_and_keepalives_come_last(inbox):
    for data in (b"\xff", b"spi1" + bytes(60)):
        assert inbox.claim_of(data, NAT_PATH) is Claim.OTHER


def claims_of_a_handshake(settings):
    lab = Lab(settings=settings)
    inbox = Inbox(Ports(), lab.east.endpoint.is_live)
    claims = []

    def note(datagram):
        if toward(EAST, datagram):
            claims.append(inbox.claim_of(datagram.data, PATH))
        return [0.01]

    lab.fate = note
    lab.connect()
    return claims


def test_a_handshake_climbs_in_rank():
    assert claims_of_a_handshake(Settings(cookie_threshold=0)) == [
        Claim.OPENING,
        Claim.COOKIE,
        Claim.IKE_SA,
    ]


@given(st.binary(max_size=60), st.sampled_from([PATH, NAT_PATH]))
def test_any_octets_have_a_claim(data, path):
    assert Inbox(Ports(), lambda _: False).claim_of(data, path) in Claim


def test_an_ike_sa_overtakes_a_flood_and_the_oldest_openings_are_lost(inbox):
    flood = [message(number.to_bytes(8, "big")) for number in range(1, 1001)]
    for data in flood:
        inbox.put(data, PATH)
    inbox.put(message(spi_r=LIVE), PATH)
    assert inbox.take() == (message(spi_r=LIVE), PATH)
    assert inbox.take() == (flood[-LIMITS[Claim.OPENING]], PATH)
    assert inbox.lost == {Claim.OPENING: 1000 - LIMITS[Claim.OPENING]}


@pytest.mark.parametrize(
    ("claim", "data"),
    [
        (Claim.IKE_SA, message(spi_r=LIVE)),
        (Claim.COOKIE, message(first=41)),
        (Claim.OPENING, message()),
        (Claim.OTHER, b""),
    ],
)
def test_each_queue_is_bounded(inbox, claim, data):
    for _ in range(LIMITS[claim] + 3):
        inbox.put(data, PATH)
    taken = 0
    while inbox.take():
        taken += 1
    assert (taken, inbox.lost) == (LIMITS[claim], {claim: 3})
