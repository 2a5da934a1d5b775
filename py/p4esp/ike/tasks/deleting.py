"""Our requests to delete SAs (RFC 7296 1.4.1)."""

from collections.abc import Iterable

from p4esp.ike.children import ChildPhase, ChildSa
from p4esp.ike.codec.payload import AnyPayload
from p4esp.ike.codec.payloads import Delete, Notify
from p4esp.ike.constants import ExchangeType, NotifyType, ProtocolId
from p4esp.ike.delete_reason import DeleteReason
from p4esp.ike.events import DownReason
from p4esp.ike.extensions.delete_reason import reason_given
from p4esp.ike.state import IkeSaState, Phase, Subject
from p4esp.ike.tasks.base import Inbound, InitiatorTask, Verdict
from p4esp.ike.teardown import close


class DeleteChild(InitiatorTask):
    """Delete a child SA at both ends."""

    exchange = ExchangeType.INFORMATIONAL
    subject = Subject.CHILD_SA

    def __init__(
        self, child: ChildSa, reason: DownReason, given: DeleteReason | None = None
    ) -> None:
        """From now on the child SA counts as being deleted. `given` is what the peer is told why,
        when it does not follow from `reason`.
        """
        child.phase = ChildPhase.DELETING
        self._child = child
        self._reason, self._given = reason, given

    def prepare(self, sa: IkeSaState) -> bool:
        """False when the peer was faster."""
        return self._child in sa.children

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """D with our inbound SPI, and why."""
        told = reason_given(sa, self._reason, self._given)
        return [_delete(self._child.protocol, self._child.params.spi_in), *told]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Whatever the peer lists, the SA is gone now (RFC 7296 1.4.1)."""
        if self._child in sa.children:
            sa.drop_child(self._child, self._reason)
        return Verdict.DONE


class DeleteSpi(InitiatorTask):
    """Make the peer forget a child SA that we never took up."""

    exchange = ExchangeType.INFORMATIONAL
    subject = Subject.CHILD_SA

    def __init__(self, spi: int, protocols: Iterable[int]) -> None:
        """Takes the SPI over, and releases it in the end. It was offered for these protocols."""
        self._spi = spi
        self._protocols = dict.fromkeys(protocols)

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """D with the inbound SPI we had offered, for each protocol that the peer may have taken."""
        return [_delete(protocol, self._spi) for protocol in self._protocols]

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
        self,
        reason: DownReason = DownReason.LOCAL_DELETE,
        detail: str = "",
        *,
        unauthenticated: bool = False,
        given: DeleteReason | None = None,
    ) -> None:
        """`unauthenticated`: the reason is that the peer's proof of identity failed. `given` is
        what the peer is told why, when it does not follow from `reason`.
        """
        self._reason, self._given = reason, given
        self._detail = detail
        self._unauthenticated = unauthenticated

    def build(self, sa: IkeSaState) -> list[AnyPayload]:
        """D for the IKE SA, and why when there is something to say."""
        if self._unauthenticated:
            return [Notify(NotifyType.AUTHENTICATION_FAILED), Delete(ProtocolId.IKE)]
        return [Delete(ProtocolId.IKE), *reason_given(sa, self._reason, self._given)]

    def process(self, sa: IkeSaState, reply: Inbound) -> Verdict:
        """Any answer ends it."""
        close(sa, self._reason, self._detail)
        sa.phase = Phase.DEAD
        return Verdict.DONE

    def abandon(self, sa: IkeSaState) -> None:
        """Without an answer it is over too."""
        close(sa, self._reason, self._detail)


def delete_ike(
    sa: IkeSaState, reason: DownReason, detail: str = "", given: DeleteReason | None = None
) -> None:
    """Begin to delete an established IKE SA; requests not yet sent are forgotten."""
    sa.abandon_tasks()
    sa.phase = Phase.DELETING
    sa.tasks.append(DeleteIke(reason, detail, given=given))


def _delete(protocol: int, spi: int) -> Delete:
    return Delete(protocol, (spi.to_bytes(4, "big"),))
