"""Messages that were not used: counted by reason, and traced as often as a log can bear."""

from collections import Counter
from dataclasses import replace

from p4esp.ike.drops import Drop
from p4esp.ike.ratelimit import RateLimit
from p4esp.ike.trace import TraceHook, TraceRecord


class Audit:
    """Takes a record of each drop. Of a flood it passes on so many a second, and tells how many
    it kept to itself.
    """

    def __init__(self, trace: TraceHook | None, rate: float, now: float) -> None:
        """`rate`: records per second that `trace` is given, of strangers and of known peers each:
        no flood of strangers hides what a peer does.
        """
        self._trace = trace
        self._strangers, self._peers = RateLimit(rate, now), RateLimit(rate, now)
        self._untold = 0
        self.counts: Counter[Drop] = Counter()

    def __call__(self, record: TraceRecord) -> None:
        """Count a drop, and pass its record on unless there were too many. ESP and keepalives are
        no news.
        """
        if record.drop is not None:
            self.counts[record.drop] += 1
        if self._trace is None or record.drop is Drop.NOT_IKE:
            return
        limit = self._peers if record.peer else self._strangers
        if not limit.allow(record.time):
            self._untold += 1
            return
        untold, self._untold = self._untold, 0
        self._trace(replace(record, untold=untold) if untold else record)
