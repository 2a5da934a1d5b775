"""Draws a header as RFCs do: 32 bits a row, two characters a bit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from p4esp.ipsec.formats.model import Field, Format, Parameters, Proof

ROW = 32
RULER = (
    " " + "".join(f"{bit // 10 if bit % 10 == 0 else ' '} " for bit in range(ROW)).rstrip(),
    " " + " ".join(str(bit % 10) for bit in range(ROW)),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """The part of a field that stands in one row."""

    field: Field
    bits: int
    first: bool
    """Whether the field begins here: there its name is written."""


Row = tuple[Cell, ...]


def rows(form: Format, parameters: Parameters | None = None) -> list[Row]:
    """The layout cut into rows. A field of variable length takes what a row has left for it."""
    filled: list[Row] = []
    row: list[Cell] = []
    for cell in _cells(form.layout(parameters)):
        row.append(cell)
        if sum(part.bits for part in row) == ROW:
            filled.append(tuple(row))
            row = []
    return filled


def _cells(layout: tuple[Field, ...]) -> Iterator[Cell]:
    used = 0
    for place, field in enumerate(layout):
        left = field.bits if field.bits is not None else _room(layout[place + 1 :], used)
        first = True
        while left:
            bits = min(left, ROW - used)
            yield Cell(field, bits, first)
            first, left, used = False, left - bits, (used + bits) % ROW


def _room(behind: tuple[Field, ...], used: int) -> int:
    """Bits for a field of variable length, so that what follows it ends with a row."""
    fixed = 0
    for field in behind:
        if field.bits is None:
            break
        fixed += field.bits
    return (-used - fixed) % ROW or ROW


def draw(form: Format, parameters: Parameters | None = None) -> list[str]:
    """The drawing, line by line; what a row is stands to its right."""
    lines, above = list(RULER), None
    for row in rows(form, parameters):
        lines.append(_edge(above, row))
        lines.append(f"{_line(row)}  {_kind(row)}")
        above = row
    return [*lines, _edge(above, None)]


def _line(row: Row) -> str:
    edge = "~" if any(cell.field.bits is None for cell in row) else "|"
    inside = "|".join(_label(cell).center(2 * cell.bits - 1) for cell in row)
    return f"{edge}{inside}{edge}"


def _label(cell: Cell) -> str:
    if not cell.first:
        return ""
    if cell.field.bits is None:
        name = f"{cell.field.name} (variable)"
        return name if len(name) < 2 * cell.bits else cell.field.name
    return cell.field.label or cell.field.name


def _kind(row: Row) -> str:
    return "; ".join(dict.fromkeys(_word(cell.field) for cell in row))


def _word(field: Field) -> str:
    return {
        Proof.AAD: "clear, authenticated",
        Proof.NONCE: "clear, through the nonce",
        Proof.TEXT: "encrypted, authenticated",
        Proof.TAG: "check value",
        Proof.CHECK: "clear, compared",
    }[field.proof]


def _edge(above: Row | None, below: Row | None) -> str:
    """A line between two rows, open where a field goes on."""
    edge, open_before = "", False
    for bit in range(ROW):
        is_open = _field_at(above, bit) is _field_at(below, bit) is not None
        edge += "  " if is_open and open_before else "+ " if is_open else "+-"
        open_before = is_open
    return edge + "+"


def _field_at(row: Row | None, bit: int) -> Field | None:
    for cell in row or ():
        if bit < cell.bits:
            return cell.field
        bit -= cell.bits
    return None
