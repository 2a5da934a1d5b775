"""The counters that say what became of each packet."""

from __future__ import annotations

from dataclasses import dataclass
from operator import sub

from finsy.proto import p4r

from harness.ids import Outcome
from harness.p4runtime import Client


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Cells of the counters ``drops``, ``punts`` and ``outcomes``."""

    drops: tuple[int, ...]
    punts: tuple[int, ...]
    outcomes: tuple[int, ...]

    def __sub__(self, earlier: Snapshot) -> Snapshot:
        return Snapshot(
            tuple(map(sub, self.drops, earlier.drops)),
            tuple(map(sub, self.punts, earlier.punts)),
            tuple(map(sub, self.outcomes, earlier.outcomes)),
        )

    @property
    def received(self) -> int:
        """Packets that the pipeline has taken in."""
        return sum(self.outcomes)

    @property
    def frames_out(self) -> int:
        """Frames that leave by a port."""
        return self.outcomes[Outcome.FORWARDED] + self.outcomes[Outcome.TO_ENGINE]

    @property
    def packet_ins(self) -> int:
        """Packets for the controller; a dropped packet may be one of them."""
        return sum(self.punts) + self.outcomes[Outcome.ANSWERED]


class CounterReader:
    """Reads indexed counters over P4Runtime."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._ids = {counter.alias: counter.id for counter in client.schema.counters}

    def outcomes(self) -> tuple[int, ...]:
        """The outcome counter alone, which is what one polls."""
        return self._read("outcomes")[0]

    def read(self) -> Snapshot:
        """All three, in one request."""
        return Snapshot(*self._read("drops", "punts", "outcomes"))

    def traffic(self, name: str, index: int) -> tuple[int, int]:
        """Packets and octets of one cell of a per-SA counter."""
        entry = p4r.CounterEntry(counter_id=self._ids[name], index=p4r.Index(index=index))
        (entity,) = self._client.read(p4r.Entity(counter_entry=entry))
        data = entity.counter_entry.data
        return data.packet_count, data.byte_count

    def _read(self, *names: str) -> list[tuple[int, ...]]:
        ids = [self._ids[name] for name in names]
        cells: dict[int, dict[int, int]] = {counter: {} for counter in ids}
        entries = [p4r.Entity(counter_entry=p4r.CounterEntry(counter_id=i)) for i in ids]
        for entity in self._client.read(*entries):
            cell = entity.counter_entry
            cells[cell.counter_id][cell.index.index] = cell.data.packet_count
        return [tuple(cells[i][n] for n in sorted(cells[i])) for i in ids]
