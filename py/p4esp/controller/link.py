"""What a gateway has while its switch is connected, and how it brings the switch up to date."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from p4esp.controller import tables
from p4esp.controller.config import GatewayConfig
from p4esp.controller.engine_keys import PairKeys
from p4esp.controller.entries import Entry, Op, Update, deletes, difference, inserts, modifies
from p4esp.controller.errors import SwitchUnreachableError
from p4esp.controller.health import EngineHealth, Report, Restore
from p4esp.controller.interfaces import Interfaces
from p4esp.controller.labels import LabelNumbers
from p4esp.controller.neighbours import Neighbours
from p4esp.controller.numbers import Punt
from p4esp.controller.parallel import spreads_of
from p4esp.controller.placement import Placements
from p4esp.controller.policy import VERSIONS, PolicyTable
from p4esp.controller.policy_ids import PolicyIds
from p4esp.controller.reconcile import (
    BASE_TABLES,
    DIET_PEER_TABLES,
    NEIGHBOUR_TABLES,
    SA_TABLES,
    SELECTION_TABLES,
    SOURCE_LABEL_TABLES,
    SPD_TABLES,
    Covers,
    Findings,
    adopt_selection,
    examine,
)
from p4esp.controller.sa_installer import LiveSa, Numbers, SaInstaller, SwitchPort
from p4esp.controller.selection import SaSelection
from p4esp.controller.state_channel import StateChannel
from p4esp.controller.target import Session
from p4esp.controller.writer import TableWriter
from p4esp.ipsec.diet import apart_of
from p4esp.ipsec.layouts import block, spis_in
from p4esp.ipsec.policy import PolicyRule
from p4esp.store import Store

PUNT_RATES: Final = {
    Punt.IKE_NEW: (500, 200),
    Punt.IKE_KNOWN: (5000, 1000),
    Punt.IKE_OTHER: (500, 200),
    Punt.ARP: (200, 100),
    Punt.LOCAL: (100, 50),
    Punt.ACQUIRE: (100, 50),
    Punt.TTL: (100, 50),
    Punt.NO_NEIGHBOUR: (200, 100),
    Punt.ND: (200, 100),
    Punt.TOO_BIG: (200, 100),
    Punt.PATH_MTU: (50, 50),
    Punt.ECHO: (200, 100),
    Punt.SEALED_ECHO: (200, 100),
    Punt.FRAGMENT: (50, 50),
}
"""Packets a second and burst that each class may send us; one class never starves another."""


@dataclass(frozen=True, slots=True)
class SwitchLink:
    """One session and what works on it."""

    session: Session
    echo_rate: int
    """Answers to ESP pings, a second."""
    writer: TableWriter
    state: StateChannel
    selection: SaSelection
    policy: PolicyTable
    neighbours: Neighbours
    health: EngineHealth
    installer: SaInstaller

    def close(self) -> None:
        """The session is over: what waits for the switch, waits no longer."""
        reason = SwitchUnreachableError("the session with the switch is over")
        self.writer.close(reason)
        self.state.close(reason)


@dataclass(frozen=True, slots=True)
class LinkFixtures:
    """What a gateway keeps from one connection to the next."""

    keys: PairKeys
    numbers: Numbers
    store: Store
    interfaces: Interfaces
    policy_ids: PolicyIds
    labels: LabelNumbers


def new_link(
    session: Session,
    config: GatewayConfig,
    fixtures: LinkFixtures,
    restore: Restore,
    report: Report,
    *,
    clock: Callable[[], float],
) -> SwitchLink:
    """Set everything up for a new session; nothing is sent yet."""
    writer = TableWriter(session.write)
    port = SwitchPort(writer, StateChannel(session.send_control), SaSelection(writer))
    settings = replace(config.sa.settings(), spreads=spreads_of(config))
    send = (session.send_frame, session.send_routed)
    return SwitchLink(
        session=session,
        echo_rate=config.esp_ping_rate,
        writer=writer,
        state=port.state,
        selection=port.selection,
        policy=PolicyTable(writer, fixtures.policy_ids, fixtures.labels.of),
        neighbours=Neighbours(fixtures.interfaces, writer, *send, clock=clock),
        health=EngineHealth(fixtures.keys, writer, restore, report),
        installer=SaInstaller(
            *(port, fixtures.keys, fixtures.numbers, fixtures.store),
            settings=settings,
            grace=config.sa.grace,
        ),
    )


async def registers_intact(session: Session, expected: int | None) -> bool:
    """Whether the switch's registers are those of our last boot id."""
    entries = await session.read("boot_id")
    return expected is not None and [tables.boot_id(expected)] == entries


