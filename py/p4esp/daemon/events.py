"""What the daemon does about each event of its endpoint."""

from p4esp.daemon.null_data_plane import NullDataPlane
from p4esp.ike.events import (
    AuthenticationFailed,
    ChildDown,
    ChildFailed,
    ChildRekeyed,
    ChildUp,
    Event,
    IkeDown,
    IkeEstablished,
    IkeRekeyed,
    IkeRekeyFailed,
    IkeSaInfo,
    InitRefused,
    InternalAddresses,
    MoveRefused,
    NegotiationFailed,
    PathChanged,
    Redirected,
)
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.connections import Connections
from p4esp.service.event_hub import EventHub
from p4esp.service.journal import Entry, Journal, Kind
from p4esp.service.key_export import KeyExporter

NAME = "ike"
"""The daemon in the journal, where a gateway's name would be."""


class DaemonEvents:
    """The event handler: data plane first, then who waits for it, then the journal."""

    def __init__(
        self,
        plane: NullDataPlane,
        hub: EventHub,
        journal: Journal,
        export_keys: KeyExporter | None = None,
    ) -> None:
        self._export_keys = export_keys
        self._plane = plane
        self._hub = hub
        self._journal = journal

    def attach(self, connections: Connections) -> None:
        """Complete the circle: events lead to commands."""
        self._connections = connections

    async def handle(self, event: Event) -> None:
        """Deal with one event."""
        self._plane.handle(event)
        self._export(event)
        self._follow(event)
        self._record(event)
        self._hub.publish(event)

    def _export(self, event: Event) -> None:
        if self._export_keys is not None and isinstance(event, ChildUp | ChildRekeyed):
            self._export_keys.child(event.child if isinstance(event, ChildUp) else event.new)

    def _follow(self, event: Event) -> None:
        connections = self._connections
        match event:
            case IkeEstablished(ike):
                connections.ike_up(ike)
            case IkeRekeyed(old, new):
                connections.established.pop(old.spi, None)
                connections.established[new.spi] = new
            case IkeDown(ike, told=told):
                if connections.established.pop(ike.spi, None) is not None:
                    connections.peer_failed(ike.peer, told)  # what it was making will not come
            case NegotiationFailed(ike) | AuthenticationFailed(ike):
                connections.peer_failed(ike.peer)
            case ChildUp(child) | ChildRekeyed(new=child):
                connections.child_up((child.peer, child.name))
            case ChildFailed(ike, name):
                connections.attempt_failed((ike.peer, name))
            case ChildDown(child, reason, told):
                connections.child_down(child, reason, told)
            case Redirected():
                connections.redirected(event)

    def _record(self, event: Event) -> None:
        match event:
            case IkeEstablished(ike):
                self._note(Kind.IKE_UP, ike, f"{ike.suite}, {ike.path}")
            case IkeDown(ike):
                self._note(Kind.IKE_DOWN, ike, event.why)
            case IkeRekeyed(old, new):
                self._note(Kind.IKE_REKEYED, new, f"{new.suite}, was {old.spi.hex()}")
            case (
                IkeRekeyFailed(ike, reason)
                | NegotiationFailed(ike, reason)
                | AuthenticationFailed(ike, reason)
                | InitRefused(ike, reason)
            ):
                self._note(Kind.IKE_FAILED, ike, reason)
            case ChildUp(child) | ChildRekeyed(new=child):
                self._note_child(Kind.SA_UP, child, str(child.suite))
            case ChildDown(child):
                self._note_child(Kind.SA_DOWN, child, event.why)
            case ChildFailed(ike, name, reason, detail):
                text = f"{name}: {reason}{': ' if detail else ''}{detail}"
                self._note(Kind.SA_FAILED, ike, text)
            case InternalAddresses(ike):
                self._note(Kind.ADDRESSES, ike, event.text)
            case PathChanged(ike, old, new):
                self._note(Kind.SA_MOVED, ike, f"{old} to {new}")
            case MoveRefused(ike, reason):
                self._note(Kind.SA_FAILED, ike, reason)

    def _note(self, kind: Kind, ike: IkeSaInfo, text: str) -> None:
        self._journal.add(Entry(NAME, kind, ike.label, text))

    def _note_child(self, kind: Kind, child: ChildSaParams, text: str) -> None:
        self._journal.add(Entry.of_child(NAME, kind, child, text))
