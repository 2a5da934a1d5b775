"""What a switch holds against what the store says it should: which SAs stay, what must go.

Nothing here installs an SA. A pair whose record says INSTALLED and whose entries all stand in the
switch, word for word but for the key handles, stays untouched. Any doubt (a record that is not
INSTALLED, an entry that is missing or differs, a configuration that no longer wants it) ends the
pair: its key is discarded.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from p4esp.controller.entries import Entry, Key
from p4esp.controller.errors import ControllerError
from p4esp.controller.pools import span
from p4esp.controller.sa_entries import Handles, PairEntries, destinations
from p4esp.controller.sa_installer import LiveSa
from p4esp.controller.sa_tuning import without_learned
from p4esp.controller.selection import SaSelection
from p4esp.store import SaRecord, SaState

SELECTION_TABLES = ("sa_select", "sa_select_v6")
OUTBOUND_TABLES = ("tunnel_v6", "format_out", "diet_out", "sa_out")
SA_TABLES = (
    *("sa_in", "in_policy", "in_policy_v6", "in_class", "pair_v6", "layer4_delta", "peer"),
    *("format_in", "sa_label", "diet_in", "diet_sad", "sad", *OUTBOUND_TABLES, "sa_member"),
    *SELECTION_TABLES,
)
SOURCE_LABEL_TABLES = ("source_label", "source_label_v6")
BASE_TABLES = (
    *("port_role", "egress_if", "local_v4", "local_v6"),
    *("echo", "fragment", "route_v4", "route_v6"),
    *(*SOURCE_LABEL_TABLES, "host_label", "host_label_v6"),
)
DIET_PEER_TABLES = ("diet_peer_v4", "diet_peer_v6")
NEIGHBOUR_TABLES = ("neighbour", "neighbour_v6")
SPD_TABLES = ("spd", "spd_v6")

BuildEntries = Callable[[SaRecord, Handles], PairEntries]
"""The entries of a pair; ControllerError when it cannot be served any more."""
Covers = Callable[[SaRecord], bool]
"""Whether the configuration still agrees to an SA."""


@dataclass(frozen=True, slots=True)
class Findings:
    """The outcome. Cell ranges are (first cell, count)."""

    keep: list[LiveSa] = field(default_factory=list)
    discard: list[SaRecord] = field(default_factory=list)
    strays: list[Entry] = field(default_factory=list)
    """SA entries of nobody, those of discarded SAs included."""
    outdated: list[Entry] = field(default_factory=list)
    """Entries of SAs that stay, as they must be: a controller before us has learned otherwise."""
    dirty_cells: set[tuple[int, int]] = field(default_factory=set)
    """Replay cells that a discarded SA or a stray entry may have used."""


def examine(
    records: Iterable[SaRecord], entries: Sequence[Entry], build: BuildEntries, covers: Covers
) -> Findings:
    """Compare the store's SAs with the SA entries of a switch (those of the selection aside)."""
    by_key = {entry.key: entry for entry in entries if entry.table not in SELECTION_TABLES}
    findings = Findings()
    for record in records:
        live = _survivor(record, by_key, build) if covers(record) else None
        if live is None:
            findings.discard.append(record)
        else:
            findings.keep.append(live)
            for entry in live.entries.all:
                if by_key.pop(entry.key) != entry:
                    findings.outdated.append(entry)
    _account_for_strays(findings, list(by_key.values()))
    return findings


def _survivor(record: SaRecord, by_key: dict[Key, Entry], build: BuildEntries) -> LiveSa | None:
    if record.state is not SaState.INSTALLED:
        return None
    try:
        expected = build(record, Handles(0, 0))
    except ControllerError:
        return None
    found = [by_key.get(entry.key) for entry in expected.all]
    if not all(map(_same_but_key, expected.all, found)):
        return None
    handles = _handles(expected, by_key)
    return LiveSa(record, handles, build(record, handles))


def _same_but_key(expected: Entry, found: Entry | None) -> bool:
    return found is not None and without_learned(found) == without_learned(expected)


def _handles(expected: PairEntries, by_key: dict[Key, Entry]) -> Handles:
    inbound, outbound = by_key[expected.inbound[0].key], by_key[expected.outbound.key]
    return Handles(inbound.arg("key"), outbound.arg("key"))


def _account_for_strays(findings: Findings, strays: list[Entry]) -> None:
    findings.strays.extend(strays)
    for record in findings.discard:
        findings.dirty_cells.add((record.placement.cell_base, record.placement.cells))
    formats = {entry.field("sa"): entry for entry in strays if entry.table == "format_in"}
    for entry in strays:
        if entry.table == "sa_in" and entry.arg("window"):
            count = _cells_of(entry, formats.get(entry.field("sa")))
            findings.dirty_cells.add((entry.arg("cell_base"), count))
    in_use = _CellsInUse(findings.keep)
    touched = {cells for cells in findings.dirty_cells if in_use.touch(cells)}
    findings.dirty_cells.difference_update(touched)


def _cells_of(sa_in: Entry, format_in: Entry | None) -> int:
    """The replay cells of all spaces of an inbound SA."""
    subs = 1 if format_in is None else span(format_in.arg("last_sub") + 1)
    return (sa_in.arg("cell_mask") + 1) * subs


class _CellsInUse:
    """The replay cells of the SAs that stay, which no other SA may ever have had."""

    def __init__(self, keep: Iterable[LiveSa]) -> None:
        places = [live.record.placement for live in keep]
        self._ranges = sorted((p.cell_base, p.cell_base + p.cells) for p in places if p.cells)

    def touch(self, cells: tuple[int, int]) -> bool:
        """Whether a range shares a cell with one of them; they do not overlap each other."""
        base, count = cells
        at = bisect_left(self._ranges, (base + count,))
        return at > 0 and self._ranges[at - 1][1] > base


def adopt_selection(
    selection: SaSelection, keep: Iterable[LiveSa], entries: Iterable[Entry]
) -> None:
    """Fill the selection with the SAs that stay; who is in the table already, comes first."""
    first = {"use_sa": "sa", "use_set": "fallback"}
    serving = {entry.arg(first[entry.action]) for entry in entries}
    ranked = sorted(keep, key=lambda live: live.record.placement.sa_out not in serving)
    for live in ranked:
        record = live.record
        selection.adopt(destinations(record), record.placement.sa_out, record.child.share)
