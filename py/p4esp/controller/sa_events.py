"""Digests of the pipeline: an SA comes to the end of its sequence numbers."""

from p4esp.controller.ike_transport import IkeTransport
from p4esp.controller.journal import Entry, Journal, Kind
from p4esp.controller.numbers import SaEvent
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.sa_manager import SaManager
from p4esp.controller.target import Session
from p4esp.ike.errors import CommandError


class SaEvents:
    """Acts on the digests of one session."""

    def __init__(
        self, session: Session, sas: SaManager, ike: IkeTransport, journal: Journal
    ) -> None:
        self._session = session
        self._sas = sas
        self._ike = ike
        self._journal = journal

    async def run(self) -> None:
        """Serve until cancelled."""
        async for digest in self._session.digests():
            live = self._sas.by_outbound_index(digest["sa"])
            if live is not None and _is_of(live, digest["generation"]):
                self._act(live, digest["kind"], digest["seq"])

    def _act(self, live: LiveSa, kind: int, seq: int) -> None:
        """At the soft limit rekey; at the hard one there is nothing left to send with."""
        child = live.record.child
        name = SaEvent(kind).name
        self._journal.add(
            Entry(live.record.gateway, Kind.LIMIT, f"{child.spi_out:08x}", f"{name} at {seq}")
        )
        try:
            if kind == SaEvent.SOFT_LIMIT:
                self._ike.command(lambda endpoint, now: endpoint.rekey_child(child.spi_in, now))
            else:
                self._ike.command(lambda endpoint, now: endpoint.delete_child(child.spi_in, now))
        except CommandError:
            return  # it is being replaced or deleted already


def _is_of(live: LiveSa, generation: int) -> bool:
    return live.record.placement.generation_out == generation
