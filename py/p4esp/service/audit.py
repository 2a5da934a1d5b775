"""A line in the journal for each exchange that failed: with whom, which one, and why."""

from collections.abc import Callable
from typing import Final

from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.trace import TraceHook, TraceKind, TraceRecord
from p4esp.service.journal import Entry, Journal, Kind

STRANGERS_RATE: Final = 10.0
"""Lines a second about those who have not proved who they are: they decide how many come."""


TraceSink = Callable[[str, TraceRecord], None]
"""Called with the name of the gateway, or of the daemon, and each message."""


def trace_hook(name: str, journal: Journal, now: float, sink: TraceSink | None) -> TraceHook:
    """The hook of an endpoint: the audit always, a trace where it is asked for."""
    audit = Audit(name, journal, now)

    def tell(record: TraceRecord) -> None:
        audit.note(record)
        if sink is not None:
            sink(name, record)

    return tell


class Audit:
    """What known peers do is noted always, what strangers do within a rate."""

    def __init__(self, name: str, journal: Journal, now: float) -> None:
        """`name` stands before the lines: a gateway's, or the daemon's."""
        self._name = name
        self._journal = journal
        self._strangers = RateLimit(STRANGERS_RATE, now)
        self._unsaid = 0

    def note(self, record: TraceRecord) -> None:
        """Note a message that was not accepted."""
        if record.kind is not TraceKind.DROPPED:
            return
        if not record.peer and not self._strangers.allow(record.time):
            self._unsaid += 1
            return
        subject = f"{record.peer or record.path.remote} {record.message}".rstrip()
        self._journal.add(Entry(self._name, Kind.EXCHANGE_FAILED, subject, self._text(record)))

    def _text(self, record: TraceRecord) -> str:
        unsaid = "" if record.peer else self._take_unsaid()
        return f"{record.reason}{unsaid}"

    def _take_unsaid(self) -> str:
        unsaid, self._unsaid = self._unsaid, 0
        return f" (and {unsaid} more like this)" if unsaid else ""
