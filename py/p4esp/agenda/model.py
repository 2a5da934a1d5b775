"""An item of the agenda: how two gateways run without it and with it, and what must differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from p4esp.controller.entries import Entry
from p4esp.demo.lab import Lab

Section = dict[str, Any]
Amend = Callable[[str, Section], None]
"""Changes the section of a gateway, named `left` or `right`, in place."""
Drive = Callable[[Lab], Awaitable[None]]
"""What is done with the gateways; they have been started and nothing else."""


def unchanged(_: str, __: Section) -> None:
    """Leave a gateway as it is."""


async def settle(lab: Lab) -> None:
    """Wait until both have a child SA."""
    await lab.tunnel_up()


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the two gateways."""

    amend: Amend = unchanged
    drive: Drive = settle
    ike: Mapping[str, Any] = field(default_factory=dict)
    """Settings of IKE at both."""
    packets: bool = True
    """Whether packets are sent both ways at the end, and must all arrive."""


ORDINARY: Final = Run()
"""Two gateways that agree on nothing unusual."""


@dataclass(frozen=True, slots=True)
class Message:
    """An IKE message that was sent. `octets` are those of IKE, without UDP and IP."""

    gateway: str
    name: str
    """Exchange and `request` or `response`."""
    octets: int
    payloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run left to see, by gateway."""

    ike: dict[str, list[dict[str, Any]]]
    """IKE SAs."""
    children: dict[str, list[dict[str, Any]]]
    """Child SAs."""
    messages: list[Message]
    tables: dict[str, list[Entry]]
    """Entries of the policy and of SAs, read back over P4Runtime."""
    journal: list[str]
    sent: int = 0
    """Packets of hosts."""
    delivered: int = 0
    """Those that arrived as they were."""
    esp_octets: int = 0
    """Octets of the frames of ESP that carried them."""

    def agreed(self, notify: str) -> bool:
        """Whether every IKE SA at both ends has an extension."""
        found = [ike["extensions"] for ends in self.ike.values() for ike in ends]
        return bool(found) and all(notify in names for names in found)

    def messages_of(self, name: str) -> list[Message]:
        """The messages of a name, such as `IKE_AUTH request`."""
        return [message for message in self.messages if message.name == name]

    def octets_of(self, name: str) -> int:
        """What they hold together."""
        return sum(message.octets for message in self.messages_of(name))

    def entries(self, table: str, gateway: str = "left") -> list[Entry]:
        """The entries of one table."""
        return [entry for entry in self.tables[gateway] if entry.table == table]

    def says(self, text: str) -> bool:
        """Whether some journal has an entry with a text."""
        return any(text in line for line in self.journal)


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that must hold of a run without the item and one with it."""

    text: str
    holds: Callable[[Evidence, Evidence], bool]


@dataclass(frozen=True, slots=True)
class Item:
    """An item of the agenda."""

    name: str
    """A word with dashes, for commands."""
    title: str
    documents: tuple[str, ...]
    """Where it comes from: RFC, draft, or our own proposal."""
    test: str
    """The pytest node that proves it, from the top of the repository."""
    having: Run
    """The gateways with it."""
    lacking: Run = ORDINARY
    """The same without it."""
    claims: tuple[Claim, ...] = ()
    """At least one."""
    negotiated: Callable[[Evidence], list[str]] | None = None
    """What the two agreed on, in words; unset: the extensions of their IKE SAs and what is unusual
    about the first child SA.
    """


@dataclass(slots=True)
class Finding:
    """What the tour has seen of an item."""

    item: str
    title: str
    documents: tuple[str, ...]
    test: str
    negotiated: list[str] = field(default_factory=list)
    wire_changed: list[str] = field(default_factory=list)
    tables_changed: list[str] = field(default_factory=list)
    claims: dict[str, bool] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def held(self) -> bool:
        """Whether all claims held."""
        return bool(self.claims) and all(self.claims.values())
