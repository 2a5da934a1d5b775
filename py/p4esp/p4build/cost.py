"""What a P4 program costs, read from the bmv2 JSON that p4c made of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from p4esp.p4build.graph import Field, Node, pipeline_nodes
from p4esp.p4build.passes import GATEWAY_PASSES, reachable
from p4esp.p4build.programs import BuildError


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the cost table."""

    name: str
    value: int
    unit: str


@dataclass(frozen=True, slots=True)
class Chain:
    """The longest chain of keyed tables in a pass in which each needs a result of the one before:
    a lower bound for match stages."""

    name: str
    keyed_tables: int
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one program. Bits of headers and metadata are those some node reads or writes;
    ``metadata_live_bits`` is the most that is alive between two nodes."""

    program: str
    keyed_tables: int
    parser_states: int
    register_cells: int
    register_bits: int
    header_bits: int
    metadata_bits: int
    metadata_live_bits: int
    longest_chains: tuple[Chain, ...]

    def figures(self) -> list[Figure]:
        """Every number with its unit."""
        plain = [
            Figure("keyed tables", self.keyed_tables, "tables"),
            Figure("parser states", self.parser_states, "states"),
            Figure("register cells", self.register_cells, "cells"),
            Figure("register memory", self.register_bits, "bits"),
            Figure("headers", self.header_bits, "bits"),
            Figure("metadata, all used", self.metadata_bits, "bits"),
            Figure("metadata, live at once", self.metadata_live_bits, "bits"),
        ]
        for chain in self.longest_chains:
            plain.append(Figure(f"{chain.name}: keyed tables", chain.keyed_tables, "tables"))
            plain.append(Figure(f"{chain.name}: depth", len(chain.tables), "tables"))
        return plain

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def cost_of(json_file: Path) -> Cost:
    """Reads a bmv2 JSON; ``BuildError`` when it is none."""
    try:
        program = json.loads(json_file.read_text())
        return _cost(json_file.stem, program)
    except (OSError, ValueError, KeyError) as error:
        raise BuildError(f"{json_file}: not a bmv2 JSON ({error!r})") from error


def _cost(name: str, program: dict[str, Any]) -> Cost:
    gresses = [pipeline_nodes(program, item) for item in program["pipelines"]]
    nodes = [node for gress in gresses for node in gress]
    widths = _field_widths(program)
    used = set().union(*(_touched(node) for node in nodes)) if nodes else set()
    metadata = {item["name"] for item in program["headers"] if item["metadata"]}
    return Cost(
        program=name,
        keyed_tables=sum(node.keyed for node in nodes),
        parser_states=sum(len(parser["parse_states"]) for parser in program["parsers"]),
        register_cells=sum(item["size"] for item in program["register_arrays"]),
        register_bits=sum(item["size"] * item["bitwidth"] for item in program["register_arrays"]),
        header_bits=sum(widths.get(item, 0) for item in used if _header(item) not in metadata),
        metadata_bits=sum(widths.get(item, 0) for item in used if _header(item) in metadata),
        metadata_live_bits=max(_live_bits(gress, widths, metadata) for gress in gresses),
        longest_chains=tuple(
            chain for gress in gresses for chain in _chains_of(gress) if chain.keyed_tables
        ),
    )


def _chains_of(gress: list[Node]) -> list[Chain]:
    chains = []
    for limits in GATEWAY_PASSES:
        nodes = reachable(gress, limits)
        keyed = sum(node.keyed for node in nodes)
        chains.append(Chain(limits.name, keyed, _longest_chain(nodes)))
    return chains


def _longest_chain(nodes: list[Node]) -> tuple[str, ...]:
    """Follows data from table to table: a field carries the chain of tables it came through."""
    through: dict[Field, tuple[str, ...]] = {}
    longest: tuple[str, ...] = ()
    for node in nodes:
        chain = _deepest(through, node.key_reads)
        if node.keyed:
            chain = (*chain, node.name)
        longest = max(longest, chain, key=len)
        result = max(chain, _deepest(through, node.action_reads), key=len)
        for name in node.writes:
            through[name] = max(through.get(name, ()), result, key=len)
    return longest


def _deepest(through: dict[Field, tuple[str, ...]], names: frozenset[Field]) -> tuple[str, ...]:
    return max((through.get(name, ()) for name in names), key=len, default=())


def _live_bits(nodes: list[Node], widths: dict[Field, int], metadata: set[str]) -> int:
    live_at: dict[str, frozenset[Field]] = {}
    most = 0
    for node in reversed(nodes):
        after = frozenset().union(*(live_at.get(name, frozenset()) for name in node.branches))
        live = (after - node.always_writes) | node.key_reads | node.action_reads
        live_at[node.name] = live
        bits = sum(widths.get(name, 0) for name in live if _header(name) in metadata)
        most = max(most, bits)
    return most


def _touched(node: Node) -> frozenset[Field]:
    return node.key_reads | node.action_reads | node.writes


def _header(name: Field) -> str:
    return name.rsplit(".", 1)[0]


def _field_widths(program: dict[str, Any]) -> dict[Field, int]:
    types = {item["name"]: item["fields"] for item in program["header_types"]}
    return {
        f"{header['name']}.{field[0]}": field[1] if isinstance(field[1], int) else 0
        for header in program["headers"]
        for field in types[header["header_type"]]
    }
