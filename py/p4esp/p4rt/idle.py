"""Idle time-out notifications (section 15.4): a scan over the tables that support them."""

from collections.abc import Callable, Iterable

from finsy.proto import p4r

from p4esp.p4rt.tables import Key, TableHandler

MAX_ENTRIES = 1000


class IdleScanner:
    """Finds entries whose time-out has passed and tells about each once per time-out.

    `clock` is the device's (nanoseconds), `wall_clock` gives nanoseconds since 1970.
    """

    def __init__(
        self,
        tables: Iterable[TableHandler],
        clock: Callable[[], int],
        wall_clock: Callable[[], int],
    ) -> None:
        self._tables = [table for table in tables if table.info.has_idle_timeout]
        self._clock = clock
        self._wall_clock = wall_clock
        self._told: dict[tuple[int, Key, int], int] = {}

    def scan(self) -> list[p4r.IdleTimeoutNotification]:
        """The notifications that are due now, at most MAX_ENTRIES entries in each."""
        now = self._clock()
        told: dict[tuple[int, Key, int], int] = {}
        notifications = []
        for table in self._tables:
            entries = self._due(table, now, told)
            starts = range(0, len(entries), MAX_ENTRIES)
            notifications += [self._notification(entries[i : i + MAX_ENTRIES]) for i in starts]
        self._told = told
        return notifications

    def _due(
        self, table: TableHandler, now: int, told: dict[tuple[int, Key, int], int]
    ) -> list[p4r.TableEntry]:
        due = []
        for entry in table.idle_entries(now):
            key = (table.info.table_id, entry.match, entry.priority)
            last = self._told.get(key)
            if last is not None and now - last < entry.idle_timeout_ns:
                told[key] = last
                continue
            told[key] = now
            message = p4r.TableEntry()
            table.fill(message, entry)
            due.append(message)
        return due

    def _notification(self, entries: list[p4r.TableEntry]) -> p4r.IdleTimeoutNotification:
        return p4r.IdleTimeoutNotification(table_entry=entries, timestamp=self._wall_clock())
