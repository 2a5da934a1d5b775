"""INFORMATIONAL: liveness checks, and what the peer deletes (RFC 7296 1.4, 2.4)."""

from collections.abc import Sequence

from p4esp.ike.children import ChildPhase
from p4esp.ike.codec.configuration import Configuration
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Delete
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.events import DownReason, PeerAlive
from p4esp.ike.extensions.delete_reason import reason_told
from p4esp.ike.notifies import note_ignored
from p4esp.ike.state import IkeSaState
from p4esp.ike.succession import deleted_by_peer
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict

_CHILD_PROTOCOLS = (ProtocolId.ESP, ProtocolId.EESP)
MAX_EARLY_DELETES = 64
"""Deletes of child SAs we do not know yet; of more the peer has no need."""


class CheckLiveness(InitiatorTask):
    """An empty request: any answer proves that the peer lives."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, *, report: bool) -> None:
        """`report`: tell the owner of the answer, who asked for it."""
        self._report = report

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """Nothing."""
        return []

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """The answer's content does not matter."""
        if self._report:
            sa.events.append(PeerAlive(sa.info()))
        return Verdict.DONE


class InformationalResponder(ResponderTask):
    """Requests of the peer: deletes, notifies, or nothing at all."""

    def __init__(self) -> None:
        self._answer: list[AnyPayload] = []
        self._told: DeleteReason | None = None

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """An IKE SA delete outweighs everything else in the message. Of CFG_SET no attribute is
        accepted, which an answer without CP says (RFC 7296 3.15).
        """
        if request.payloads.has(Configuration):
            note_ignored(sa, "CP in INFORMATIONAL; accepted: in IKE_AUTH, to ask for it")
        deletes = request.payloads.every(Delete)
        self._told = reason_told(sa, request.payloads)
        failed = request.payloads.notify(NotifyType.AUTHENTICATION_FAILED) is not None
        if failed or any(delete.protocol == ProtocolId.IKE for delete in deletes):
            detail = "the peer did not accept our authentication" if failed else ""
            deleted_by_peer(sa, detail, self._told)
            return
        self._answer = [
            Delete(protocol, gone)
            for protocol in _CHILD_PROTOCOLS
            if (gone := self._delete_children(sa, protocol, deletes))
        ]

    def _delete_children(
        self, sa: IkeSaState, protocol: ProtocolId, deletes: Sequence[Delete]
    ) -> tuple[bytes, ...]:
        """Drop the named SAs; those we are deleting ourselves stay out of the answer."""
        spis = (spi for delete in deletes if delete.protocol == protocol for spi in delete.spis)
        gone = (self._delete_child(sa, protocol, int.from_bytes(spi, "big")) for spi in spis)
        return tuple(spi_in for spi_in in gone if spi_in is not None)

    def _delete_child(self, sa: IkeSaState, protocol: ProtocolId, spi: int) -> bytes | None:
        """Drop the SA that sends to an SPI of the peer's; our inbound SPI when there was one."""
        child = sa.children.by_outbound(spi)
        if child is None and sa.awaiting_child and len(sa.early_deletes) < MAX_EARLY_DELETES:
            sa.early_deletes.add((protocol, spi))
        if child is None or child.protocol != protocol or child.phase is ChildPhase.DELETING:
            return None
        replaced = child.successor is not None
        reason = DownReason.REKEYED if replaced else DownReason.PEER_DELETE
        sa.drop_child(child, reason, self._told)
        return child.params.spi_in.to_bytes(4, "big")

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """D with our inbound SPIs of what the request deleted, else nothing."""
        return self._answer
