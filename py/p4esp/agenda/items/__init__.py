"""All items, in the order of the agenda."""

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

ITEMS: tuple[Item, ...] = (
    *rekeying.ITEMS,
    *shares.ITEMS,
    *beet.ITEMS,
    *formats.ITEMS,
    *ping.ITEMS,
    *keys.ITEMS,
    *labels.ITEMS,
    *ends.ITEMS,
    *initial.ITEMS,
    *diet.ITEMS,
    *mtu.ITEMS,
)
