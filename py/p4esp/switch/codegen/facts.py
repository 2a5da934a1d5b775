"""What is known at one point of the generated code, whatever way led to it."""

from __future__ import annotations

from dataclasses import dataclass, field

from p4esp.switch import ir


@dataclass(slots=True)
class Facts:
    """Headers surely valid or invalid, fields with a known value, the parser's position."""

    valid: dict[str, bool] = field(default_factory=dict)
    consts: dict[ir.Field, int] = field(default_factory=dict)
    offset: int | None = None

    def copy(self) -> Facts:
        """An independent copy."""
        return Facts(dict(self.valid), dict(self.consts), self.offset)

    def forget(self, target: ir.Field) -> None:
        """``target`` now holds something unknown."""
        self.consts.pop(target, None)

    def forget_header(self, header: ir.Header) -> None:
        """All fields of a header now hold something unknown."""
        for target in header.fields:
            self.consts.pop(target, None)


def meet(first: Facts | None, second: Facts) -> Facts:
    """What holds on both ways; ``None`` stands for a way nobody came yet."""
    if first is None:
        return second.copy()
    return Facts(
        {k: v for k, v in first.valid.items() if second.valid.get(k) is v},
        {k: v for k, v in first.consts.items() if second.consts.get(k) == v},
        first.offset if first.offset == second.offset else None,
    )
