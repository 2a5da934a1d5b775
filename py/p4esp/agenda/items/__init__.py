"""All items, in the order of the agenda."""

from p4esp.agenda.items import diet, ends, formats, initial, keys, labels, mtu, rekeying, shares
from p4esp.agenda.model import Item

ITEMS: tuple[Item, ...] = (
    *rekeying.ITEMS,
    *shares.ITEMS,
    *formats.ITEMS,
    *keys.ITEMS,
    *labels.ITEMS,
    *ends.ITEMS,
    *initial.ITEMS,
    *diet.ITEMS,
    *mtu.ITEMS,
)
