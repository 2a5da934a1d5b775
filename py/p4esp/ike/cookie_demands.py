"""Cookies that our IKE_SA_INIT request is asked for (RFC 7296 2.6).

Each makes another version of the request, and AUTH covers the one that the responder has answered.
No answer says which that was: so only the first cookie is shown at once. What comes later may be a
repeat of the answer to the version before, and is shown when the one in use has got no answer for
an interval of retransmission.
"""

from p4esp.ike.codec.message import PayloadSet
from p4esp.ike.codec.payloads import Notify
from p4esp.ike.constants import NotifyType
from p4esp.ike.notifies import note_ignored, usable_data
from p4esp.ike.state import IkeSaState
from p4esp.ike.tasks.base import Verdict

MAX_COOKIES = 3
COOKIE_SIZES = range(1, 65)
_EXCLUDED = NotifyType.COOKIE_EXCLUDED


class CookieDemands:
    """Which cookie our request shows, and which it may show next."""

    def __init__(self) -> None:
        self._shown: list[Notify] = []
        self._next: list[Notify] = []
        self._known: set[bytes] = set()
        """Cookies that were shown or are to be."""

    def take(self, sa: IkeSaState, cookie: Notify, payloads: PayloadSet) -> Verdict:
        """Take in what asks for a cookie: `RETRY` for the first one, `RETRY_LATER` for others."""
        if len(cookie.data) not in COOKIE_SIZES:
            note_ignored(sa, f"{cookie} of {len(cookie.data)} octets; accepted: 1..64")
            return Verdict.IGNORE
        if cookie.data in self._known or len(self._known) == MAX_COOKIES:
            return Verdict.IGNORE
        self._known.add(cookie.data)
        told = [Notify(_EXCLUDED)] if _is_excluded(sa, payloads) else []
        self._next = [Notify(NotifyType.COOKIE, cookie.data), *told]
        return Verdict.RETRY_LATER if self._shown else Verdict.RETRY

    def settle(self) -> None:
        """The responder has looked at the request: its cookie is good."""
        self._next = []

    def payloads(self, sa: IkeSaState) -> list[Notify]:
        """N(COOKIE), and what was said of it, for the next version of the request."""
        self._shown, self._next = self._next or self._shown, []
        sa.announced.own.discard(_EXCLUDED)
        if len(self._shown) > 1:
            sa.announced.own.add(_EXCLUDED)
        return self._shown


def _is_excluded(sa: IkeSaState, payloads: PayloadSet) -> bool:
    """Whether AUTH is to leave the cookie out; our vendor ID was in the request."""
    wanted = sa.config.extensions.revised_cookie and sa.announced.own_experimental
    return wanted and usable_data(sa, _EXCLUDED, payloads) is not None
