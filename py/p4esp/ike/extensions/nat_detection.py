"""NAT detection in IKE_SA_INIT (RFC 7296 2.23)."""

from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import ExchangeType, NotifyType
from p4esp.ike.nat import NatStatus, nat_hash
from p4esp.ike.path import UdpAddress
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Inbound

_SOURCE, _DESTINATION = NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP


class NatDetection:
    """Finds out who is behind a NAT; a responder answers only who asks."""

    def received(self, sa: IkeSaState, message: Inbound) -> None:
        """Compare the peer's hashes with the addresses the message really has."""
        if message.header.exchange != ExchangeType.IKE_SA_INIT:
            return
        source, destination = _hashes(message, _SOURCE), _hashes(message, _DESTINATION)
        if not source or not destination:
            sa.nat = None
            return
        remote = self._hash_of(message, message.path.remote) not in source
        local = self._hash_of(message, message.path.local) not in destination
        sa.nat = NatStatus(local or _forced(sa), remote)

    def additions(
        self, sa: IkeSaState, exchange: ExchangeType, *, response: bool
    ) -> list[AnyPayload]:
        """Both notifies, SPIs as in the header they travel under."""
        if exchange != ExchangeType.IKE_SA_INIT or (response and sa.nat is None):
            return []
        source = sa.path.local if not _forced(sa) else UdpAddress(sa.path.local.host, 0)
        return [
            Notify(_SOURCE, nat_hash(sa.spi_i, sa.spi_r, source)),
            Notify(_DESTINATION, nat_hash(sa.spi_i, sa.spi_r, sa.path.remote)),
        ]

    @staticmethod
    def _hash_of(message: Inbound, address: UdpAddress) -> bytes:
        return nat_hash(message.header.spi_i, message.header.spi_r, address)


def _hashes(message: Inbound, kind: NotifyType) -> set[bytes]:
    return {notify.data for notify in message.payloads.every(Notify) if notify.type == kind}


def _forced(sa: IkeSaState) -> bool:
    """Whether we pretend to be behind a NAT; a responder when all who may be meant want it."""
    peers = (sa.peer,) if sa.peer else sa.candidates
    return bool(peers) and all(peer.force_encapsulation for peer in peers)
