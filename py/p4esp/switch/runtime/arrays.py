"""Register and counter arrays."""

from __future__ import annotations

from p4esp.switch import ir
from p4esp.switch.entries import CounterValue, ErrorCode, TableError


def check_index(kind: str, name: str, index: int, size: int) -> None:
    """Raises INVALID_ARGUMENT outside 0..size-1."""
    if not 0 <= index < size:
        text = f"{kind} {name}: index {index} is not in 0..{size - 1}"
        raise TableError(ErrorCode.INVALID_ARGUMENT, text)


class Registers:
    """One register array; generated code works on ``cells`` itself."""

    def __init__(self, register: ir.Register) -> None:
        self.name, self.size, self.width = register.name, register.size, register.width
        self.cells = [0] * register.size

    def read(self, index: int) -> int:
        """The value of one cell."""
        check_index("register", self.name, index, self.size)
        return int(self.cells[index])

    def write(self, index: int, value: int) -> None:
        """Sets one cell; a value wider than ``width`` bits is INVALID_ARGUMENT."""
        check_index("register", self.name, index, self.size)
        if not 0 <= value < 1 << self.width:
            text = f"register {self.name}: {value} does not fit {self.width} bits"
            raise TableError(ErrorCode.INVALID_ARGUMENT, text)
        self.cells[index] = value


class Counters:
    """One counter array; generated code adds to ``packets`` and ``octets`` itself."""

    def __init__(self, counter: ir.Counter) -> None:
        self.name, self.size = counter.name, counter.size
        self.packets = [0] * counter.size
        self.octets = [0] * counter.size

    def read(self, index: int) -> CounterValue:
        """One cell."""
        check_index("counter", self.name, index, self.size)
        return CounterValue(self.packets[index], self.octets[index])

    def write(self, index: int, value: CounterValue) -> None:
        """Sets one cell."""
        check_index("counter", self.name, index, self.size)
        self.packets[index], self.octets[index] = value.packets, value.bytes
