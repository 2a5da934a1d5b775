"""Python names for the program's objects."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass, field

from p4esp.switch import ir

_BAD = re.compile(r"\W")


@dataclass(slots=True)
class Names:
    """Gives every field and header one identifier; collisions get a number."""

    _given: dict[object, str] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)

    def field(self, target: ir.Field) -> str:
        """The variable that holds a field."""
        return self._unique(target, f"f_{target.header}_{target.name}")

    def valid(self, header: str) -> str:
        """The variable that holds a header's validity."""
        return self._unique(("valid", header), f"v_{header}")

    def position(self, header: str) -> str:
        """The variable that holds where in the packet a header was found."""
        return self._unique(("position", header), f"p_{header}")

    def cell(self, header: str, offset: int) -> str:
        """The variable that holds the bytes of a header at ``offset``."""
        return self._unique(("cell", header, offset), f"c_{header}_{offset}")

    def given(self) -> set[str]:
        """All names given so far."""
        return set(self._taken)

    def _unique(self, key: object, wish: str) -> str:
        if key not in self._given:
            base = _BAD.sub("_", wish)
            name, number = base, 1
            while name in self._taken or keyword.iskeyword(name):
                number += 1
                name = f"{base}_{number}"
            self._taken.add(name)
            self._given[key] = name
        return self._given[key]
