"""Events of a running process as lines."""

from typing import Any


def event_line(event: dict[str, Any]) -> str:
    """An event in one line: its name, whom it is about, and why."""
    reason = event.get("reason") or _network(event)
    return f"{event['event']} {_subject(event)}{': ' if reason else ''}{reason}"


def _network(event: dict[str, Any]) -> str:
    """What an initiator got of the responder's network."""
    config = event.get("config")
    if not isinstance(config, dict):
        return ""
    resolvers = [f"{one['name']} ({'/'.join(one['alpn'])})" for one in config["resolvers"]]
    parts = {"": config["addresses"], "dns ": config["dns"], "encrypted dns ": resolvers}
    parts["no child SA leads to "] = event.get("unreachable", [])
    return ", ".join(label + " ".join(items) for label, items in parts.items() if items)


def _subject(event: dict[str, Any]) -> str:
    """The SA that an event is about; the new one where one replaces another."""
    sas = (event.get(name) for name in ("new", "child", "ike"))
    sa = next(sa for sa in sas if isinstance(sa, dict) and "peer" in sa)
    if "spi_in" in sa:
        return f"{sa['peer']}/{sa['name']} in {sa['spi_in']} out {sa['spi_out']}"
    return f"{sa['peer']} {sa['spi']}"
