"""The path MTU of each SA: what routers and peers say of it, and for how long (RFC 4301 8.2).

What they say comes from outside the SA and is not authenticated, so it counts only as far as it is
plausible (RFC 4301 6.1.1, 8.2.1): it quotes a packet that this very SA has sent, not long ago, that
was longer than the MTU it tells, and it tells less than we knew. No MTU falls below the floor. What
does not count is counted. A peer is believed in what it says over IKE, as far as that is less.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final

from p4esp.controller.errors import ControllerError
from p4esp.controller.icmpv6 import LEAST_MTU
from p4esp.controller.numbers import Format
from p4esp.controller.packets import Ethernet, PacketError
from p4esp.controller.path_mtu_settings import PathMtuSettings
from p4esp.controller.quoted import TooBig, too_big
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.sa_manager import SaManager
from p4esp.controller.sa_tuning import MOST, Tuning
from p4esp.controller.state_channel import StateChannel
from p4esp.ike.events import PathMtuTold
from p4esp.ike.ratelimit import RateLimit
from p4esp.ipsec.layouts import form_out, is_eesp
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.journal import Entry, Journal, Kind

FLOOR: Final = {4: 576, 6: LEAST_MTU}
"""No outer packet is made smaller than this, whatever a router says."""
LEAST: Final = {4: 68, 6: LEAST_MTU}
"""What says less than any link of the family carries is nonsense (RFC 791, RFC 8201 4)."""
RECENT: Final = 1 << 20
"""Packets after which a quoted one is too old to count."""
RATE: Final = 20.0
"""Messages a second that are worth asking the switch for a sequence number."""
WAITING: Final = 64
"""Messages that may wait; more are ignored."""
CHECK: Final = 5.0
"""Seconds between two looks at what has aged."""


class PathMtu:
    """Serves one session. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        sas: SaManager,
        state: StateChannel,
        settings: PathMtuSettings,
        journal: Journal,
        ignored: Counter[str],
        *,
        clock: Callable[[], float],
    ) -> None:
        """`ignored` counts the messages that do not count, by reason."""
        self._sas = sas
        self._state = state
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._limit = RateLimit(RATE, clock())
        self._until: dict[tuple[int, bool], float] = {}
        """When what was learned is forgotten, by inbound SPI and whether it is of the links behind
        the peer.
        """
        self._waiting: asyncio.Queue[Ethernet] = asyncio.Queue(WAITING)
        self.ignored = ignored

    def take(self, frame: Ethernet) -> None:
        """Take what a router says; `run` looks into it, for the answers it needs come by the same
        stream as the frame.
        """
        if not self._settings.accept_icmp:
            self.ignored["not accepted"] += 1
        elif self._waiting.full():
            self.ignored["too many"] += 1
        else:
            self._waiting.put_nowait(frame)

    async def run(self) -> None:
        """Serve until cancelled: believe routers, and let path MTUs age."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(CHECK):
                    frame = await self._waiting.get()
                await self.received(frame)
            await self._expire_quietly()

    async def _expire_quietly(self) -> None:
        with suppress(ControllerError):  # once more, at the next look
            await self.expire()

    async def received(self, frame: Ethernet) -> None:
        """Deal with one message."""
        try:
            reason = await self._objection(frame)
        except ControllerError:
            reason = "not written"
        if reason:
            self.ignored[reason] += 1

    async def _objection(self, frame: Ethernet) -> str:
        """Believe a message, or say why not."""
        try:
            said = too_big(frame)
        except PacketError:
            return "unreadable"
        live = self._sender(said)
        if live is None:
            return "no such SA"
        path_mtu = max(said.mtu, FLOOR[said.dst.version])
        reason = self._implausible(said, path_mtu, self._sas.tuning(live).path_mtu)
        if not reason and not await self._was_sent(live, said):
            reason = "not sent"
        return reason or await self._lower(live, said, path_mtu)

    def _implausible(self, said: TooBig, path_mtu: int, now: int) -> str:
        if said.mtu < LEAST[said.dst.version] or said.length <= said.mtu:
            return "absurd MTU"
        if path_mtu >= now:
            return "not less"
        return "" if self._limit.allow(self._clock()) else "too many"

    def _sender(self, said: TooBig) -> LiveSa | None:
        candidates = self._sas.live.by_outbound_spi(said.spi)
        return next((live for live in candidates if _sends(live.record.child, said)), None)

    async def _was_sent(self, live: LiveSa, said: TooBig) -> bool:
        """Whether the low half of a sequence number is one of those sent of late."""
        sub, quoted = _number(live, said)
        if sub >= live.record.placement.spaces_out or quoted is None:
            return False
        last = await self._state.read_sequence(live.record.placement.space_out + sub)
        return (last - quoted) & 0xFFFFFFFF < min(last, RECENT)

    async def told(self, told: PathMtuTold) -> None:
        """A peer says over IKE how long the packets may be that we send it."""
        live = self._sas.live.get(told.child.spi_in)
        try:
            reason = "no such SA" if live is None else await self._believe(live, told)
        except ControllerError:
            reason = "not written"
        if reason:
            self.ignored[reason] += 1

    async def _believe(self, live: LiveSa, told: PathMtuTold) -> str:
        now, lowered = self._sas.tuning(live), _lowered(told)
        which = live.record.child.spi_in, told.inside
        until = self._clock() + self._settings.age
        if lowered(now) == now:
            if which in self._until and _confirms(told, now):
                self._until[which] = until
            return "not less"
        await self._sas.tune(live, lowered)
        self._until[which] = until
        where = "inside" if told.inside else "outside"
        self._note(live, f"{told.mtu} {where}, says peer {live.record.child.peer}")
        return ""

    async def _lower(self, live: LiveSa, said: TooBig, path_mtu: int) -> str:
        """Believe a message, or say why not: the SA may have moved while the switch was asked, and
        what is said of one path is not true of another.
        """

        def lowered(now: Tuning) -> Tuning:
            return replace(now, path_mtu=path_mtu) if _sends(live.record.child, said) else now

        await self._sas.tune(live, lowered)
        if not _sends(live.record.child, said):
            return "no such SA"
        self._until[live.record.child.spi_in, False] = self._clock() + self._settings.age
        self._note(live, f"{path_mtu}, says a router on the way to {live.record.child.remote}")
        return ""

    async def expire(self) -> None:
        """Forget what is too old: the path may have become wider."""
        now = self._clock()
        due = [which for which, until in self._until.items() if until <= now]
        for spi_in, inside in due:
            live = self._sas.live.get(spi_in)
            if live is not None:
                await self._widen(live, inside=inside)
            del self._until[spi_in, inside]

    async def _widen(self, live: LiveSa, *, inside: bool) -> None:
        if self._widened(live, self._sas.tuning(live), inside=inside) == self._sas.tuning(live):
            return  # the SA has moved since, and begun anew
        # the link is asked for once nobody else changes the SA: another may be the way by then
        await self._sas.tune(live, lambda now: self._widened(live, now, inside=inside))
        self._note(live, f"{self._sas.tuning(live).path_mtu} again")

    def _widened(self, live: LiveSa, now: Tuning, *, inside: bool) -> Tuning:
        if inside:
            return replace(now, inner_most=MOST)
        return replace(now, path_mtu=self._sas.link_mtu(live))

    def _note(self, live: LiveSa, text: str) -> None:
        record = live.record
        self._journal.add(Entry.of_child(record.gateway, Kind.PATH_MTU, record.child, text))


def _lowered(told: PathMtuTold) -> Callable[[Tuning], Tuning]:
    """No lower than the floor, and never wider."""
    mtu = _floored(told)

    def lowered(now: Tuning) -> Tuning:
        if told.inside:
            return replace(now, inner_most=min(mtu, now.inner_most))
        return replace(now, path_mtu=min(mtu, now.path_mtu))

    return lowered


def _floored(told: PathMtuTold) -> int:
    child = told.child
    version = child.remote_ts[0].version if told.inside else child.remote.version
    return max(told.mtu, FLOOR[version])


def _confirms(told: PathMtuTold, now: Tuning) -> bool:
    """Whether a peer says again what holds already."""
    return _floored(told) == (now.inner_most if told.inside else now.path_mtu)


def _number(live: LiveSa, said: TooBig) -> tuple[int, int | None]:
    """Subspace or sub SA, and low half of the number in it; None: the quote ends in front of that,
    or is not of the SA's protocol.
    """
    form = form_out(live.record.child.layout)
    if is_eesp(form) or said.session is not None:
        return said.session or 0, said.seq if is_eesp(form) and said.session is not None else None
    if form.number is Format.SUBSPACES:
        return said.seq >> 16, said.after
    return said.spi - live.record.child.spi_out, said.seq


def _sends(child: ChildSaParams, said: TooBig) -> bool:
    """Whether a packet with these outer addresses and ports is one of an SA's."""
    udp = child.encapsulation
    ports = (udp.local_port, udp.remote_port) if udp else None
    return (child.local, child.remote, ports) == (said.src, said.dst, said.ports)
