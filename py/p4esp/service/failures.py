"""What went wrong lately, out of the journal: the command `failures` of a control socket."""

from collections import Counter
from typing import Any, Final

from p4esp.service.control import Command
from p4esp.service.journal import Journal, Kind

FAILURES: Final = frozenset(
    (
        Kind.IKE_FAILED,
        Kind.IKE_DOWN,
        Kind.SA_FAILED,
        Kind.EXCHANGE_FAILED,
        Kind.DISCONNECTED,
        Kind.REGISTERS_LOST,
        Kind.ENGINE_DOWN,
        Kind.STORE_FAILED,
        Kind.REFUSED,
        Kind.LIMIT,
        Kind.NOT_EXPORTED,
    )
)


def failure_commands(journal: Journal) -> dict[str, Command]:
    """Commands by name."""

    async def failures() -> object:
        """Entries of the journal that tell of failures, each once, in the order of the first."""
        return failures_in(journal)

    return {"failures": failures}


def failures_in(journal: Journal) -> list[dict[str, Any]]:
    """The same as JSON-ready values, with how often each was told."""
    told = Counter(entry for entry in journal.entries if entry.kind in FAILURES)
    return [
        {
            "gateway": entry.gateway,
            "kind": entry.kind.value,
            "subject": entry.subject,
            "text": entry.text,
            "count": count,
        }
        for entry, count in told.items()
    ]
