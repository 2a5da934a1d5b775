"""The IKE SAs of an endpoint, found by our SPI, by a child SA, and by who is at the other end."""

from collections import defaultdict
from dataclasses import dataclass

from p4esp.ike.errors import CommandError
from p4esp.ike.events import (
    ChildDown,
    ChildRekeyed,
    ChildUp,
    Event,
    IkeRekeyed,
    IkeSaInfo,
)
from p4esp.ike.halfopen import InitKey
from p4esp.ike.sa import IkeSa
from p4esp.ipsec.identity import Identity

_Ends = tuple[str, Identity | None, Identity | None]
"""The peer's configuration, our identity, the peer's."""


@dataclass(slots=True)
class Entry:
    """An IKE SA in the registry."""

    sa: IkeSa
    init_key: InitKey | None = None
    """How repeats of the IKE_SA_INIT request find a responder's IKE SA."""


class Registry(dict[bytes, Entry]):
    """Entries by our SPI; what else finds them follows from their events."""

    def __init__(self) -> None:
        super().__init__()
        self.children: dict[int, bytes] = {}
        """Our SPI of the IKE SA that owns a child SA, by the child's inbound SPI."""
        self._established: defaultdict[_Ends, dict[bytes, None]] = defaultdict(dict)
        """Our SPIs, oldest first."""

    def enter(self, sa: IkeSa, init_key: InitKey | None = None) -> Entry:
        """Take in an IKE SA."""
        entry = self[sa.own_spi] = Entry(sa, init_key)
        return entry

    def remove(self, entry: Entry) -> None:
        """An IKE SA is gone."""
        info = entry.sa.info
        del self[info.spi]
        self.forget_established(info)

    def command_target(self, ike: bytes) -> Entry:
        """The entry of an IKE SA; of a rekeyed one, that of its heir. `CommandError` without."""
        entry = self.get(ike)
        if entry is None:
            raise CommandError(f"there is no IKE SA with SPI {ike.hex()}")
        heir = entry.sa.heir
        return entry if heir is None or heir not in self else self.command_target(heir)

    def owner_of(self, spi_in: int) -> Entry:
        """The entry of the IKE SA that owns a child SA; `CommandError` without."""
        owner = self.children.get(spi_in)
        if owner is None:
            raise CommandError(f"there is no child SA with inbound SPI {spi_in:08x}")
        return self.command_target(owner)

    def established_with(self, peer: str, local_id: Identity, remote_id: Identity) -> list[bytes]:
        """Our SPIs of the IKE SAs between two identities under one configuration, oldest first.
        Another may accept the identity on easier terms: who met those has no say here.
        """
        return list(self._established.get((peer, local_id, remote_id), ()))

    def note_established(self, info: IkeSaInfo) -> None:
        """An IKE SA's peer has proved who it is."""
        self._established[_ends(info)][info.spi] = None

    def forget_established(self, info: IkeSaInfo) -> None:
        """Nothing remains of identities without IKE SA: a pattern lets in any number of them."""
        ends = _ends(info)
        spis = self._established.get(ends, {})
        spis.pop(info.spi, None)
        if not spis:
            self._established.pop(ends, None)

    def note(self, sa: IkeSa, event: Event) -> None:
        """Follow what becomes of child SAs and of rekeyed IKE SAs."""
        if isinstance(event, ChildUp):
            self.children[event.child.spi_in] = sa.own_spi
        elif isinstance(event, ChildRekeyed):
            self.children[event.new.spi_in] = sa.own_spi
        elif isinstance(event, ChildDown):
            self.children.pop(event.child.spi_in, None)
        elif isinstance(event, IkeRekeyed):
            self._note_rekeyed(event)

    def note_taken_over(self, sa: IkeSa) -> None:
        """An IKE SA came with its child SAs, which no event announces."""
        for child in sa.children:
            self.children[child.params.spi_in] = sa.own_spi

    def _note_rekeyed(self, event: IkeRekeyed) -> None:
        """The new IKE SA stands where the old one stood, which need not have been named so."""
        new = event.new
        if event.old.spi in self._established.get(_ends(new), ()):
            self.note_established(new)
            self.forget_established(event.old)
        for child in self[new.spi].sa.children:
            self.children[child.params.spi_in] = new.spi


def _ends(info: IkeSaInfo) -> _Ends:
    return info.peer, info.local_id, info.remote_id
