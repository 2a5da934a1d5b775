"""What we tell peers about the packets that they send us (draft-liu-ipsecme-ikev2-mtu-dect).

Outside: ESP that comes in fragments is dropped, and the pipeline shows us first fragments. The
size of one is what the path takes at once. Nobody vouches for a fragment, so it counts only when it
names an SA of ours between the right addresses; the peer has a floor. Inside: a link behind us that
takes less than the one outside is told before a packet is lost, for the pipeline does not measure
what it decapsulates, and again before the peer has forgotten.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from p4esp.controller.interfaces import Interfaces
from p4esp.controller.link_mtu import mtu_towards
from p4esp.controller.packets import Ethernet, PacketError
from p4esp.controller.quoted import Fragment, first_fragment
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.sa_manager import SaManager
from p4esp.ike.errors import CommandError
from p4esp.ike.extensions.mtu_detection import INTERVAL
from p4esp.ipsec.layouts import PROTO_ESP, PROTO_WESP, form_of, is_diet, named_by
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.driver import Driver
from p4esp.service.journal import Entry, Journal, Kind

REPEAT: Final = 300.0
"""Seconds after which the links behind us are told again: half of what a peer remembers."""
CHECK: Final = 1.0
"""Seconds between two looks at which SAs are new."""


class MtuReports:
    """Serves one session. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        sas: SaManager,
        ike: Driver,
        interfaces: Interfaces,
        journal: Journal,
        ignored: Counter[str],
        *,
        clock: Callable[[], float],
    ) -> None:
        """`ignored` counts the fragments that say nothing, by reason."""
        self._sas = sas
        self._ike = ike
        self._interfaces = interfaces
        self._journal = journal
        self._clock = clock
        self._told: dict[int, float] = {}
        self.ignored = ignored

    def fragment(self, frame: Ethernet) -> None:
        """A first fragment came from outside."""
        try:
            found = first_fragment(frame)
        except PacketError:
            self.ignored["unreadable fragment"] += 1
            return
        live = self._sas.live.get(found.spi)
        if live is None or not _carries(live.record.child, found):
            self.ignored["fragment of no SA"] += 1
        elif not self._tell(live, found.length, None):
            self.ignored["not told"] += 1

    async def run(self) -> None:
        """Tell of the links behind us, until cancelled."""
        while True:
            self.tell_links()
            await asyncio.sleep(CHECK)

    def tell_links(self) -> None:
        """Tell of those that are narrow and have not been told of, or long ago."""
        now = self._clock()
        self._told = {spi: at for spi, at in self._told.items() if spi in self._sas.live}
        for spi_in, live in self._sas.live.items():
            if now >= self._told.get(spi_in, now):
                self._told[spi_in] = now + (REPEAT if self._tell_link(live) else INTERVAL)

    def _tell_link(self, live: LiveSa) -> bool:
        """Whether there is nothing more to tell for a while."""
        sides = live.record.child.local_ts
        behind = min(mtu_towards(self._interfaces, selector.first) for selector in sides)
        return behind >= self._sas.link_mtu(live) or self._tell(live, behind, b"")

    def _tell(self, live: LiveSa, mtu: int, inner: bytes | None) -> bool:
        """Whether the peer wants to know, and has not just been told."""
        spi = live.record.child.spi_in
        try:
            self._ike.command(lambda endpoint, now: endpoint.tell_mtu(spi, mtu, inner, now))
        except CommandError:
            return False
        where = "outside" if inner is None else "inside"
        text = f"{mtu} {where}, told peer {live.record.child.peer}"
        record = live.record
        self._journal.add(Entry.of_child(record.gateway, Kind.PATH_MTU, record.child, text))
        return True


def _carries(child: ChildSaParams, found: Fragment) -> bool:
    """Whether a fragment is between the ends of an SA whose packets begin with the whole SPI."""
    form, udp = form_of(child.layout), child.encapsulation
    ports = (udp.remote_port, udp.local_port) if udp else None
    begins = named_by(form) == PROTO_ESP and form.protocol != PROTO_WESP and not is_diet(form)
    return begins and (child.remote, child.local, ports) == (found.src, found.dst, found.ports)
