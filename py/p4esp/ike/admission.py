"""Which IKE_SA_INIT requests may open an IKE SA: what strangers may cost us (RFC 7296 2.6).

A limit that anybody reaches by lying about his address must not shut out the one who lives there:
it is answered with a demand for a cookie. Only who shows a good one meets limits that refuse.
"""

from dataclasses import dataclass

from p4esp.ike.codec.header import Header
from p4esp.ike.config import Settings
from p4esp.ike.constants import PayloadType
from p4esp.ike.cookies import Cookies, Opening
from p4esp.ike.crypto.keyexchange import RandomSource
from p4esp.ike.drops import Drop
from p4esp.ike.errors import ParseError
from p4esp.ike.halfopen import HalfOpen
from p4esp.ike.path import Path, UdpAddress
from p4esp.ike.ratelimit import RateLimit, SourceLimits, source_of


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a request opens nothing, and what is answered."""

    reason: Drop
    answer: bytes | None = None
    """An IKE message; None: silence."""


class Admission:
    """Judges requests by what is half-open and by what their sources did before."""

    def __init__(
        self, settings: Settings, random: RandomSource, half_open: HalfOpen, now: float
    ) -> None:
        self._settings = settings
        self._half_open = half_open
        self._cookies = Cookies(random)
        rate, sources = settings.init_rate, settings.max_sources
        self._claimed = SourceLimits(rate, rate, sources)
        self._proved = SourceLimits(rate, rate, sources)
        self._futile = RateLimit(settings.futile_rate, now)
        failures, period = settings.max_auth_failures, settings.auth_failure_period
        self._failures = SourceLimits(failures / period, failures, sources)

    def judge(
        self, header: Header, message: bytes, path: Path, now: float, *, excluded: bool = False
    ) -> Refused | None:
        """Whether a request that is no repeat is refused; None: it may open an IKE SA.

        `excluded`: whether AUTH may leave a cookie out that is asked for now.
        """
        if len(message) > self._settings.max_init_size:
            return Refused(Drop.TOO_LARGE)
        if self._is_outdated(header, message, path, now):
            return Refused(Drop.OUTDATED)
        source = source_of(path.remote)
        claimed_too_often = not self._claimed.allow(source, now)
        if claimed_too_often or self._half_open.needs_cookie or self._futile.spent(now):
            return self._judge_cookie(header, message, path, now, excluded=excluded)
        return self._judge_source(source, now)

    def _judge_cookie(
        self, header: Header, message: bytes, path: Path, now: float, *, excluded: bool
    ) -> Refused | None:
        """No state is kept and nothing is computed for who only claims an address."""
        try:
            opening = Opening.read(header, message)
        except ParseError:
            return Refused(Drop.MALFORMED)
        if not self._cookies.is_shown(opening, path, now):
            answer = self._cookies.demand(opening, path, now, excluded=excluded)
            return Refused(Drop.NO_COOKIE, answer)
        source = source_of(path.remote)
        if not self._proved.allow(source, now):
            return Refused(Drop.SOURCE_RATE)
        return self._judge_source(source, now)

    def _judge_source(self, source: bytes, now: float) -> Refused | None:
        if self._failures.spent(source, now):
            return Refused(Drop.FAILED_BEFORE)
        return Refused(Drop.SOURCE_LIMIT) if self._half_open.source_full(source) else None

    def _is_outdated(self, header: Header, message: bytes, path: Path, now: float) -> bool:
        """Whether it comes without a cookie, after its sender has opened an IKE SA with one: it is
        late, and a second answer would only confuse.
        """
        known = self._half_open.has_proved(header.spi_i, path.remote)
        return known and not self.proves(header, message, path, now)

    def proves(self, header: Header, message: bytes, path: Path, now: float) -> bool:
        """Whether a request shows a good cookie, be one asked for or not."""
        if header.next_payload != PayloadType.NOTIFY:
            return False
        try:
            opening = Opening.read(header, message)
        except ParseError:
            return False
        return self._cookies.is_shown(opening, path, now)

    def note_futile(self, now: float) -> None:
        """A request that was let in came to nothing: we may have computed, but nothing counts it
        as half-open.
        """
        self._futile.allow(now)

    def note_failure(self, source: UdpAddress, now: float) -> None:
        """An initiator did not prove who it is. `source` is where it got our IKE_SA_INIT response:
        what it sends later may bear anybody's address.
        """
        self._failures.allow(source_of(source), now)
