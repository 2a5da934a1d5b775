"""All items, in the order of the agenda."""

from typing import Final

from p4esp.agenda.items import (
    beet,
    diet,
    ends,
    formats,
    initial,
    keys,
    labels,
    mtu,
    ping,
    rekeying,
    shares,
)
from p4esp.agenda.model import Item

_ORDER: Final = (
    "child-pfs-info",
    "ppk-auth",
    "ppk-intermediate",
    "ppk-and-mlkem",
    "resources",
    "subspaces",
    "sub-child",
    "beet",
    "trailer-in-header",
    "header-in-trailer",
    "crypt-offset-shown",
    "wesp-v2",
    "eesp-full",
    "format-fallback",
    "sequence-numbers",
    "delete-reason",
    "optimized-rekey",
    "revised-cookie",
    "auth-announcement",
    "encrypted-dns",
    "labels",
    "mtu-detection",
    "dscp-classes",
    "diet-esp",
    "full-transcript",
    "session-resumption",
    "crash-detection",
    "message-id-sync",
    "encrypted-ping",
)
"""The talks of IETF 118, and then what the status list had."""

_MODULES: Final = (
    beet,
    diet,
    ends,
    formats,
    initial,
    keys,
    labels,
    mtu,
    ping,
    rekeying,
    shares,
)
ITEMS: Final[tuple[Item, ...]] = tuple(
    sorted(
        (item for module in _MODULES for item in module.ITEMS),
        key=lambda item: _ORDER.index(item.name),
    )
)
