"""Events of a running process as lines."""

from typing import Any


def event_line(event: dict[str, Any]) -> str:
    """An event in one line: its name, whom it is about, and why."""
    reason = event.get("reason", "")
    subject = _subject(event.get("new") or event.get("child") or event["ike"])
    return f"{event['event']} {subject}{': ' if reason else ''}{reason}"


def _subject(sa: dict[str, Any]) -> str:
    """An IKE SA or a child SA."""
    if "spi_in" in sa:
        return f"{sa['peer']}/{sa['name']} in {sa['spi_in']} out {sa['spi_out']}"
    return f"{sa['peer']} {sa['spi']}"
