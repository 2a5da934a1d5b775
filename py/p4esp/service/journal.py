"""What happens at a gateway, in words and as values, for logs, the CLI and tests."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from p4esp.ipsec.sa import ChildSaParams

KEPT: Final = 1000
"""Entries that are remembered."""
MAX_TEXT: Final = 2000
"""Characters of an entry's text; strangers may decide what it says."""


class Kind(StrEnum):
    """Sorts of entries."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    REGISTERS_LOST = "registers lost"
    RECONCILED = "reconciled"
    READY = "ready"
    IKE_UP = "IKE SA up"
    ADDRESSES = "internal addresses"
    IKE_REKEYED = "IKE SA rekeyed"
    IKE_DOWN = "IKE SA down"
    IKE_FAILED = "IKE failed"
    SA_UP = "SA up"
    SA_MOVED = "SA moved"
    SA_DOWN = "SA down"
    SA_REMOVED = "SA removed"
    SA_FAILED = "SA failed"
    ENGINE_UP = "engine up"
    ENGINE_DOWN = "engine down"
    KEYS_RESTORED = "keys restored"
    STORE_FAILED = "store failed"
    REFUSED = "refused"
    ALERT = "ALERT, deleted by the peer"
    LIMIT = "limit"
    PATH_MTU = "path MTU"
    AUDIT = "audit"
    RESYNC = "ESN resynchronisation"
    SKIPPED = "sequence numbers skipped"
    EXCHANGE_FAILED = "exchange failed"
    KEYS_EXPORTED = "ALL KEYS ARE EXPORTED to"
    NOT_EXPORTED = "keys not exported"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened; `subject` is a peer, a child or an SPI."""

    gateway: str
    kind: Kind
    subject: str
    text: str = ""

    def __str__(self) -> str:
        """One line, whatever strangers call themselves."""
        line = f"{self.gateway}: {self.kind} {self.subject}{': ' if self.text else ''}{self.text}"
        return line if line.isprintable() else "".join(map(_printable, line))

    @classmethod
    def of_child(cls, gateway: str, kind: Kind, child: ChildSaParams, text: str) -> Self:
        """What happened to a child SA."""
        return cls(gateway, kind, f"{child.peer}/{child.name} {child.spi_in:08x}", text)


def _printable(character: str) -> str:
    return character if character.isprintable() else f"\\u{ord(character):04x}"


class Journal:
    """The last entries, and a way to wait for the next one."""

    def __init__(self, *listeners: Callable[[Entry], None]) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._listeners = list(listeners)
        self._waiting: list[tuple[Callable[[Entry], bool], asyncio.Future[Entry]]] = []

    def listen(self, listener: Callable[[Entry], None]) -> None:
        """Have a listener told of each entry from now on."""
        self._listeners.append(listener)

    def add(self, entry: Entry) -> None:
        """Record an entry, its text cut short, and wake those who wait for it."""
        entry = replace(entry, text=entry.text[:MAX_TEXT])
        self._entries.append(entry)
        for listener in self._listeners:
            listener(entry)
        for wanted, future in self._waiting:
            if not future.done() and wanted(entry):
                future.set_result(entry)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that is remembered, oldest first."""
        return tuple(self._entries)

    async def next(self, wanted: Callable[[Entry], bool]) -> Entry:
        """The first entry from now on that is wanted."""
        future: asyncio.Future[Entry] = asyncio.get_running_loop().create_future()
        item = (wanted, future)
        self._waiting.append(item)
        try:
            return await future
        finally:
            self._waiting.remove(item)

    async def has(self, wanted: Callable[[Entry], bool]) -> Entry:
        """The first wanted entry, past or future."""
        past = next((entry for entry in self._entries if wanted(entry)), None)
        return past or await self.next(wanted)
