"""The pipeline that the controller drives: its p4info and its target configuration."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from finsy.proto import p4i
from google.protobuf import text_format

from p4esp.controller.errors import ControllerError, ForeignPipelineError

_KINDS: Final = (
    *("tables", "actions", "action_profiles", "counters", "direct_counters", "meters"),
    *("direct_meters", "registers", "digests", "controller_packet_metadata"),
)
_SHOWN: Final = 6
"""Differences named in an error before the rest is only counted."""


@dataclass(frozen=True)
class Program:
    """Where p4c left its two outputs."""

    p4info: Path
    config: Path
    """The bmv2 JSON."""

    @cached_property
    def expected(self) -> p4i.P4Info:
        """Our p4info; ControllerError when the file is missing or unreadable."""
        try:
            info: p4i.P4Info = text_format.Parse(self.p4info.read_text(), p4i.P4Info())
        except (OSError, text_format.ParseError) as error:
            raise ControllerError(f"p4info {self.p4info}: {error}") from None
        return info

    def check(self, found: p4i.P4Info) -> None:
        """ForeignPipelineError, with what differs, unless a switch runs this very program."""
        differences = _differences(self.expected, found)
        if differences:
            more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
            raise ForeignPipelineError(
                f"its p4info is {found.pkg_info.name or 'unnamed'} "
                f"{found.pkg_info.version}, not {self.p4info.name}: "
                f"{'; '.join(differences[:_SHOWN])}{more}"
            )


def _differences(ours: p4i.P4Info, theirs: p4i.P4Info) -> list[str]:
    return [
        text
        for kind in _KINDS
        for text in _differences_of(kind, getattr(ours, kind), getattr(theirs, kind))
    ]


def _differences_of(kind: str, ours: Iterable[Any], theirs: Iterable[Any]) -> Iterable[str]:
    one, other = _by_name(ours), _by_name(theirs)
    what = kind.rstrip("s").replace("_", " ")
    yield from (f"{what} {name} is missing" for name in one if name not in other)
    yield from (f"{what} {name} is not ours" for name in other if name not in one)
    yield from (
        f"{what} {name} differs" for name in one if name in other and one[name] != other[name]
    )


def _by_name(objects: Iterable[Any]) -> dict[str, Any]:
    return {item.preamble.name: item for item in objects}
