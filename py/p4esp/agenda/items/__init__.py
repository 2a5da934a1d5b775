"""All items, in the order of the agenda."""

from p4esp.agenda.items import diet, formats, mtu
from p4esp.agenda.model import Item

ITEMS: tuple[Item, ...] = (*formats.ITEMS, *diet.ITEMS, *mtu.ITEMS)
