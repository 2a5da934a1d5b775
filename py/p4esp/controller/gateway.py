"""One gateway: a switch, its engine, its peers.

The IKE endpoint and the record of SAs live as long as the gateway; a `SwitchLink` lives as long as
the switch's connection. Each connection starts by asking what the switch still knows:

* its registers are those of our last boot id: nothing is reset, the SAs are reconciled;
* they are not: no key that was in use is ever installed again. The peers are told, and new child
  SAs are made under the IKE SAs.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from p4esp.controller.arming import SetArming
from p4esp.controller.authorisation import Authorisation
from p4esp.controller.beet_pairs import BeetPairs
from p4esp.controller.cancellation import in_own_task
from p4esp.controller.config import GatewayConfig
from p4esp.controller.drop_audit import DropAudit
from p4esp.controller.engine_keys import PairKeys
from p4esp.controller.errors import ControllerError, ForeignPipelineError
from p4esp.controller.esn_resync import EsnResync
from p4esp.controller.esp_ping import EspPings
from p4esp.controller.ike_events import IkeEvents
from p4esp.controller.ike_transport import frame_of
from p4esp.controller.interfaces import Interfaces
from p4esp.controller.labels import LabelNumbers
from p4esp.controller.link import (
    Inventory,
    LinkFixtures,
    SwitchLink,
    new_link,
    registers_intact,
    start_afresh,
    take_over,
)
from p4esp.controller.link_mtu import mtu_towards
from p4esp.controller.mtu_reports import MtuReports
from p4esp.controller.parallel import equal_shares, form_sets, share_plans
from p4esp.controller.path_mtu import PathMtu
from p4esp.controller.ping_path import PingPaths
from p4esp.controller.placement import Placements
from p4esp.controller.protect_rules import ProtectRules
from p4esp.controller.punts import PuntHandler
from p4esp.controller.sa_events import SaEvents
from p4esp.controller.sa_installer import LiveSa, Numbers
from p4esp.controller.sa_manager import SaManager
from p4esp.controller.sa_traffic import SaTraffic
from p4esp.controller.sealed_ping import SealedPings
from p4esp.controller.shares import Shares
from p4esp.controller.surroundings import Surroundings
from p4esp.controller.target import Session, SwitchAddress, open_session
from p4esp.engine.keyservice import KeyService
from p4esp.ike.config import PeerConfig
from p4esp.ike.constants import NotifyType
from p4esp.ike.crash_tokens import SECRET_SIZE
from p4esp.ike.endpoint import IkeEndpoint, directory
from p4esp.ike.errors import CommandError
from p4esp.ike.events import Event
from p4esp.ike.extensions.standard import STANDARD
from p4esp.ike.path import Datagram
from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.state import Environment
from p4esp.ipsec.sa import ChildSaParams
from p4esp.service.audit import trace_hook
from p4esp.service.connections import Connections
from p4esp.service.driver import Driver
from p4esp.service.journal import Entry, Kind
from p4esp.service.key_export import ike_key_export
from p4esp.store import StoreError

REFUSALS: Final = 1.0
"""Packets a second whose refusal by the switch is noted: hosts on a link decide how many come."""


class Gateway:
    """Runs one gateway until it is cancelled."""

    def __init__(
        self, name: str, config: GatewayConfig, keys: KeyService, around: Surroundings
    ) -> None:
        self.name = name
        self._config = config
        self._around = around
        self._address = SwitchAddress(name, config.address, config.device_id, around.election_id)
        self._rules = [policy.rule() for policy in config.policies]
        self._labels = LabelNumbers(around.store, name)
        self._interfaces = Interfaces(config, self._labels.of)
        self._placements = Placements(around.store, name, self._random_bits)
        self.keys = PairKeys(keys)
        self._protect = ProtectRules(self._rules)
        self.sas = SaManager(
            *(name, around.store, self.keys, self._placements),
            rules=self._protect,
            journal=around.journal,
            parallel=equal_shares(config),
        )
        self.drop_audit = DropAudit(name, around.journal)
        self.icmp_ignored: Counter[str] = Counter()
        """ICMP "too big" messages that did not count, by reason."""
        self._pings = EspPings(around.clock, around.random_bytes)
        self._sealed_pings = SealedPings(around.clock, around.random_bytes)
        self._ping_paths = PingPaths(config, self._interfaces)
        self._link: SwitchLink | None = None
        self._told: dict[Kind, str] = {}
        self._refusals = RateLimit(REFUSALS, around.clock())
        self._setup_ike()

    def _random_bits(self, bits: int) -> int:
        return int.from_bytes(self._around.random_bytes(bits // 8), "big")

    def _setup_ike(self) -> None:
        peers = self.peers
        around = self._around
        self._authorisation = Authorisation(peers, self._protect, self.sas.policy_ids)
        beet = BeetPairs(
            lambda: self.sas.live.children()  # noqa: PLW0108 -- `live` is another after a reconnect
        )
        environment = Environment(
            random=around.random_bytes,
            spis=self._placements.spis,
            settings=replace(around.ike_settings, experimental=self._config.experimental),
            extensions=STANDARD,
            trace=trace_hook(self.name, around.journal, around.trace),
            export_keys=ike_key_export(around.export_keys),
            objection=lambda wanted: self._protect.objects(wanted) or beet.objection(wanted),
            wall_clock=around.wall_clock,
            token_secret=self._token_secret(peers),
            moves_counters=True,
        )
        self._environment = environment
        events = IkeEvents(
            self.name, self.sas, around.journal, lambda: self._link, around.export_keys
        )
        self._events = events
        endpoint = self._new_endpoint()
        self.ike = Driver(endpoint, self._handle_event, self._send_datagram, around.clock)
        self.connections = Connections(
            *(self.name, peers, self.sas, self.ike),
            journal=around.journal,
            retry=around.retry,
            retry_most=around.retry_most,
            clock=around.clock,
            fraction=environment.fraction,
        )
        self.shares = self._new_shares(environment.fraction)
        events.attach(self.ike, self.connections, self.shares)

    def _new_shares(self, fraction: Callable[[], float]) -> Shares:
        around, connections = self._around, self.connections
        return Shares(
            *(self.name, share_plans(self._config), self.sas, self.ike),
            connections.established.of_peer,
            arming=SetArming(lambda: self._link, self._protect, self.sas.policy_ids),
            bring_up=connections.bring_up,
            journal=around.journal,
            patience=around.patience,
            retry=around.retry,
            retry_most=around.retry_most,
            clock=around.clock,
            fraction=fraction,
        )

    def _token_secret(self, peers: Iterable[PeerConfig]) -> bytes:
        """What crash tokens are made of, the same for good; none where no peer is to have one."""
        if not any(peer.extensions.crash_detection for peer in peers):
            return b""
        store, random_bytes = self._around.store, self._around.random_bytes
        return store.secret(self.name, "crash tokens", lambda: random_bytes(SECRET_SIZE))

    async def _handle_event(self, event: Event) -> None:
        await self._events.handle(event)
        self._around.hub.publish(event)

    def _new_endpoint(self) -> IkeEndpoint:
        return IkeEndpoint(self._environment, directory(self.peers), self._around.clock())

    def forget_ike(self) -> None:
        """All IKE SAs are gone without a word, as after a crash; switch and store stay."""
        self.ike.endpoint = self._new_endpoint()
        self.connections.established.clear()

    @property
    def peers(self) -> list[PeerConfig]:
        """Its IKE peers."""
        return [peer.config() for peer in self._config.peers]

    async def run(self) -> None:
        """Serve for ever; a switch that cannot be used is tried again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.ike.run(), name=f"{self.name}-ike")
            tasks.create_task(self._keep_connected(), name=f"{self.name}-switch")

    async def _keep_connected(self) -> None:
        try:
            while True:
                await self._connect_once()
                await asyncio.sleep(self._around.reconnect)
        finally:
            self.connections.stop()
            self.shares.stop()

    async def _connect_once(self) -> None:
        try:
            lost_registers = await in_own_task(self._session(push=False))
            if lost_registers:
                await in_own_task(self._session(push=True))
        except* ForeignPipelineError as group:
            self._note_once(Kind.REFUSED, _first(group))
        except* ControllerError as group:
            self._note_once(Kind.DISCONNECTED, _first(group))
        except* StoreError as group:
            self._note_once(Kind.STORE_FAILED, _first(group))

    def _note_once(self, kind: Kind, text: object) -> None:
        """Note what became of an attempt to connect, once for as long as it stays the same."""
        if self._told.get(kind) != str(text):
            self._note(kind, text)
        self._told[kind] = str(text)

    async def _session(self, *, push: bool) -> bool:
        """Serve one connection until it ends; True at once when its registers are lost."""
        around = self._around
        async with open_session(self._address, around.program, push=push) as session:
            expected = around.store.boot_id(self.name)
            if not session.pushed and not await registers_intact(session, expected):
                return True
            await self._serve(session)
        return False

    async def _serve(self, session: Session) -> None:
        link = self._new_link(session)
        self._events.path_mtu = path_mtu = self._path_mtu(link)
        reports = self._mtu_reports()
        punts = self._punts(link, path_mtu, reports)
        self._note_once(Kind.CONNECTED, f"pipeline {'loaded' if session.pushed else 'kept'}")
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(punts.run())
                tasks.create_task(_until_lost(session))
                await self._bring_up(link)
                events = self._sa_events(session)
                tasks.create_task(events.run())
                tasks.create_task(events.catch_up(link.state))
                traffic = SaTraffic(session, self.sas, self.ike, self.shares.carried)
                tasks.create_task(traffic.run(self._around.traffic_interval))
                tasks.create_task(path_mtu.run())
                if any(peer.extensions.mtu_detection for peer in self._config.peers):
                    tasks.create_task(reports.run())
                resync = EsnResync(session, self.sas, link.state, self._around.journal)
                tasks.create_task(resync.run(self._around.resync_interval))
                tasks.create_task(self.drop_audit.run(session, self._around.audit_interval))
                tasks.create_task(link.health.run(self._around.health_interval))
        finally:
            self._link = self._events.path_mtu = None
            self.sas.disconnect()
            link.close()

    def _punts(self, link: SwitchLink, path_mtu: PathMtu, reports: MtuReports) -> PuntHandler:
        parts = (self._interfaces, self.ike, self.sas, self.connections)
        return PuntHandler(
            link,
            *parts,
            path_mtu=path_mtu,
            mtu_reports=reports,
            pings=self._pings,
            sealed_pings=self._sealed_pings,
            report=self._packet_refused,
        )

    def _path_mtu(self, link: SwitchLink) -> PathMtu:
        settings, around = self._config.path_mtu.settings(), self._around
        parts = (settings, around.journal, self.icmp_ignored)
        return PathMtu(self.sas, link.state, *parts, clock=around.clock)

    def _mtu_reports(self) -> MtuReports:
        parts = (self._interfaces, self._around.journal, self.icmp_ignored)
        return MtuReports(self.sas, self.ike, *parts, clock=self._around.clock)

    def _packet_refused(self, error: ControllerError) -> None:
        if self._refusals.allow(self._around.clock()):
            self._note(Kind.REFUSED, error)

    def _sa_events(self, session: Session) -> SaEvents:
        parts = (self.sas, self.ike, self.connections, self._around.journal)
        return SaEvents(session, *parts, acquire=self.shares.acquire, clock=self._around.clock)

    async def _bring_up(self, link: SwitchLink) -> None:
        if link.session.pushed:
            lost = await self._start_afresh(link)
        else:
            await self._take_over(link)
            lost = []
        await form_sets(link.selection, self._config, self.sas.policy_ids)
        await link.session.subscribe_digests()
        self._labels.keep(self._config.label_names)
        self._link = link
        self._replace(lost)
        self.connections.keep_up(self._kept_up())
        self.connections.start()
        self._told.clear()
        self._note(Kind.READY, f"{len(self.sas.live)} SAs")

    async def _start_afresh(self, link: SwitchLink) -> list[ChildSaParams]:
        lost = self.sas.registers_lost()
        if lost:
            self._note(Kind.REGISTERS_LOST, f"{len(lost)} SAs end")
        self.sas.connect(link.installer, ())
        boot_id = self._random_bits(64)
        self._around.store.set_boot_id(self.name, boot_id)
        await start_afresh(link, self._interfaces, self._rules, boot_id)
        return lost

    async def _take_over(self, link: SwitchLink) -> None:
        store, established = self._around.store, self.connections.established
        inventory = Inventory(
            *(self.name, store, self.keys, self._placements),
            live_ike=lambda: established,
            covers=self._authorisation.covers,
        )
        kept = await take_over(link, self._interfaces, self._rules, inventory)
        self.sas.connect(link.installer, kept)
        await link.health.check()
        self._end_unknown_children()
        self._note(Kind.RECONCILED, f"{len(kept)} SAs stay")

    def _end_unknown_children(self) -> None:
        """Children that IKE still has and the switch does not: the peer must know."""
        for spi_in in self.sas.negotiated - self.sas.live.keys():
            self.delete_child(spi_in)

    def _replace(self, lost: list[ChildSaParams]) -> None:
        for child in lost:
            if self.delete_child(child.spi_in):
                self.connections.bring_up(child.peer, child.name)

    def delete_child(self, spi_in: int) -> bool:
        """Delete a child SA here and at the peer; False when IKE does not know it."""
        try:
            self.ike.command(lambda endpoint, now: endpoint.delete_child(spi_in, now))
        except CommandError:
            return False
        return True

    def rekey_child(self, spi_in: int) -> None:
        """Replace a child SA; CommandError when IKE does not know it."""
        self.ike.command(lambda endpoint, now: endpoint.rekey_child(spi_in, now))

    async def ping(self, remote: str, number: int, size: int, seconds: float) -> float | None:
        """Send an ESP ping; the seconds until its reply, None without one. CommandError when it
        cannot be sent.
        """
        ends = self._ping_paths.towards(remote, size)
        with self._session_for_pings() as session:
            return await self._pings.ping(session.send_routed, ends, number, size, seconds=seconds)

    async def sealed_ping(
        self, sa: LiveSa, number: int, size: int, back: int | None, seconds: float
    ) -> float | None:
        """The same inside an SA; `back` is the SPI under which the reply is wanted."""
        with self._session_for_pings() as session:
            return await self._sealed_pings.ping(
                session.send_echo, sa, number, size, back=back, seconds=seconds
            )

    def announces_pings(self, child: ChildSaParams) -> bool:
        """Whether a child SA's peer has announced that it answers pings inside SAs."""
        known = self.connections.established.values()
        theirs = [
            ike for ike in known if (ike.peer, ike.remote_id) == (child.peer, child.remote_id)
        ]
        return any(NotifyType.ENCRYPTED_PING_SUPPORTED.name in ike.extensions for ike in theirs)

    @contextmanager
    def _session_for_pings(self) -> Iterator[Session]:
        """What fails is the caller's to be told."""
        if self._link is None:
            raise CommandError("the switch is not connected; accepted: when it is up again")
        try:
            yield self._link.session
        except ControllerError as error:
            raise CommandError(str(error)) from None

    def _kept_up(self) -> list[tuple[str, str]]:
        peers = self._config.peers
        return [(peer.name, child.name) for peer in peers for child in peer.children if child.start]

    def _new_link(self, session: Session) -> SwitchLink:
        fixtures = LinkFixtures(
            self.keys,
            Numbers(
                self._placements,
                self._interfaces.local_id,
                lambda remote: mtu_towards(self._interfaces, remote),
                lambda policy: self._labels.of(
                    self._protect.label(self.sas.policy_ids.rule(policy))
                ),
            ),
            self._around.store,
            self._interfaces,
            self.sas.policy_ids,
            self._labels,
        )
        watch = (self.sas.restore_keys, self._engine_changed)
        return new_link(session, self._config, fixtures, *watch, clock=self._around.clock)

    async def _send_datagram(self, datagram: Datagram) -> None:
        """UDP's promise: it arrives, or it does not."""
        frame = frame_of(datagram)
        if self._link is None or frame is None:
            return
        try:
            await self._link.session.send_routed(frame)
        except ControllerError as error:
            self._note(Kind.DISCONNECTED, error)

    def _engine_changed(self, up: bool, detail: str) -> None:
        self._note(Kind.ENGINE_UP if up else Kind.ENGINE_DOWN, detail)

    def _note(self, kind: Kind, text: object) -> None:
        self._around.journal.add(Entry(self.name, kind, self._config.address, str(text)))

    @property
    def link(self) -> SwitchLink | None:
        """The present connection, once it is brought up to date."""
        return self._link


async def _until_lost(session: Session) -> None:
    raise await asyncio.shield(session.lost)


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
