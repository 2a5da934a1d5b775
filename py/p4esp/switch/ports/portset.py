"""Sets of port numbers written as `0-3,7`."""

from collections.abc import Iterable

MAX_PORT = 511


class PortSetError(ValueError):
    """A text that is not a set of ports; the message says what is accepted."""


def parse_ports(text: str) -> frozenset[int]:
    """`0-3,7` to {0, 1, 2, 3, 7}; raises `PortSetError`."""
    ports: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        ports.update(range(_port(text, first), _port(text, last if dash else first) + 1))
    if not ports:
        raise PortSetError(f"ports '{text}': a range is empty; accepted: such as 0-3,7")
    return frozenset(ports)


def format_ports(ports: Iterable[int]) -> str:
    """The shortest text that `parse_ports` reads back."""
    runs: list[list[int]] = []
    for port in sorted(ports):
        if runs and port == runs[-1][1] + 1:
            runs[-1][1] = port
        else:
            runs.append([port, port])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in runs)


def _port(text: str, number: str) -> int:
    if not (number.isascii() and number.isdigit() and len(number) <= 4 and int(number) <= MAX_PORT):
        raise PortSetError(f"ports '{text}': '{number}' is no port; accepted: 0..{MAX_PORT}")
    return int(number)
