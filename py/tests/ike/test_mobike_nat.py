"""MOBIKE and NATs on the way (RFC 4555 3.8, 3.9)."""

from ipaddress import ip_address

import pytest
from ike_lab import EAST, WEST
from mobile_lab import (
    AWAY,
    COOKIE2,
    HOME,
    UPDATE,
    WEST2,
    MobileLab,
    Nat,
    forge,
    is_liveness,
    no_nats,
    outer,
)

from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildUp,
    IkeEstablished,
    PathChanged,
)
from p4esp.ike.extensions.nat_detection import NatDetection
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ike.nat import NatStatus
from p4esp.ike.path import Datagram, Path, UdpAddress
from p4esp.ipsec.sa import UdpEncapsulation


@pytest.fixture
def lab():
    lab = MobileLab()
    lab.connect()
    return lab


def test_both_announce_it_and_the_initiator_goes_to_4500_without_any_nat(lab):
    assert lab.ike(lab.west).path == HOME
    assert lab.ike(lab.east).path == Path(HOME.remote, HOME.local)
    for node in (lab.west, lab.east):
        names = [name for record in node.traces for name in record.payloads]
        assert names.count("N(MOBIKE_SUPPORTED)") == 2
        assert node.one(ChildUp).child.encapsulation is None


def test_with_mobike_a_peer_behind_a_nat_is_not_followed_either():
    lab = MobileLab()
    Nat(lab)
    lab.connect()
    before = lab.ike(lab.east).path
    child = lab.east.one(ChildUp).child
    with pytest.raises(CommandError, match="until it says otherwise"):
        lab.east.endpoint.peer_moved(child.spi_in, UdpAddress(Nat.public, 61001), lab.now)
    assert not child.follows
    lab.fate = lambda _: []
    lab.west.endpoint.check_liveness(lab.ike(lab.west).spi, lab.now)
    lab.settle()
    (request,) = [d for _, d in lab.wire if is_liveness(d)]
    elsewhere = Path(before.local, UdpAddress(Nat.public, 62000))
    lab.east.endpoint.receive_datagram(request.data, elsewhere, lab.now)
    lab.settle()
    assert lab.wire[-1][1].path.remote == elsewhere.remote
    assert lab.ike(lab.east).path == before


class Announce:
    """MOBIKE_SUPPORTED from a peer that should not send it."""

    def received(self, sa, message):
        pass

    def additions(self, sa, exchange, *, response):
        wanted = exchange == ExchangeType.IKE_AUTH and not response
        return [Notify(NotifyType.MOBIKE_SUPPORTED)] if wanted else []


def test_without_nat_detection_mobike_is_neither_offered_nor_taken():
    """It could not tell whether a NAT is on a new path."""
    rest = [one for one in STANDARD if not isinstance(one, NatDetection)]
    for extensions, offers in ((rest, 0), ([*rest, Announce()], 1)):
        lab = MobileLab(extensions=extensions)
        lab.connect()
        names = [name for record in lab.east.traces for name in record.payloads]
        assert names.count("N(MOBIKE_SUPPORTED)") == offers
        with pytest.raises(CommandError, match="not agreed"):
            lab.west.endpoint.update_addresses(lab.ike(lab.west).spi, AWAY, lab.now)


def test_nat_detection_and_cookie2_are_answered_in_any_informational_request(lab):
    cookie = Notify(COOKIE2, bytes(range(8)))
    hashes = [Notify(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)),
              Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, bytes(20))]  # fmt: skip
    answer, _ = forge(lab, [cookie, *hashes], HOME)
    assert answer.notify(COOKIE2) == cookie
    assert answer.notify(NotifyType.NAT_DETECTION_SOURCE_IP)
    assert answer.notify(NotifyType.NAT_DETECTION_DESTINATION_IP)
    assert lab.ike(lab.east).nat == NatStatus(local=False, remote=False)


def test_a_nat_on_the_new_path_puts_esp_into_udp(lab):
    public = UdpAddress(ip_address("203.0.113.9"), 61000)
    honest = lab.deliver

    def through_nat(datagram):
        path = datagram.path
        if path.local.host == WEST2:
            path = Path(public, path.remote)
        if path.remote == public:
            path = Path(path.local, UdpAddress(WEST2, 4500))
        honest(Datagram(datagram.data, path))

    lab.deliver = through_nat
    lab.move()
    assert outer(lab.west) == (WEST2, EAST, UdpEncapsulation(4500, 4500))
    assert outer(lab.east) == (EAST, public.host, UdpEncapsulation(4500, 61000))
    assert lab.ike(lab.west).nat == NatStatus(local=True, remote=False)
    lab.deliver = honest
    lab.move(HOME)
    assert outer(lab.west) == (WEST, EAST, None)
    assert outer(lab.east) == (EAST, WEST, None)


@pytest.mark.parametrize("moves", [[], [AWAY]], ids=["at once", "after a move"])
def test_a_changed_mapping_is_noticed_by_the_mover_who_tells_the_responder(moves):
    """RFC 4555 3.8: the liveness check of who is behind a NAT asks how it is seen."""
    lab = MobileLab()
    nat = Nat(lab)
    ike = lab.connect()
    for path in moves:
        lab.move(path)
    for _ in range(2):
        lab.west.endpoint.check_liveness(ike, lab.now)
        lab.settle()
    assert outer(lab.east) == (EAST, nat.public, UdpEncapsulation(4500, 61000))
    assert lab.east.of(PathChanged) == []
    nat.port = 62000
    lab.west.endpoint.check_liveness(ike, lab.now)
    lab.settle()
    assert outer(lab.east) == (EAST, nat.public, UdpEncapsulation(4500, 62000))
    assert len(lab.east.of(PathChanged)) == 1


def test_no_nats_allowed_holds_an_update_to_the_addresses_it_names(lab):
    answer, _ = forge(lab, [Notify(UPDATE), no_nats(HOME)], AWAY)
    assert answer.error().type == NotifyType.UNEXPECTED_NAT_DETECTED
    assert lab.ike(lab.east).path.remote.host == WEST
    answer, _ = forge(lab, [Notify(UPDATE), no_nats(AWAY)], AWAY, message_id=3)
    assert answer.error() is None
    assert lab.ike(lab.east).path.remote.host == WEST2


class Forbid:
    """NO_NATS_ALLOWED in IKE_AUTH."""

    def __init__(self, path):
        self._path = path

    def received(self, sa, message):
        pass

    def additions(self, sa, exchange, *, response):
        wanted = exchange == ExchangeType.IKE_AUTH and not response
        return [no_nats(self._path)] if wanted else []


def test_no_nats_allowed_in_ike_auth_is_checked_before_there_is_an_ike_sa():
    from p4esp.ike.extensions.standard import STANDARD

    for path, established in ((HOME, 1), (AWAY, 0)):
        lab = MobileLab(extensions=(*STANDARD, Forbid(path)))
        lab.connect()
        assert len(lab.east.of(IkeEstablished)) == established
        assert len(lab.west.of(AuthenticationFailed)) == 1 - established
