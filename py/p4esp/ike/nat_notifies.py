"""NAT_DETECTION notifies: made for a path, and judged by the path they came on (RFC 7296 2.23)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.nat import NatStatus, nat_hash
from p4esp.ike.path import Path, UdpAddress
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_SOURCE, _DESTINATION = NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP


def nat_notifies(sa: IkeSaState, path: Path) -> list[AnyPayload]:
    """Both notifies for a message on `path`, SPIs as in the header they travel under."""
    source = path.local if not _forced(sa) else UdpAddress(path.local.host, 0)
    return [
        Notify(_SOURCE, nat_hash(sa.spi_i, sa.spi_r, source)),
        Notify(_DESTINATION, nat_hash(sa.spi_i, sa.spi_r, path.remote)),
    ]


def nat_status(sa: IkeSaState, message: Inbound) -> NatStatus | None:
    """What the peer's hashes and the addresses a message really has tell; None: it has none."""
    source, destination = source_hashes(message), destination_hashes(message)
    if not source or not destination:
        return None
    remote = _hash_of(message, message.path.remote) not in source
    local = _hash_of(message, message.path.local) not in destination
    return NatStatus(local or _forced(sa), remote)


def source_hashes(message: Inbound) -> frozenset[bytes]:
    """The addresses the peer says that it has, hashed; one for each."""
    return _hashes(message, _SOURCE)


def destination_hashes(message: Inbound) -> frozenset[bytes]:
    """Our address as the peer sees it, hashed."""
    return _hashes(message, _DESTINATION)


def _hash_of(message: Inbound, address: UdpAddress) -> bytes:
    return nat_hash(message.header.spi_i, message.header.spi_r, address)


def _hashes(message: Inbound, kind: NotifyType) -> frozenset[bytes]:
    return frozenset(notify.data for notify in message.payloads.notifies(kind))


def _forced(sa: IkeSaState) -> bool:
    """Whether we pretend to be behind a NAT; a responder when all who may be meant want it."""
    peers = (sa.peer,) if sa.peer else sa.candidates
    return bool(peers) and all(peer.force_encapsulation for peer in peers)
