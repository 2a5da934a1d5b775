"""Reasons for deletes as commands give them, and as commands show them."""

from typing import Any, Final

from p4esp.ike.delete_reason import (
    MAX_DOWNTIME,
    MAX_TEXT,
    DeleteReason,
    ReasonType,
    is_language,
    readable,
)
from p4esp.ike.errors import CommandError
from p4esp.service.connections import Connections

REASONS: Final = {kind.name.lower().replace("_", "-"): kind for kind in ReasonType}


def told_by(
    reason: str, text: str = "", language: str = "", downtime: str = ""
) -> DeleteReason | None:
    """What to tell the peer; None for nothing said. Without a type it is a short break."""
    if not (reason or text or language or downtime):
        return None
    kind = _kind(reason) if reason else ReasonType.SERVICE_RESTART
    _check_text(text, language)
    return DeleteReason(kind, text, language, _seconds(downtime) if downtime else 0)


def _kind(reason: str) -> ReasonType:
    if reason not in REASONS:
        raise CommandError(f"reason {reason!r}; accepted: {', '.join(REASONS)}")
    return REASONS[reason]


def _check_text(text: str, language: str) -> None:
    if readable(text.encode("utf-8", "replace")) != text:
        raise CommandError(f"text: accepted: up to {MAX_TEXT} octets without control characters")
    if language and not (text and is_language(language)):
        raise CommandError(f"language {language!r}; accepted: a tag such as en or de-CH, of a text")


def _seconds(downtime: str) -> int:
    number = downtime.isascii() and downtime.isdigit() and len(downtime) <= 5
    if not number or int(downtime) > MAX_DOWNTIME:
        raise CommandError(f"downtime {downtime!r}; accepted: 0..{MAX_DOWNTIME} seconds")
    return int(downtime)


def deletes_as_json(connections: Connections) -> dict[str, Any]:
    """Why peers deleted what they did last, and the children that are not tried for now."""
    told = {peer: reason.as_json() for peer, reason in connections.told.items()}
    return {"told": told, "held": connections.held}
