"""How a header is taken from the packet and put back: few ``struct`` calls, few variables.

A header is a row of cells of whole bytes.  Neighbouring fields that nothing in the program looks
at share one cell that stays bytes; fields that share a byte share a cell that is an integer.  A
cell whose fields are only read keeps its integer, so that it goes out again as it came in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from p4esp.switch import ir
from p4esp.switch.codegen.names import Names
from p4esp.switch.codegen.usage import Usage

_CODES = {1: "B", 2: "H", 3: "HB", 4: "I", 5: "IB", 6: "IH", 7: "IHB", 8: "Q"}
_CODE_BYTES = {"B": 1, "H": 2, "I": 4, "Q": 8}


@dataclass(frozen=True, slots=True)
class Part:
    """A field inside a cell; ``shift`` counts bits from the cell's low end."""

    field: ir.Field
    shift: int
    variable: str


@dataclass(frozen=True, slots=True)
class Cell:
    """``size`` bytes at ``offset``.

    ``raw`` cells hold bytes in ``variable``: fields nobody looks at, or one field that is only
    ever written (``opaque``).  Others hold integers: the whole cell in ``variable``, if ``kept``,
    and every part in a variable of its own.
    """

    offset: int
    size: int
    raw: bool
    variable: str
    parts: tuple[Part, ...]
    kept: bool
    wanted: bool
    fields: tuple[ir.Field, ...] = ()
    opaque: bool = False

    @property
    def holds_integer(self) -> bool:
        """Whether ``variable`` is the whole cell as an integer."""
        return self.kept and not self.raw and not self.whole

    @property
    def whole(self) -> bool:
        """Whether the cell is exactly one field."""
        return len(self.parts) == 1 and self.parts[0].field.width == 8 * self.size

    def variables(self) -> Iterator[tuple[str, str]]:
        """What the cell occupies: (variable, source of its zero)."""
        if self.raw:
            yield self.variable, repr(bytes(self.size))
            return
        if self.holds_integer:
            yield self.variable, "0"
        for part in self.parts:
            yield part.variable, "0"


@dataclass(frozen=True, slots=True)
class Layout:
    """A header's cells in front of and behind its variable-length field (``varbit``)."""

    header: ir.Header
    front: tuple[Cell, ...]
    varbit: str | None
    back: tuple[Cell, ...]
    front_bytes: int
    back_bytes: int

    @property
    def fixed_bytes(self) -> int:
        """The header's size without its variable-length field."""
        return self.front_bytes + self.back_bytes

    def variables(self) -> list[tuple[str, str]]:
        """Everything the header occupies: (variable, source of its zero)."""
        rows = [row for cell in self.front for row in cell.variables()]
        if self.varbit is not None:
            rows.append((self.varbit, f"bytes(len({self.varbit}))"))
        return rows + [row for cell in self.back for row in cell.variables()]


def code_pieces(size: int) -> list[tuple[str, int]]:
    """``struct`` codes for an integer cell, each with its bytes; one string code above 8 bytes."""
    if size not in _CODES:
        return [(f"{size}s", size)]
    return [(code, _CODE_BYTES[code]) for code in _CODES[size]]


def build_layouts(program: ir.Program, usage: Usage, names: Names) -> dict[str, Layout]:
    """The layout of every header that is not metadata."""
    headers = [h for h in program.headers.values() if not h.metadata]
    groups = _groups([h.name for h in headers], usage.twins)
    layouts = {}
    for header in headers:
        group = [program.headers[name] for name in groups[header.name]]
        needs = _Needs.of(group, program, usage)
        layouts[header.name] = _Cutter(header, needs, names).layout()
    return layouts


def _groups(headers: list[str], twins: set[tuple[str, str]]) -> dict[str, list[str]]:
    """Headers that are copied or compared must be cut alike."""
    groups = {name: [name] for name in headers}
    for a, b in twins:
        if a in groups and b in groups and groups[a] is not groups[b]:
            groups[a] += groups[b]
            for member in groups[b]:
                groups[member] = groups[a]
    return groups


