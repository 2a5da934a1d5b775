"""A line in the journal for each exchange that failed: with whom, which one, and why."""

from collections.abc import Callable

from p4esp.ike.trace import TraceHook, TraceKind, TraceRecord
from p4esp.service.journal import Entry, Journal, Kind

TraceSink = Callable[[str, TraceRecord], None]
"""Called with the name of the gateway, or of the daemon, and each message."""


def trace_hook(name: str, journal: Journal, sink: TraceSink | None) -> TraceHook:
    """The hook of an endpoint: the audit always, a trace where it is asked for."""

    def tell(record: TraceRecord) -> None:
        if record.kind is TraceKind.DROPPED:
            journal.add(_line(name, record))
        if sink is not None:
            sink(name, record)

    return tell


def _line(name: str, record: TraceRecord) -> Entry:
    subject = f"{record.peer or record.path.remote} {record.message}".rstrip()
    untold = f" (and {record.untold} more like this)" if record.untold else ""
    return Entry(name, Kind.EXCHANGE_FAILED, subject, f"{record.reason}{untold}")
