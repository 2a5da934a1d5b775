"""INFORMATIONAL: deleting SAs and liveness checks (RFC 7296 1.4, 2.4)."""

from p4esp.ike.children import ChildPhase, ChildSa
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Delete, Notify
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.events import DownReason, PeerAlive
from p4esp.ike.state import IkeSaState, Phase
from p4esp.ike.tasks.base import Inbound, InitiatorTask, ResponderTask, Verdict
from p4esp.ike.teardown import close


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


class DeleteChild(InitiatorTask):
    """Delete a child SA at both ends."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, child: ChildSa, reason: DownReason) -> None:
        """From now on the child SA counts as being deleted."""
        child.phase = ChildPhase.DELETING
        self._child = child
        self._reason = reason

    def prepare(self, sa: IkeSaState) -> bool:
        """False when the peer was faster."""
        return self._child in sa.children

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """D with our inbound SPI."""
        return [_delete_esp(self._child.params.spi_in)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Whatever the peer lists, the SA is gone now (RFC 7296 1.4.1)."""
        if self._child in sa.children:
            sa.drop_child(self._child, self._reason)
        return Verdict.DONE


class DeleteSpi(InitiatorTask):
    """Make the peer forget a child SA that we never took up."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(self, spi: int) -> None:
        """Takes the SPI over, and releases it in the end."""
        self._spi = spi

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """D with the inbound SPI we had offered."""
        return [_delete_esp(self._spi)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """The SPI is free once the peer has forgotten it."""
        self.abandon(sa)
        return Verdict.DONE

    def abandon(self, sa: IkeSaState) -> None:
        """Give back the SPI."""
        sa.env.spis.release(self._spi)


class DeleteIke(InitiatorTask):
    """Delete the IKE SA and with it all child SAs."""

    exchange = ExchangeType.INFORMATIONAL

    def __init__(
        self, reason: DownReason = DownReason.LOCAL_DELETE, *, unauthenticated: bool = False
    ) -> None:
        """`unauthenticated`: the reason is that the peer's proof of identity failed."""
        self._reason = reason
        self._unauthenticated = unauthenticated

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """D for the IKE SA, after the reason when there is one to give."""
        notify = [Notify(NotifyType.AUTHENTICATION_FAILED)] if self._unauthenticated else []
        return [*notify, Delete(ProtocolId.IKE)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Any answer ends it."""
        close(sa, self._reason)
        sa.phase = Phase.DEAD
        return Verdict.DONE

    def abandon(self, sa: IkeSaState) -> None:
        """Without an answer it is over too."""
        close(sa, self._reason)


class InformationalResponder(ResponderTask):
    """Requests of the peer: deletes, notifies, or nothing at all."""

    def __init__(self) -> None:
        self._answer: list[AnyPayload] = []

    def process(self, sa: IkeSaState, request: Inbound) -> None:
        """An IKE SA delete outweighs everything else in the message."""
        deletes = request.payloads.every(Delete)
        failed = request.payloads.notify(NotifyType.AUTHENTICATION_FAILED) is not None
        if failed or any(delete.protocol == ProtocolId.IKE for delete in deletes):
            detail = "the peer did not accept our authentication" if failed else ""
            close(sa, DownReason.PEER_DELETE, detail)
            return
        spis = [
            spi for delete in deletes if delete.protocol == ProtocolId.ESP for spi in delete.spis
        ]
        self._delete_children(sa, spis)

    def _delete_children(self, sa: IkeSaState, spis: list[bytes]) -> None:
        """Drop the named SAs; those we are deleting ourselves stay out of the answer."""
        gone = [spi_in for spi in spis if (spi_in := self._delete_child(sa, spi)) is not None]
        self._answer = [Delete(ProtocolId.ESP, tuple(gone))] if gone else []

    @staticmethod
    def _delete_child(sa: IkeSaState, spi: bytes) -> bytes | None:
        """Drop the SA that sends to an SPI of the peer's; our inbound SPI when there was one."""
        child = sa.children.by_outbound(int.from_bytes(spi, "big"))
        if child is None and sa.awaiting_child:
            sa.early_deletes.add(int.from_bytes(spi, "big"))
        if child is None or child.phase is ChildPhase.DELETING:
            return None
        replaced = child.successor is not None
        sa.drop_child(child, DownReason.REKEYED if replaced else DownReason.PEER_DELETE)
        return child.params.spi_in.to_bytes(4, "big")

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """D with our inbound SPIs of what the request deleted, else nothing."""
        return self._answer


def _delete_esp(spi: int) -> Delete:
    return Delete(ProtocolId.ESP, (spi.to_bytes(4, "big"),))
