"""Octets of a fuzzer read as decisions."""


class Choices:
    """Takes decisions off the front of `data`; when it is used up every decision is the first."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1, `limit` at most 65536."""
        return int.from_bytes(self.octets(1 if limit <= 256 else 2), "big") % limit

    def octets(self, size: int) -> bytes:
        """The next `size` octets, fewer at the end."""
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken
