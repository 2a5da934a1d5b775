"""A place in the JSON document: typed access whose errors say where and what was expected."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from p4esp.switch.errors import LoadError

_HEX = re.compile(r"-?(0x)?[0-9a-fA-F]+")


@dataclass(frozen=True, slots=True)
class Cursor:
    """``value`` is plain decoded JSON, ``path`` its place (``pipelines[0].tables[3].name``)."""

    value: Any
    path: str

    @classmethod
    def parse(cls, document: bytes) -> Cursor:
        """Decodes a whole document; raises ``LoadError`` unless it is a JSON object."""
        try:
            value = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise LoadError("document", "program", f"is not JSON: {error}") from None
        return cls(value, "program").expect(dict, "an object")

    def malformed(self, expected: str) -> LoadError:
        """The error for a value of the wrong shape."""
        return LoadError(f"value {_brief(self.value)}", self.path, f"should be {expected}")

    def unsupported(self, construct: str) -> LoadError:
        """The error for something well formed that this switch does not do."""
        return LoadError(construct, self.path)

    def expect(self, kind: type | tuple[type, ...], expected: str) -> Cursor:
        """This cursor, if its value has the type."""
        if not isinstance(self.value, kind) or (kind is int and isinstance(self.value, bool)):
            raise self.malformed(expected)
        return self

    def __getitem__(self, key: str | int) -> Cursor:
        """A required member of an object or item of an array."""
        if isinstance(key, int):
            self.expect(list, "an array")
            if key >= len(self.value):
                raise self.malformed(f"an array of at least {key + 1} items")
            return Cursor(self.value[key], f"{self.path}[{key}]")
        found = self.get(key)
        if found is None:
            raise LoadError(f"member '{key}'", self.path, "is missing")
        return found

    def get(self, key: str) -> Cursor | None:
        """An optional member of an object; JSON ``null`` counts as absent."""
        self.expect(dict, "an object")
        value = self.value.get(key)
        return None if value is None else Cursor(value, f"{self.path}.{key}")

    def items(self, key: str) -> Iterator[Cursor]:
        """The items of an optional array member."""
        array = self.get(key)
        return iter(()) if array is None else array.elements()

    def elements(self) -> Iterator[Cursor]:
        """The items of this array."""
        self.expect(list, "an array")
        return (Cursor(v, f"{self.path}[{i}]") for i, v in enumerate(self.value))

    def text(self) -> str:
        """This string."""
        return str(self.expect(str, "a string").value)

    def number(self) -> int:
        """This integer."""
        return int(self.expect(int, "an integer").value)

    def size(self, limit: int) -> int:
        """This integer, in 1..limit."""
        value = self.number()
        if not 1 <= value <= limit:
            raise self.malformed(f"between 1 and {limit}")
        return value

    def flag(self, key: str) -> bool:
        """An optional boolean member, false when absent."""
        found = self.get(key)
        return found is not None and bool(found.expect(bool, "a boolean").value)

    def hex(self) -> int:
        """This hexadecimal string (``0x1f``, ``1f`` or ``-0x1f``)."""
        text = self.text()
        if not _HEX.fullmatch(text):
            raise self.malformed("a hexadecimal string")
        return int(text, 16)


def _brief(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."