@dataclass(frozen=True, slots=True)
class _Needs:
    """By place in the header: how often fields are read, which are written.

    ``everything`` holds if all bits matter.
    """

    reads: Mapping[int, int]
    written: frozenset[int]
    everything: bool

    @classmethod
    def of(cls, group: list[ir.Header], program: ir.Program, usage: Usage) -> _Needs:
        reads: Counter[int] = Counter()
        written = set()
        for header in group:
            for place, target in enumerate(header.fields):
                reads[place] += usage.reads[target]
                if target in usage.written:
                    written.add(place)
        rebuilt = any(h.name in program.deparser and h.name in usage.modified for h in group)
        return cls(reads, frozenset(written), rebuilt or len(group) > 1)


_Place = tuple[int, ir.Field]
_EAGER_READS = 3
"""A field read in fewer places than this is taken out of its cell where it is read."""


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Cuts one header into cells."""

    header: ir.Header
    needs: _Needs
    names: Names

    def layout(self) -> Layout:
        places = list(enumerate(self.header.fields))
        split = next((i for i, f in places if f.varbit), len(places))
        front, back = places[:split], places[split + 1 :]
        varbit = self.header.varbit
        return Layout(
            self.header,
            self._cells(front, 0),
            None if varbit is None else self.names.field(varbit),
            self._cells(back, 1 << 20),
            sum(f.width for _, f in front) // 8,
            sum(f.width for _, f in back) // 8,
        )

    def _cells(self, places: list[_Place], base: int) -> tuple[Cell, ...]:
        """Cuts a row of fields; ``base`` keeps the names of front and back cells apart."""
        cells: list[Cell] = []
        group: list[_Place] = []
        start = bits = 0
        for place, target in places:
            group.append((place, target))
            bits += target.width
            if bits % 8 == 0:
                variable = self.names.cell(self.header.name, base + start)
                cell = self._cell(group, start, bits // 8 - start, variable)
                if cells and _is_idle(cells[-1]) and _is_idle(cell):
                    cell = _joined(cells.pop(), cell)
                cells.append(cell)
                group, start = [], bits // 8
        return tuple(cells)

    def _cell(self, group: list[_Place], offset: int, size: int, variable: str) -> Cell:
        fields = tuple(target for _, target in group)
        reads = any(self.needs.reads[place] for place, _ in group)
        written = any(place in self.needs.written for place, _ in group)
        everything = self.needs.everything
        if not reads and not (written and everything):
            return Cell(offset, size, True, variable, (), True, everything, fields)
        if not reads and len(group) == 1 and size not in (1, 2, 4, 8):
            variable = self.names.field(fields[0])
            return Cell(offset, size, True, variable, (), True, True, fields, opaque=True)
        parts = self._parts(group, size, not written)
        return Cell(offset, size, False, variable, parts, not written, True, fields)

    def _parts(self, group: list[_Place], size: int, kept: bool) -> tuple[Part, ...]:
        shift, parts = 8 * size, []
        for place, target in group:
            shift -= target.width
            if self._has_variable(place, kept) or len(group) == 1:
                parts.append(Part(target, shift, self.names.field(target)))
        return tuple(parts)

    def _has_variable(self, place: int, kept: bool) -> bool:
        return self.needs.reads[place] >= _EAGER_READS if kept else True


def _is_idle(cell: Cell) -> bool:
    return cell.raw and not cell.opaque


def _joined(first: Cell, second: Cell) -> Cell:
    return Cell(
        first.offset,
        first.size + second.size,
        True,
        first.variable,
        (),
        True,
        first.wanted,
        first.fields + second.fields,
    )


def lazy_fields(layouts: Mapping[str, Layout]) -> dict[ir.Field, tuple[str, int]]:
    """Fields without a variable of their own: the variable of their cell, their shift in it."""
    lazy = {}
    for layout in layouts.values():
        for cell in (*layout.front, *layout.back):
            if cell.holds_integer:
                shift = 8 * cell.size
                own = {part.field for part in cell.parts}
                for target in cell.fields:
                    shift -= target.width
                    if target not in own:
                        lazy[target] = (cell.variable, shift)
    return lazy


def opaque_fields(layouts: Mapping[str, Layout]) -> dict[ir.Field, int]:
    """Fields held as bytes, with their size."""
    cells = (c for layout in layouts.values() for c in (*layout.front, *layout.back))
    return {cell.fields[0]: cell.size for cell in cells if cell.opaque}