async def start_afresh(
    link: SwitchLink, interfaces: Interfaces, rules: Sequence[PolicyRule], boot_id: int
) -> None:
    """Fill an empty switch.

    Meters come before port roles, without which ports are dead: no packet reaches us and no ping is
    answered unmetered. The boot id comes last: without it, none of this counts.
    """
    interfaces.adopt(())
    neighbours = interfaces.static_neighbours()
    await link.session.limit_punts(PUNT_RATES)
    await link.session.limit_echoes(link.echo_rate)
    await link.writer.write(inserts([*interfaces.entries(), *neighbours]))
    link.neighbours.adopt(neighbours)
    await link.policy.install(rules)
    await link.health.check()
    await link.writer.write(inserts([tables.boot_id(boot_id)]))


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a gateway knows of its SAs when it meets a switch that kept its registers."""

    gateway: str
    store: Store
    keys: PairKeys
    placements: Placements
    live_ike: Callable[[], Iterable[bytes]]
    """Our SPIs of the IKE SAs that are up."""
    covers: Covers


async def take_over(
    link: SwitchLink, interfaces: Interfaces, rules: Sequence[PolicyRule], known: Inventory
) -> list[LiveSa]:
    """Bring a switch that kept its state up to date; returns the SAs that stay.

    What is right is not written again: packets notice nothing.
    """
    await _correct_base(link, interfaces)
    findings = await _examine_sas(link, known)
    await _clean_up(link, known, findings)
    for live in findings.keep:
        child = live.record.child
        known.placements.reserve(live.record.placement, child)
        spis = known.placements.spis
        spis.reserve(child.spi_in, block(len(spis_in(child))), apart_of(child))
    await _correct_diet_peers(link, interfaces, known.placements)
    known.keys.adopt(live.handles for live in findings.keep)
    await _adopt_policy(link, rules)
    link.health.adopt(await link.session.read("crypto_port"))
    return findings.keep


async def _correct_diet_peers(
    link: SwitchLink, interfaces: Interfaces, placements: Placements
) -> None:
    """Who compresses: a peer none of whose SAs stay is read like any other."""
    wanted = placements.diet.entries(interfaces.local_id)
    await link.writer.write(difference(await link.session.read(*DIET_PEER_TABLES), wanted))


async def _correct_base(link: SwitchLink, interfaces: Interfaces) -> None:
    await link.session.limit_echoes(link.echo_rate)
    have = await link.session.read(*BASE_TABLES)
    interfaces.adopt(entry for entry in have if entry.action in ("is_local", "is_local_diet"))
    await _write_base(link, difference(have, interfaces.entries()))
    present = await link.session.read(*NEIGHBOUR_TABLES)
    wanted = _wanted_neighbours(present, interfaces)
    await link.writer.write(difference(present, wanted))
    link.neighbours.adopt(wanted)


async def _write_base(link: SwitchLink, updates: Sequence[Update]) -> None:
    """No packet meets the rules of one configuration with the label of another: from the first
    label that changes until the rules are installed, what is clear is discarded.
    """
    if any(update.entry.table in SOURCE_LABEL_TABLES for update in updates):
        used = {entry.field("version") for entry in await link.session.read(*SPD_TABLES)}
        empty = next(number for number in range(VERSIONS) if (number, 0xFF) not in used)
        await link.writer.write([Update(Op.MODIFY, tables.policy_version(empty))])
    await link.writer.write(updates)


def _wanted_neighbours(present: list[Entry], interfaces: Interfaces) -> list[Entry]:
    """The configured ones, and those learned on links that are still ours."""
    static = interfaces.static_neighbours()
    keys = {entry.key for entry in static}
    learned = [entry for entry in present if entry.key not in keys]
    return [*static, *(entry for entry in learned if interfaces.has_link_of(entry))]


async def _examine_sas(link: SwitchLink, known: Inventory) -> Findings:
    entries = await link.session.read(*SA_TABLES)
    records, build = known.store.sas(known.gateway), link.installer.entries
    findings = examine(records, entries, build, known.covers)
    selected = [entry for entry in entries if entry.table in SELECTION_TABLES]
    adopt_selection(link.selection, findings.keep, selected)
    await link.writer.write(difference(selected, link.selection.entries()))
    return findings


async def _clean_up(link: SwitchLink, known: Inventory, findings: Findings) -> None:
    """End every SA in doubt: entries, replay cells, record. The engine is swept later."""
    await link.writer.write(modifies(findings.outdated))
    await link.writer.write(deletes(findings.strays))
    scrubs = (link.state.scrub_cells(base, count) for base, count in findings.dirty_cells)
    await asyncio.gather(*scrubs)
    for record in findings.discard:
        known.store.remove_sa(known.gateway, record.child.spi_in)
    known.placements.reset()
    spis = [tables.ike_sa(spi) for spi in known.live_ike()]
    await link.writer.write(difference(await link.session.read("ike_sa"), spis))


async def _adopt_policy(link: SwitchLink, rules: Sequence[PolicyRule]) -> None:
    version = await link.session.read_default("policy_version")
    link.policy.adopt(version.arg("version"), await link.session.read(*SPD_TABLES))
    await link.policy.install(rules)
