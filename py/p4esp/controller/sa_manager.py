"""The child SAs of one gateway: from IKE's events to installed, replaced and removed SAs."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from p4esp.controller.engine_keys import ENGINE_ERRORS, PairKeys
from p4esp.controller.errors import ControllerError, SwitchUnreachableError
from p4esp.controller.live_sas import LiveSas
from p4esp.controller.placement import Placements
from p4esp.controller.policy_ids import PolicyIds
from p4esp.controller.pools import PoolExhaustedError
from p4esp.controller.protect_rules import ProtectRules
from p4esp.controller.sa_installer import LiveSa, SaInstaller
from p4esp.controller.sa_tuning import Tuning
from p4esp.ike.events import DownReason, PathChanged
from p4esp.ike.path import Path
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.journal import Entry, Journal, Kind
from p4esp.store import SaRecord, SaState, Store, StoreError

INSTALL_ERRORS = (ControllerError, PoolExhaustedError, StoreError, *ENGINE_ERRORS)


class SaManager:
    """What the gateway has and does about SAs. An installer is there while the switch is."""

    def __init__(
        self,
        gateway: str,
        store: Store,
        keys: PairKeys,
        placements: Placements,
        *,
        rules: ProtectRules,
        journal: Journal,
        parallel: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        """`parallel` says of which child (peer and name) there are to be several equal SAs."""
        self._parallel = parallel or {}
        self._gateway = gateway
        self._store = store
        self._keys = keys
        self._placements = placements
        self._journal = journal
        self._rules = rules
        self._ids = PolicyIds(store, gateway)
        self._installer: SaInstaller | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._strangers: defaultdict[str, list[int]] = defaultdict(list)
        self.live = LiveSas()
        self.negotiated: set[int] = set()
        """Inbound SPIs of the children that IKE has, installed or not."""

    @property
    def policy_ids(self) -> PolicyIds:
        """The numbers of the protect rules."""
        return self._ids

    def connect(self, installer: SaInstaller, live: Iterable[LiveSa]) -> None:
        """The switch is there, with these SAs in it. Those that ended meanwhile go."""
        ended = {record.child.spi_in for record in self._records() if _is_ended(record)}
        self._installer = installer
        self.live = LiveSas()
        self._strangers.clear()
        for sa in live:
            self._adopt(sa)
        for spi_in in ended & self.live.keys():
            self._start(self._remove(installer, self.live.pop(spi_in)))

    def _adopt(self, live: LiveSa) -> None:
        child = live.record.child
        self.live[child.spi_in] = live
        if child.spi_in not in self.negotiated:
            self._strangers[child.peer].append(child.spi_in)

    def disconnect(self) -> None:
        """The switch is away; removals that are under way are taken up by reconciliation."""
        self._installer = None
        for task in self._leaving:
            task.cancel()

    def child_of_policy(self, policy: int) -> tuple[str, str] | None:
        """Peer and child of the rule with a number."""
        rule = self._ids.rule(policy)
        return None if rule is None else self._rules.child_of(rule)

    def serves(self, peer: str, name: str) -> bool:
        """Whether a child of this configuration is up, under an IKE SA that still is; of one with
        several equal SAs, whether they all are. One for a part of its traffic is none of them.
        """
        up = sum(not child.share.partial for child in self.negotiated_of(peer, name))
        return up >= self._parallel.get((peer, name), 1)

    def negotiated_of(self, peer: str, name: str) -> list[ChildSaParams]:
        """The SAs of a child that are installed and that IKE has."""
        children = (live.record.child for live in self.live.of_child(peer, name))
        return [child for child in children if child.spi_in in self.negotiated]

    async def up(self, child: ChildSaParams, *, send: bool = True) -> bool:
        """Install a new pair; False, with the reason in the journal, when that failed."""
        self.negotiated.add(child.spi_in)
        try:
            live = await self._install(child, send=send)
        except INSTALL_ERRORS as error:
            self._note(Kind.SA_FAILED, child, str(error))
            return False
        self.live[child.spi_in] = live
        self._note(Kind.SA_UP, child, f"policy {live.record.policy}, {live.record.placement}")
        return True

    async def _install(self, child: ChildSaParams, *, send: bool) -> LiveSa:
        installer, rule = self._connected(), self._rules.of(child.peer, child.name)
        self._placements.diet.check(child, (live.record.child for live in self.live.values()))
        return await installer.install(self._gateway, child, self._ids.of(rule.name), send=send)

    def _connected(self) -> SaInstaller:
        if self._installer is None:
            raise SwitchUnreachableError(f"{self._gateway}: the switch is not connected")
        return self._installer

    def down(self, child: ChildSaParams, reason: str) -> None:
        """A pair is no longer ours: remove it, in the background, after the grace period."""
        self.negotiated.discard(child.spi_in)
        live = self.live.pop(child.spi_in, None)
        if live is None:
            self._placements.spis.release(child.spi_in)
            return
        self._note(Kind.SA_DOWN, child, reason)
        if self._installer is None:
            self._store.set_state(self._gateway, child.spi_in, SaState.DELETING)
        else:
            self._start(self._remove(self._installer, live))

    async def readdress(self, change: PathChanged) -> None:
        """A peer is elsewhere now: its SAs follow (RFC 7296 2.23, RFC 4555)."""
        for live in self.live.of_peer(change.ike.peer):
            child = live.record.child
            if _is_on(child, change.old):
                await self._connected().readdress(live, change.followed_by(child))
                self._note(Kind.SA_MOVED, child, f"to {change.new}")

    async def tune(self, live: LiveSa, change: Callable[[Tuning], Tuning]) -> None:
        """Change what was learned about an SA; ControllerError when the switch does not follow."""
        await self._connected().tune(live, change)

    def tuning(self, live: LiveSa) -> Tuning:
        """What holds for an SA at present."""
        return self._connected().tuning(live)

    def link_mtu(self, live: LiveSa) -> int:
        """The MTU of the link on which an SA's packets leave."""
        return self._connected().fresh_tuning(live.record.child).path_mtu

    def retire_strangers(self, peer: str) -> None:
        """Remove SAs of a peer that IKE does not know (they outlived a controller)."""
        for spi_in in self._strangers.pop(peer, ()):
            if spi_in in self.live and spi_in not in self.negotiated:
                self.down(self.live[spi_in].record.child, DownReason.INITIAL_CONTACT)

    async def _remove(self, installer: SaInstaller, live: LiveSa) -> None:
        child = live.record.child
        try:
            await installer.remove(live)
        except (ControllerError, StoreError) as error:
            self._note(Kind.SA_FAILED, child, f"removal is left to reconciliation: {error}")
        else:
            self._note(Kind.SA_REMOVED, child, "")

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def settled(self) -> None:
        """Wait until no removal is under way."""
        while self._leaving:
            await asyncio.wait(self._leaving)

    def registers_lost(self) -> list[ChildSaParams]:
        """The switch forgot everything: no key is ever used again, the next sweep removes them.

        Returns the children lost.
        """
        records = self._records()
        self._keys.adopt(())
        self.live.clear()
        self._store.remove_all_sas(self._gateway)
        self._placements.reset()
        return [record.child for record in records]

    def _records(self) -> list[SaRecord]:
        return self._store.sas(self._gateway)

    async def restore_keys(self) -> None:
        """Give the engine each key that a live SA lacks there; raises the first failure, if any."""
        lacking = [live for live in self.live.values() if not self._keys.holds(live.handles)]
        outcomes = await asyncio.gather(*map(self._restore, lacking), return_exceptions=True)
        for error in filter(None, outcomes):
            raise error

    async def _restore(self, live: LiveSa) -> None:
        await self._connected().rekeyed_engine(live)
        self._note(Kind.KEYS_RESTORED, live.record.child, f"now {live.handles}")

    def _note(self, kind: Kind, child: ChildSaParams, text: str) -> None:
        self._journal.add(Entry.of_child(self._gateway, kind, child, text))


def _is_ended(record: SaRecord) -> bool:
    return record.state is SaState.DELETING


def _is_on(child: ChildSaParams, path: Path) -> bool:
    """Whether a child's outer addresses, and ports if it has any, are those of a path."""
    if (child.local, child.remote) != (path.local.host, path.remote.host):
        return False
    udp = child.encapsulation
    return udp is None or (udp.local_port, udp.remote_port) == (path.local.port, path.remote.port)
