"""Table entries kept as a client reads them, so that reading a table again costs little."""

from collections.abc import Callable, Iterator

from finsy.proto import p4r

from p4esp.p4rt.handler import AddEntity
from p4esp.switch.entries import TableEntry
from p4esp.switch.runtime.stores import EntryKey, Row
from p4esp.switch.runtime.tables import Table

Fill = Callable[[p4r.TableEntry, TableEntry], None]


class EntryImages:
    """The serialised entries of one table, each made when it is first read.

    Every write of an entry gives it a new row, so an image is good as long as its row is the one
    in the table. Images of deleted entries go with the next read.
    """

    def __init__(self, core: Table, fill: Fill) -> None:
        self._core = core
        self._fill = fill
        self._images: dict[EntryKey, tuple[Row, bytes]] = {}

    def read(self, add: AddEntity) -> Iterator[None]:
        """Fill one `add()` per entry, without direct resources, yielding after each."""
        known, self._images = self._images, {}
        for key, row in self._core.rows():
            image = known.get(key)
            if image is None or image[0] is not row:
                image = (row, self._serialised(key, row))
            self._images[key] = image
            add().table_entry.MergeFromString(image[1])
            yield

    def _serialised(self, key: EntryKey, row: Row) -> bytes:
        message = p4r.TableEntry()
        self._fill(message, self._core.entry(key, row))
        data: bytes = message.SerializeToString()
        return data
