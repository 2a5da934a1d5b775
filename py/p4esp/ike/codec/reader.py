"""A cursor over received octets that never reads past their end."""

from struct import Struct
from typing import Any

from p4esp.ike.errors import ParseError


class Reader:
    """Takes big-endian fields off the front of `data`; `what` names the structure in errors."""

    __slots__ = ("_at", "_data", "_end", "_what")

    def __init__(self, data: bytes, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0
        self._end = len(data)

    @property
    def left(self) -> int:
        """Octets not yet taken."""
        return self._end - self._at

    def take(self, size: int, field: str) -> bytes:
        """The next `size` octets."""
        start = self._at
        end = start + size
        if end > self._end:
            raise ParseError(
                f"{self._what}: {field} needs {size} octets at offset {start}, {self.left} left"
            )
        self._at = end
        return self._data[start:end]

    def unpack(self, layout: Struct, field: str) -> tuple[Any, ...]:
        """The fields of a fixed layout; cheaper than taking them one by one."""
        return layout.unpack(self.take(layout.size, field))

    def number(self, size: int, field: str) -> int:
        """The next `size` octets as an unsigned integer."""
        return int.from_bytes(self.take(size, field), "big")

    def rest(self) -> bytes:
        """All octets that are left."""
        return self.take(self.left, "rest")

    def finish(self) -> None:
        """Refuse octets after the structure's end."""
        if self.left:
            raise ParseError(f"{self._what}: {self.left} octets after the end")
