"""What a program is as Python. Switches of one process that run the same program share it: it is
written once, and none of them changes it.
"""

from __future__ import annotations

from functools import lru_cache

from p4esp.switch import ir
from p4esp.switch.codegen.pipeline import Generated, generate
from p4esp.switch.loader import load_program

PROGRAMS = 4
"""Of those used last, how many are kept."""


@lru_cache(PROGRAMS)
def read(json_bytes: bytes) -> ir.Program:
    """Read a program; LoadError."""
    return load_program(json_bytes)


@lru_cache(PROGRAMS)
def written(json_bytes: bytes) -> Generated:
    """Write it as Python; LoadError."""
    return generate(read(json_bytes))
