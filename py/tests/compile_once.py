"""Tests start many switches with one program: read and generate it once in a process."""

from functools import lru_cache

from p4esp.p4rt import pipeline
from p4esp.switch import device, ir
from p4esp.switch.codegen.pipeline import Generated, generate
from p4esp.switch.loader import load_program

_GENERATED: dict[int, tuple[ir.Program, Generated]] = {}


def _generate_once(program: ir.Program, traced: bool = False) -> Generated:
    if traced:
        return generate(program, traced=True)
    known = _GENERATED.get(id(program))
    if known is None:
        known = _GENERATED[id(program)] = (program, generate(program))
    return known[1]


device.load_program = pipeline.load_program = lru_cache(maxsize=4)(load_program)
device.generate = _generate_once
